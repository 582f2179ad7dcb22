"""A local Amazon SQS: its JSON protocol for standard queues, durable, in one process."""
