"""What endpoints that hang or fail cost those that are well."""
