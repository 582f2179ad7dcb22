"""What a function's first invocation waits for."""
