"""Which shape of the delivery queue costs least in Postgres (docs/decisions/delivery-row-is-the-outbox.md)."""
