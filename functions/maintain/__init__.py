"""The maintenance function: one job per file, named by the event that starts it."""
