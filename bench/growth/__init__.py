"""What a year of deliveries does to the statements that every delivery needs."""
