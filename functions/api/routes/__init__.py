"""The operations, one file a resource. A route says what happens; the queries stand in functions/api/queries."""
