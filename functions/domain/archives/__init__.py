"""Archives of partitions: files of JSON lines beside a manifest, written, read back, compared, loaded again.

Nothing here knows S3: what is called `store` comes from the entry point. No transaction is open while it is used.
"""
