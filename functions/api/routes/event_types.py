"""Event types: the registry, with JSON Schemas."""

from functions.api import operation

router = operation.Router()
TAGS = ["event types"]
