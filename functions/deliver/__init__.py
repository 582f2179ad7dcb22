"""The delivery function: claim (one statement), send all with no transaction open, record (one statement)."""
