"""Background jobs: what takes longer than a request."""

from functions.api import operation

router = operation.Router()
TAGS = ["jobs"]
