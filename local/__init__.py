"""Runs the synthesized stack on one machine. Sees the template and the network, never the functions' code."""
