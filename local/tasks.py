"""Background tasks whose failure is said instead of kept until somebody asks."""

import asyncio
import logging
import traceback
from collections.abc import Coroutine
from typing import Any

from local.logs import say


def watched(work: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task nobody awaits; an exception in it is a fault of this program and is logged with its traceback."""
    task = asyncio.create_task(work)
    task.add_done_callback(_tell)
    return task


def _tell(task: "asyncio.Task[None]") -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        say("".join(traceback.format_exception(error)).rstrip(), logging.ERROR)
