"""The function behind `POST /in/{source_id}`: verify what an inbound sender posts, and make an event of it."""
