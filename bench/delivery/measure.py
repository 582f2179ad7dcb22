"""One measurement: a warm-up of the same kind, the load, and what became of it."""

import asyncio
import statistics
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from bench.delivery import evidence
from bench.delivery.cpu import Meter, all_processes
from bench.delivery.evidence import Arrival, Record
from bench.delivery.load import Load
from bench.delivery.scene import Scene

SAMPLE_SECONDS = 2.0
SETTLE_SECONDS = 0.5  # for the last receipts to be recorded: that is part of what a delivery costs
CLOCK_SKEW = timedelta(seconds=5)  # the database's clock may not be this machine's


@dataclass(frozen=True)
class Scenario:
    """`send` makes the load, in a thread of its own; so does `warm_up`: a smaller one that counts for nothing."""

    name: str
    send: Callable[[], Load]
    warm_up: Callable[[], Load]


@dataclass(frozen=True)
class Latency:
    """In ms."""

    p50: float
    p95: float

    @classmethod
    def of(cls, values_ns: list[int]) -> "Latency":
        """Not-a-number when there are too few to say."""
        if len(values_ns) < 2:
            return cls(float("nan"), float("nan"))
        cuts = statistics.quantiles(values_ns, n=100, method="inclusive")
        return cls(cuts[49] / 1e6, cuts[94] / 1e6)


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
    await evidence.await_receipts(scene, warm_up, before=0, patience_seconds=patience_seconds)
    await asyncio.sleep(SETTLE_SECONDS)
    before, since = await evidence.total(scene, "accepted"), datetime.now(UTC) - CLOCK_SKEW
    async with _metered(scene) as meter:
        load = await asyncio.to_thread(scenario.send)
        await evidence.await_receipts(scene, load, before=before, patience_seconds=patience_seconds)
        await asyncio.sleep(SETTLE_SECONDS)
    return await _result(scene, scenario.name, load, meter, since)


@asynccontextmanager
async def _metered(scene: Scene) -> AsyncIterator[Meter]:
    meter = Meter()
    meter.start(all_processes(await scene.processes(), scene.receiver_pid))

    async def sample() -> None:
        processes = all_processes(await scene.processes(), scene.receiver_pid)
        await asyncio.to_thread(meter.sample, processes)

    async def keep_sampling() -> None:
        while True:
            await asyncio.sleep(SAMPLE_SECONDS)
            await sample()

    sampling = asyncio.create_task(keep_sampling())
    try:
        yield meter
        await sample()
    finally:
        sampling.cancel()


async def _result(scene: Scene, name: str, load: Load, meter: Meter, since: datetime) -> Result:
    arrivals = await evidence.arrivals(scene, load)
    stats = (await scene.receiver.stats())["endpoints"]
    deliveries = len(load.events) * scene.fanout
    return Result(
        name=name,
        events=len(load.events),
        deliveries=deliveries,
        ingest=Latency.of(load.answers_ns),
        receipt=Latency.of([arrival.received.first_ns - arrival.due_ns for arrival in arrivals]),
        deliveries_per_second=_per_second(load, arrivals),
        cpu_us={group: seconds / deliveries * 1e6 for group, seconds in meter.seconds().items()},
        verify_us=statistics.fmean(one["verify_us"] for one in stats.values() if one["requests"]),
        duplicates=sum(max(arrival.received.accepted - 1, 0) for arrival in arrivals),
        lost=deliveries - sum(arrival.received.accepted > 0 for arrival in arrivals),
        bad_signatures=await evidence.total(scene, "bad_signatures"),
        record=await evidence.record(scene, load, since),
    )


def _per_second(load: Load, arrivals: list[Arrival]) -> float:
    if not arrivals:
        return 0.0
    last_ns = max(arrival.received.first_ns for arrival in arrivals)
    return len(arrivals) / (last_ns - load.first_ns) * 1e9
