"""How the database is doing: what is measured, what is kept of it, and what of it is a problem (A7, E2, E8).

Nothing here reads a table from one end to the other: sizes and rows come from the catalog and from Postgres's own
statistics, what is counted is counted through an index and up to a bound.
"""
