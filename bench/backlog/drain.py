"""Piling deliveries up and letting them go, and the same webhooks under a live load."""

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple

from bench import receipts
from bench.cpu import Meter, metered
from bench.database import connected
from bench.load import Load
from bench.receipts import await_receipts
from bench.scene import Scene, together

LIVE, BACKLOG = "live", "backlog"
POLL_SECONDS = 0.5
# Neither finished nor held back: on their way, by a message or to be found by dispatch.
ON_THEIR_WAY = """
SELECT count(*) FROM webhook.webhook_deliveries
WHERE webhook_id = ANY (CAST(%s AS uuid[])) AND sweep_at IS NOT NULL AND sweep_at <> 'infinity'
"""


class Waiting(NamedTuple):
    """Deliveries that are held back, and what the endpoints had accepted before."""

    sent: Load
    since: datetime
    before: int


@dataclass(frozen=True)
class Result:
    """The rate is from the first request, of events or to resume, to the last arrival."""

    name: str
    deliveries: int
    seconds: float
    deliveries_per_second: float
    cpu_us: dict[str, float]  # per delivery, by process group
    duplicates: int
    lost: int
    unrecorded: int


async def live(here: Scene, send: Callable[[], Load], patience: float) -> Result:
    """Raises ApiError, ReceiverError, StackError."""
    before, since = await here.receiver.accepted(), datetime.now(UTC) - receipts.CLOCK_SKEW
    async with metered(here) as meter:
        sent = await asyncio.to_thread(send)
        await await_receipts(here.receiver.accepted, before + sent.deliveries, patience_seconds=patience)
    return await _result(here, LIVE, Waiting(sent, since, before), sent.first_ns, meter)


async def pile_up(here: Scene, send: Callable[[], Load], patience: float) -> Waiting:
    """Webhooks paused by the API, and events accepted for them until every delivery is held back.

    Raises ApiError, ReceiverError; TimeoutError when some still are not after `patience` seconds.
    """
    await _tell_all(here, "pause")
    before, since = await here.receiver.accepted(), datetime.now(UTC) - receipts.CLOCK_SKEW
    sent = await asyncio.to_thread(send)
    deadline = time.monotonic() + patience
    while left := await asyncio.to_thread(_on_their_way, here):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{left} deliveries to paused webhooks are not held back")
        await asyncio.sleep(POLL_SECONDS)
    return Waiting(sent, since, before)


async def drained(here: Scene, waiting: Waiting, patience: float) -> Result:
    """All webhooks resumed by the API. Raises ApiError, ReceiverError, StackError."""
    async with metered(here) as meter:
        first_ns = time.monotonic_ns()
        await _tell_all(here, "resume")
        expected = waiting.before + waiting.sent.deliveries
        await await_receipts(here.receiver.accepted, expected, patience_seconds=patience)
    return await _result(here, BACKLOG, waiting, first_ns, meter)


async def _tell_all(here: Scene, what: str) -> None:
    await together(here.api.call("POST", f"/v1/webhooks/{webhook.id}/{what}") for webhook in here.webhooks)


def _on_their_way(here: Scene) -> int:
    url = json.loads(here.stack_file.read_text())["database_url"]
    with connected(url) as connection:
        cursor = connection.cursor()
        cursor.execute(ON_THEIR_WAY, ([webhook.id for webhook in here.webhooks],))
        return int(cursor.fetchone()[0])


async def _result(here: Scene, name: str, made: Waiting, first_ns: int, meter: Meter) -> Result:
    arrived = await receipts.arrivals(here, made.sent)
    rate = receipts.per_second(first_ns, arrived)
    return Result(
        name=name,
        deliveries=made.sent.deliveries,
        seconds=len(arrived) / rate if rate else 0.0,
        deliveries_per_second=rate,
        cpu_us={group: seconds / made.sent.deliveries * 1e6 for group, seconds in meter.seconds().items()},
        duplicates=receipts.duplicates(arrived),
        lost=receipts.lost(arrived, made.sent.deliveries),
        unrecorded=await receipts.unfinished(here, made.since),
    )
