"""`python -m local.report`: how the database of the running service is doing, as tables for people."""
