"""Sends the examples: most one by one at an even pace, the rest in batches."""

import asyncio
import json
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from local.demo.api import Api
from local.demo.examples import Example

PER_SECOND = 50  # so that the latency shown is the service's, not that of a queue the demo made
AT_ONCE = 20
BATCHED = 3  # every third goes in a batch
BATCH_BYTES = 700_000  # a request has at most 1 MiB
BATCH_EVENTS = 100


@dataclass(frozen=True)
class Sent:
    """`sent_ns`, of the monotonic clock, is when its request was begun."""

    type: str
    sent_ns: int


class Traffic:
    """What was sent so far, by the id the API gave it."""

    def __init__(self, api: Api, examples: Iterable[Example], *, first: str) -> None:
        """Types that begin with `first` are sent first and one by one."""
        self._api = api
        self.examples = sorted(examples, key=lambda example: not example.type.startswith(first))
        rest = [example for example in self.examples if not example.type.startswith(first)]
        self._batched = rest[::BATCHED]
        batched = {id(example) for example in self._batched}
        self._single = [example for example in self.examples if id(example) not in batched]
        self.sent: dict[str, Sent] = {}

    async def send(self) -> None:
        """Raises ApiError."""
        await self._send_singles()
        for batch in batches(self._batched):
            await self._send_batch(batch)

    async def _send_singles(self) -> None:
        places = asyncio.Semaphore(AT_ONCE)
        try:
            async with asyncio.TaskGroup() as group:
                for example in self._single:
                    await places.acquire()
                    group.create_task(self._send_one(example)).add_done_callback(lambda _: places.release())
                    await asyncio.sleep(1 / PER_SECOND)
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _send_one(self, example: Example) -> None:
        sent = Sent(example.type, time.monotonic_ns())
        accepted = await self._api.call("POST", "/v1/events", body=_event(example))
        self.sent[accepted["id"]] = sent

    async def _send_batch(self, examples: list[Example]) -> None:
        now = time.monotonic_ns()
        body = {"events": [_event(example) for example in examples]}
        accepted = await self._api.call("POST", "/v1/events/batch", body=body)
        for event, example in zip(accepted["data"], examples, strict=True):
            self.sent[event["id"]] = Sent(example.type, now)


def batches(examples: Iterable[Example]) -> Iterator[list[Example]]:
    """In order, each within the limits of a request."""
    batch: list[Example] = []
    size = 0
    for example in examples:
        needed = len(json.dumps(example.data))
        if batch and (size + needed > BATCH_BYTES or len(batch) == BATCH_EVENTS):
            yield batch
            batch, size = [], 0
        batch.append(example)
        size += needed
    if batch:
        yield batch


def _event(example: Example) -> dict[str, object]:
    return {"type": example.type, "data": example.data}
