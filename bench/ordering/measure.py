"""One case: events to so many webhooks, ordered or not, while another webhook is served beside them."""

import asyncio
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from threading import Event

from bench import load, receipts
from bench.connections import Connections
from bench.cpu import metered, of_functions
from bench.figures import Latency
from bench.load import Load, flat_out, open_loop
from bench.receipts import Arrival, await_receipts
from bench.scene import Plan, Scene, together

BESIDE = "beside"
ALONE_SECONDS = 10.0  # that the other webhook is served with nothing else under way
BATCH = 100  # events a request, one request at a time: so they have one order
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class Case:
    """So many webhooks (`lines`), of this `ordering`; none of them is the other webhook alone."""

    name: str
    ordering: str
    lines: int

    @classmethod
    def of(cls, ordering: str, lines: int) -> "Case":
        return cls(f"{lines} {'strict' if ordering == 'strict' else 'unordered'}", ordering, lines)

    @property
    def types(self) -> list[str]:
        """An event type for each of its webhooks, which is also the endpoint's name."""
        return [f"bench.{self.ordering}-{self.lines}.{number}" for number in range(self.lines)]


@dataclass(frozen=True)
class Wanted:
    cases: Sequence[Case]
    events: int
    rate: float
    endpoint_ms: float
    size: int  # of an event's data, bytes
    patience: float

    @property
    def plans(self) -> list[Plan]:
        fields = {case: {"ordering": case.ordering} for case in self.cases}
        lines = [Plan(type, [type], fields[case]) for case in self.cases for type in case.types]
        return [*lines, Plan(BESIDE, [f"bench.{BESIDE}"])]


@dataclass(frozen=True)
class Result:
    """`overtaken` are events that arrived before one that had been accepted before them for the same webhook.

    `beside` is of the other webhook: from when an event was due to its arrival, and how many a second.
    """

    name: str
    deliveries: int
    deliveries_per_second: float
    overtaken: int
    cpu_us: float  # of the functions, per delivery, those beside included
    beside: Latency
    beside_per_second: float
    duplicates: int
    lost: int


async def warm_up(here: Scene, wanted: Wanted) -> None:
    """Every webhook gets something."""
    types = [type for case in wanted.cases for type in case.types]
    with closing(Connections(here.api)) as connections:
        bodies = load.batches(4 * len(types), batch=BATCH, size=wanted.size, types=types)
        sent = await asyncio.to_thread(flat_out, connections, bodies=bodies, senders=1)
    await await_receipts(here.receiver.accepted, sent.deliveries, patience_seconds=wanted.patience)


async def measure(here: Scene, wanted: Wanted, case: Case) -> Result:
    """The other webhook gets its events until all of the case's have arrived.

    Raises ApiError, ReceiverError, StackError.
    """
    await here.reset_receiver()
    if wanted.endpoint_ms:
        slow = partial(here.receiver.change, mode="slow", delay_seconds=wanted.endpoint_ms / 1000)
        await together(slow(type) for type in case.types)
    stop = Event()
    with closing(Connections(here.api)) as one, closing(Connections(here.api)) as another:
        async with metered(here) as meter:
            beside = asyncio.create_task(asyncio.to_thread(_beside, one, wanted, stop))
            try:
                sent = await _lines(here, wanted, case, another)
            finally:
                stop.set()
            others = await beside
            expected = sent.deliveries + others.deliveries
            await await_receipts(here.receiver.accepted, expected, patience_seconds=wanted.patience)
    there = await receipts.arrivals(here, others)
    arrived = await receipts.arrivals(here, sent)
    return Result(
        name=case.name,
        deliveries=sent.deliveries,
        deliveries_per_second=receipts.per_second(sent.first_ns, arrived),
        overtaken=_overtaken(sent, arrived),
        cpu_us=of_functions(meter.seconds()) / expected * 1e6,
        beside=Latency.of([one.latency_ns for one in there]),
        beside_per_second=receipts.per_second(others.first_ns, there),
        duplicates=receipts.duplicates([*arrived, *there]),
        lost=receipts.lost([*arrived, *there], expected),
    )


def _beside(connections: Connections, wanted: Wanted, stop: Event) -> Load:
    bodies = [load.single(wanted.size, f"bench.{BESIDE}")]
    return open_loop(connections, rate=wanted.rate, seconds=LONGEST_SECONDS, bodies=bodies, stop=stop)


async def _lines(here: Scene, wanted: Wanted, case: Case, connections: Connections) -> Load:
    """Until all of it has arrived; without webhooks, nothing for a while."""
    if not case.lines:
        await asyncio.sleep(ALONE_SECONDS)
        return Load(first_ns=time.monotonic_ns())
    bodies = load.batches(wanted.events, batch=BATCH, size=wanted.size, types=case.types)
    sent = await asyncio.to_thread(flat_out, connections, bodies=bodies, senders=1)

    async def accepted() -> int:
        stats = (await here.receiver.stats())["endpoints"]
        return sum(stats[type]["accepted"] for type in case.types)

    await await_receipts(accepted, sent.deliveries, patience_seconds=wanted.patience)
    return sent


def _overtaken(sent: Load, arrived: Sequence[Arrival]) -> int:
    """Of the events of each endpoint, in the order they arrived in."""
    places = {event_id: place for place, event_id in enumerate(sent.events)}
    by_endpoint: dict[str, list[int]] = {}
    for arrival in arrived:
        by_endpoint.setdefault(arrival.endpoint, []).append(places[arrival.event_id])
    return sum(after < before for came in by_endpoint.values() for before, after in pairwise(came))
