"""What each index of the deliveries costs a delivery: server CPU and WAL."""
