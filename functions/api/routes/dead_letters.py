"""Dead letters: deliveries that ran out of attempts, waiting for a person."""

from functions.api import operation

router = operation.Router()
TAGS = ["dead letters"]
