"""The audit log: every change made through the API."""

from functions.api import operation

router = operation.Router()
TAGS = ["audit log"]
