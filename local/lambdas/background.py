"""Asynchronous invocations: accepted at once, run in the background, tried again when the function fails."""

import asyncio
import logging

from local.lambdas.functions import Function
from local.logs import say
from local.tasks import watched

# https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
RETRY_SECONDS = (60, 120)


class Background:
    """Invocations nobody waits for. They are forgotten when this process ends."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()
        self._stopping = asyncio.Event()

    def invoke(self, function: Function, payload: bytes) -> None:
        task = watched(self.run(function, payload))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def stop(self, seconds: float) -> None:
        """Let those under way end within `seconds`; those that wait for another try are dropped."""
        self._stopping.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=seconds)
        for task in self._tasks:
            task.cancel()

    async def run(self, function: Function, payload: bytes) -> None:
        """One to its end, for whoever has something to wait for."""
        for attempt in range(function.spec.async_retries + 1):
            if attempt and await self._stopped_within(RETRY_SECONDS[attempt - 1]):
                return
            result = await function.invoke(payload)
            if not result.failed:
                return
            say(f"{function.spec.name} failed: {result.payload[:500].decode(errors='replace')}", logging.ERROR)

    async def _stopped_within(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._stopping.wait(), seconds)
        except TimeoutError:
            return False
        return True
