"""What the receiver has of a load."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Collection
from datetime import datetime, timedelta
from typing import NamedTuple

from bench.load import Load
from bench.scene import Scene
from local.receiver.client import Received

POLL_SECONDS = 0.1
RECORD_SECONDS = 30.0  # for records to follow receipts
UNFINISHED = ("pending", "delivering", "failed")
CLOCK_SKEW = timedelta(seconds=5)  # the database's clock may not be this machine's


class Arrival(NamedTuple):
    """One event at one endpoint; `due_ns` as in Load."""

    endpoint: str
    event_id: str
    due_ns: int
    received: Received

    @property
    def latency_ns(self) -> int:
        return self.received.first_ns - self.due_ns


async def await_receipts(
    accepted: Callable[[], Awaitable[int]], expected: int, *, patience_seconds: float
) -> None:
    """Until `accepted` gives what is expected, or has given the same for `patience_seconds`."""
    last, since = -1, time.monotonic()
    while last < expected:
        now = await accepted()
        if now != last:
            last, since = now, time.monotonic()
        elif time.monotonic() - since > patience_seconds:
            return
        await asyncio.sleep(POLL_SECONDS)


async def arrivals(scene: Scene, load: Load) -> list[Arrival]:
    """What the receiver has of these events, one for each event and endpoint it has it at, in order there."""
    return [
        Arrival(endpoint, event_id, load.events[event_id].due_ns, received)
        for endpoint, receipts in (await scene.receiver.all_receipts()).items()
        for event_id, received in receipts.items()
        if event_id in load.events
    ]


def lost(arrived: Collection[Arrival], expected: int) -> int:
    """How many of the expected deliveries no endpoint has accepted."""
    return expected - sum(arrival.received.accepted > 0 for arrival in arrived)


def duplicates(arrived: Collection[Arrival]) -> int:
    return sum(max(arrival.received.accepted - 1, 0) for arrival in arrived)


def per_second(first_ns: int, arrived: Collection[Arrival]) -> float:
    """Arrivals a second from `first_ns` to the last one."""
    if not arrived:
        return 0.0
    return len(arrived) / (max(arrival.received.first_ns for arrival in arrived) - first_ns) * 1e9


async def unfinished(scene: Scene, since: datetime) -> int:
    """Deliveries made `since` that the API does not have as delivered, once it had time to. Raises ApiError."""
    deadline = time.monotonic() + RECORD_SECONDS
    while left := sum([await _count(scene, status, since) for status in UNFINISHED]):
        if time.monotonic() > deadline:
            return left
        await asyncio.sleep(1)
    return 0


async def _count(scene: Scene, status: str, since: datetime) -> int:
    made = scene.api.every("/v1/deliveries", status=status, created_after=since.isoformat())
    return len([row async for row in made])
