"""One event everywhere, or batches: the load, and what became of it."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench import load, receipts
from bench.connections import Connections
from bench.cpu import metered
from bench.figures import Latency
from bench.load import Load, flat_out
from bench.scene import Scene

FAN_OUT = "one event"
EVERYWHERE, BATCHES = "bench.everywhere", "bench.batch"  # event types
SENDERS = 2  # requests with batches at a time


@dataclass(frozen=True)
class Result:
    """Times are from the first request: until its answer, the first arrival, the last one."""

    name: str
    deliveries: int
    accept_ms: float
    first_ms: float
    last_ms: float
    receipt: Latency  # from when the event's request was sent to its arrival at an endpoint
    deliveries_per_second: float
    cpu_us: dict[str, float]  # per delivery, by process group
    duplicates: int
    lost: int
    unrecorded: int


def everywhere(connections: Connections, size: int) -> Load:
    """One event to all webhooks but a few."""
    sent = Load(first_ns=time.monotonic_ns())
    connections.post(load.SINGLE, load.single(size, EVERYWHERE), sent.first_ns)
    while connections.in_flight:
        for answer in connections.answers(1.0):
            sent.take(answer)
    return sent


def batches(connections: Connections, events: int, batch: int, size: int) -> Load:
    """Events in batches, as fast as they are taken."""
    bodies = load.batches(events, batch=batch, size=size, types=[BATCHES])
    return flat_out(connections, bodies=bodies, senders=SENDERS)


async def measure(here: Scene, name: str, send: Callable[[], Load], *, patience_seconds: float) -> Result:
    """Raises ApiError, ReceiverError, StackError."""
    before, since = await here.receiver.accepted(), datetime.now(UTC) - receipts.CLOCK_SKEW
    async with metered(here) as meter:
        sent = await asyncio.to_thread(send)
        await receipts.await_receipts(
            here.receiver.accepted, before + sent.deliveries, patience_seconds=patience_seconds
        )
    arrived = await receipts.arrivals(here, sent)
    times = [one.received.first_ns - sent.first_ns for one in arrived]
    return Result(
        name=name,
        deliveries=sent.deliveries,
        accept_ms=sent.answers_ns[0] / 1e6,
        first_ms=min(times) / 1e6,
        last_ms=max(times) / 1e6,
        receipt=Latency.of([one.latency_ns for one in arrived]),
        deliveries_per_second=receipts.per_second(sent.first_ns, arrived),
        cpu_us={group: seconds / sent.deliveries * 1e6 for group, seconds in meter.seconds().items()},
        duplicates=receipts.duplicates(arrived),
        lost=receipts.lost(arrived, sent.deliveries),
        unrecorded=await receipts.unfinished(here, since),
    )
