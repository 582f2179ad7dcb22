"""One run: webhooks of a project of its own, a warm-up with all endpoints well, then the load."""

import asyncio
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench import load, receipts
from bench.connections import Connections
from bench.cpu import metered, of_functions
from bench.figures import Latency
from bench.load import Load, flat_out, open_loop
from bench.receipts import Arrival, await_receipts
from bench.scene import Plan, Scene, Webhook, scene, together

QUIET, NOISY = "without", "with"
WARM_UP_SECONDS = 3.0
BURST = 4_000  # deliveries of the warm-up: for a second or more there is work for every process
HANG_SECONDS = 60.0  # an endpoint that hangs answers after it: longer than any timeout measured with


@dataclass(frozen=True)
class Wanted:
    """What the command line asks for, by its options' names."""

    webhooks: int
    hanging: int
    failing: int
    rate: float
    to_all: bool
    seconds: float
    timeout: int
    window: float
    size: int  # of an event's data, bytes
    patience: float

    @property
    def events_per_second(self) -> float:
        return self.rate / self.webhooks if self.to_all else self.rate

    @property
    def bodies(self) -> list[bytes]:
        """Of one event for each webhook, or of one for all."""
        return [load.single(self.size, type) for type in self.types]

    @property
    def types(self) -> list[str]:
        """Of the events, in turn."""
        return [_type(number) for number in range(1 if self.to_all else self.webhooks)]

    @property
    def plans(self) -> list[Plan]:
        return [
            Plan(
                f"neighbour-{number}",
                ["*"] if self.to_all else [_type(number)],
                {"timeout_seconds": self.timeout},
            )
            for number in range(self.webhooks)
        ]


@dataclass(frozen=True)
class Phase:
    """`healthy` counts what is expected at the endpoints that are well in both kinds of run, `lost` what of it
    never came. `windows_p95` are of the events due in each window of the run, ms.
    """

    name: str
    healthy: int
    lost: int
    duplicates: int
    receipt: Latency
    windows_p95: list[float]
    hanging_requests: int
    failing_requests: int
    functions_cpu_seconds: float


async def run_phase(stack_file: Path, name: str, wanted: Wanted) -> Phase:
    """Each endpoint has a port of its own, as it would have a host. Raises ApiError, ReceiverError, StackError."""
    remember = 2 * round(wanted.events_per_second * wanted.seconds) + 1
    async with scene(stack_file, wanted.plans, remember=remember, hosts=wanted.webhooks) as here:
        hanging = here.webhooks[: wanted.hanging]
        failing = here.webhooks[wanted.hanging : wanted.hanging + wanted.failing]
        healthy = here.webhooks[wanted.hanging + wanted.failing :]
        with closing(Connections(here.api)) as connections:
            send = partial(open_loop, connections, rate=wanted.events_per_second, bodies=wanted.bodies)
            await _warm_up(here, connections, send, wanted)
            if name == NOISY:
                await _break(here, hanging, failing)
            async with metered(here) as meter:
                sent = await asyncio.to_thread(send, seconds=wanted.seconds)
                expected = _expected(sent, wanted)
                await _await_healthy(here, healthy, expected, wanted.patience)
        arrived = await receipts.arrivals(here, sent)
        arrived = [one for one in arrived if one.endpoint in {webhook.endpoint for webhook in healthy}]
        return Phase(
            name=name,
            healthy=expected,
            lost=receipts.lost(arrived, expected),
            duplicates=receipts.duplicates(arrived),
            receipt=Latency.of([one.latency_ns for one in arrived]),
            windows_p95=_windows(sent, arrived, wanted),
            hanging_requests=await _requests(here, hanging),
            failing_requests=await _requests(here, failing),
            functions_cpu_seconds=of_functions(meter.seconds()),
        )


async def _warm_up(here: Scene, connections: Connections, send: "partial[Load]", wanted: Wanted) -> None:
    """Every endpoint is well and gets something: first in a burst, which starts every process there may be, then
    at the rate. What new processes and connections take is no part of this.
    """
    events = BURST * len(wanted.types) // wanted.webhooks
    bodies = load.batches(events, batch=len(wanted.types), size=wanted.size, types=wanted.types)
    burst = await asyncio.to_thread(flat_out, connections, bodies=bodies, senders=2)
    sent = await asyncio.to_thread(send, seconds=WARM_UP_SECONDS)
    expected = burst.deliveries + sent.deliveries
    await await_receipts(here.receiver.accepted, expected, patience_seconds=wanted.patience)
    await here.reset_receiver()


async def _break(here: Scene, hanging: list[Webhook], failing: list[Webhook]) -> None:
    """They hang and fail from one moment to the next."""
    change = here.receiver.change
    await together(change(webhook.endpoint, mode="slow", delay_seconds=HANG_SECONDS) for webhook in hanging)
    await together(change(webhook.endpoint, mode="always-fail", status=500) for webhook in failing)


def _expected(sent: Load, wanted: Wanted) -> int:
    """Deliveries to the endpoints that are well."""
    bad = wanted.hanging + wanted.failing
    if wanted.to_all:
        return len(sent.events) * (wanted.webhooks - bad)
    spared = {_type(number) for number in range(bad)}
    return sum(event.type not in spared for event in sent.events.values())


async def _await_healthy(here: Scene, healthy: list[Webhook], expected: int, patience: float) -> None:
    async def accepted() -> int:
        stats = (await here.receiver.stats())["endpoints"]
        return sum(stats[webhook.endpoint]["accepted"] for webhook in healthy)

    await await_receipts(accepted, expected, patience_seconds=patience)


def _windows(sent: Load, arrived: list[Arrival], wanted: Wanted) -> list[float]:
    windows: list[list[int]] = [[] for _ in range(-int(-wanted.seconds // wanted.window))]
    for one in arrived:
        windows[int((one.due_ns - sent.first_ns) / 1e9 // wanted.window)].append(one.latency_ns)
    return [Latency.of(values).p95 for values in windows]


async def _requests(here: Scene, webhooks: list[Webhook]) -> int:
    stats = (await here.receiver.stats())["endpoints"]
    return sum(stats[webhook.endpoint]["requests"] for webhook in webhooks)


def _type(number: int) -> str:
    return f"bench.neighbour{number}"
