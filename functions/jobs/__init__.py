"""The jobs function: a message is a bounded batch of a background job, and sends the message for the next."""
