"""Event source mappings: from a queue to a function, a batch at a time, as Lambda's own pollers do it."""

import asyncio
import logging

import aiohttp

from local.cloudformation.resources import MappingSpec
from local.cloudformation.stores import QueueSpec
from local.lambdas.functions import Function
from local.logs import say
from local.mappings.batch import Message, event, failed_ids
from local.mappings.sqs_client import LONG_POLL_SECONDS, Sqs, SqsError
from local.tasks import watched

PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0)  # seconds between tries while the queue does not answer
# While a batch runs, another is received only after this long. Lambda's pollers take the next one at once, on
# cores of its own; here both would share two, and one fuller batch costs far less than two small ones.
PATIENCE_SECONDS = 0.02
DELETE_TRIES = len(PAUSES) + 1  # then the messages come again, and the function must stand that anyway
_UNREACHABLE = (SqsError, aiohttp.ClientError, TimeoutError, OSError)


class Mapping:
    """Polls one queue for one function until it is stopped."""

    def __init__(self, spec: MappingSpec, *, queue: QueueSpec, function: Function, sqs: Sqs) -> None:
        self._spec = spec
        self._queue = queue
        self._function = function
        self._sqs = sqs
        self._batches: set[asyncio.Task[None]] = set()
        self._poller: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._poller = watched(self._poll())

    async def stop(self, seconds: float) -> None:
        """Receive nothing more, and let the batches under way end within `seconds`."""
        if self._poller is not None:
            self._poller.cancel()
        if self._batches:
            await asyncio.wait(self._batches, timeout=seconds)
        for batch in self._batches:
            batch.cancel()

    async def _poll(self) -> None:
        """One long poll at a time: what comes in while processes are busy makes the next batch fuller."""
        while True:
            await self._capacity()
            messages = await self._receive()
            if messages:
                batch = watched(self._process(messages))
                self._batches.add(batch)
                batch.add_done_callback(self._batches.discard)
                await asyncio.sleep(0)  # it must count as running before the next look at what is free

    async def _capacity(self) -> None:
        """Wait until what is received next can run at once: a message held here is hidden from everybody."""
        if self._batches:
            await asyncio.wait(self._batches, timeout=PATIENCE_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        limit = self._spec.max_concurrency
        while limit is not None and len(self._batches) >= limit:
            await asyncio.wait(self._batches, return_when=asyncio.FIRST_COMPLETED)
        await self._function.slot()

    async def _receive(self) -> list[Message]:
        failures = 0
        while True:
            try:
                # After a failure without waiting: then it is known at once that the queue is back.
                wait = 0 if failures else LONG_POLL_SECONDS
                messages = await self._sqs.receive(self._queue.url, self._spec.batch_size, wait=wait)
            except _UNREACHABLE as error:
                if failures == 0:
                    say(f"queue {self._queue.name} does not answer, trying on: {error!r}", logging.WARNING)
                await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
                failures += 1
                continue
            if failures:
                say(f"queue {self._queue.name} answers again")
            return messages

    async def _process(self, messages: list[Message]) -> None:
        result = await self._function.invoke(event(messages, self._queue.arn))
        failed = failed_ids(result, messages, self._spec)
        if failed is None:  # their visibility timeout runs out, and they come again
            say(
                f"{self._spec.function} failed a batch of {len(messages)}: {_excerpt(result.payload)}",
                logging.ERROR,
            )
            return
        done = [message["ReceiptHandle"] for message in messages if message["MessageId"] not in failed]
        if done:
            await self._delete(done)

    async def _delete(self, receipt_handles: list[str]) -> None:
        for pause in (*PAUSES, None):
            try:
                await self._sqs.delete(self._queue.url, receipt_handles)
            except _UNREACHABLE as error:
                if pause is None:
                    say(
                        f"{len(receipt_handles)} done messages of {self._queue.name} stay: {error!r}",
                        logging.ERROR,
                    )
                else:
                    await asyncio.sleep(pause)
            else:
                return


def _excerpt(payload: bytes) -> str:
    return payload[:500].decode(errors="replace")
