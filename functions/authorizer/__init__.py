"""The authorizer function of the HTTP API."""
