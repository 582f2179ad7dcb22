"""What strict ordering costs a webhook, and those beside it."""
