"""The API's questions to the database, each named for what it answers. All take the caller's project."""
