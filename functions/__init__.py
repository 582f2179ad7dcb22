"""Hookline's Lambda functions.

Imports go one way: entry point → domain → models → (settings, errors, telemetry).
"""

VERSION = "0.1.0"
