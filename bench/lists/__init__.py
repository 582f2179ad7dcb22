"""How long pages of deliveries take in a project that has a million, by what they are narrowed to."""
