"""A customer's side for the demo and the benchmarks: endpoints that check every signature and keep the score."""
