"""What it takes to bring one event to very many webhooks."""
