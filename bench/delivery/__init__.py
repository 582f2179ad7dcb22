"""What the running service takes, how fast it delivers, and what that costs."""
