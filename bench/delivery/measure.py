"""One measurement: a warm-up of the same kind, the load, and what became of it."""

import asyncio
import statistics
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from bench import receipts
from bench.cpu import SETTLE_SECONDS, Meter, metered
from bench.delivery import evidence
from bench.delivery.evidence import Record
from bench.figures import Latency
from bench.load import Load
from bench.scene import Scene


@dataclass(frozen=True)
class Scenario:
    """`send` makes the load, in a thread of its own; so does `warm_up`: a smaller one that counts for nothing."""

    name: str
    send: Callable[[], Load]
    warm_up: Callable[[], Load]


@dataclass(frozen=True)
class Result:
    """`lost` deliveries are not at the receiver; `record` says what the API has of them."""

    name: str
    events: int
    deliveries: int
    ingest: Latency  # of a request, from when it was due
    receipt: Latency  # from when an event was due to its arrival at an endpoint
    deliveries_per_second: float  # from the first request to the last arrival
    cpu_us: dict[str, float]  # per delivery, by process group
    verify_us: float  # what checking one signature takes the receiver
    duplicates: int
    lost: int
    bad_signatures: int
    record: Record


async def measure(scene: Scene, scenario: Scenario, *, patience_seconds: float) -> Result:
    """What has not arrived after `patience_seconds` without any arrival counts as lost.

    Raises ApiError, ReceiverError, StackError.
    """
    await scene.reset_receiver()
    warm_up = await asyncio.to_thread(scenario.warm_up)
    await _received(scene, warm_up, 0, patience_seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    before, since = await scene.receiver.accepted(), datetime.now(UTC) - receipts.CLOCK_SKEW
    async with metered(scene) as meter:
        load = await asyncio.to_thread(scenario.send)
        await _received(scene, load, before, patience_seconds)
    return await _result(scene, scenario.name, load, meter, since)


async def _received(scene: Scene, load: Load, before: int, patience_seconds: float) -> None:
    expected = before + len(load.events) * scene.fanout
    await receipts.await_receipts(scene.receiver.accepted, expected, patience_seconds=patience_seconds)


async def _result(scene: Scene, name: str, load: Load, meter: Meter, since: datetime) -> Result:
    arrived = await receipts.arrivals(scene, load)
    stats = (await scene.receiver.stats())["endpoints"].values()
    deliveries = len(load.events) * scene.fanout
    return Result(
        name=name,
        events=len(load.events),
        deliveries=deliveries,
        ingest=Latency.of(load.answers_ns),
        receipt=Latency.of([arrival.latency_ns for arrival in arrived]),
        deliveries_per_second=receipts.per_second(load.first_ns, arrived),
        cpu_us={group: seconds / deliveries * 1e6 for group, seconds in meter.seconds().items()},
        verify_us=statistics.fmean(one["verify_us"] for one in stats if one["requests"]),
        duplicates=receipts.duplicates(arrived),
        lost=receipts.lost(arrived, deliveries),
        bad_signatures=sum(one["bad_signatures"] for one in stats),
        record=await evidence.record(scene, load, since),
    )
