"""The OpenAPI document as it is published: what the resolver reads off the routes, made complete.

Imported only by who asks for the document: no other request waits for it.
"""
