"""What `make run` shows: real GitHub payloads go in, and arrive signed, verified and, where need be, retried."""
