"""Applications: the project's own customers."""

from functions.api import operation

router = operation.Router()
TAGS = ["applications"]
