"""Levers on a webhook: pause, resume, recover, replay what it missed, test."""

from functions.api import operation

router = operation.Router()
TAGS = ["webhooks"]
