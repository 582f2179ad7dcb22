"""What Lambda's event source mappings do: from a queue to a function, a batch at a time."""
