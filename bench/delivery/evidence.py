"""What became of a load: what the receiver has, held against what the API has on record."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from bench.delivery.load import Load
from bench.delivery.scene import Scene
from local.receiver.client import Received

POLL_SECONDS = 0.1
RECORD_SECONDS = 30.0  # for records to follow receipts
ATTEMPTS_READ = 50  # deliveries whose attempts are read one by one


class Arrival(NamedTuple):
    """One event at one endpoint; `due_ns` as in Load."""

    due_ns: int
    received: Received


@dataclass(frozen=True)
class Record:
    """Of the expected deliveries: `unrecorded` are not `delivered` in the API, `retried` took several attempts."""

    unrecorded: int
    retried: int
    attempts_missing: int  # of those read: deliveries whose list of attempts does not have as many as they count


async def await_receipts(scene: Scene, load: Load, *, before: int, patience_seconds: float) -> None:
    """Until every event is at every endpoint, or nothing has come for `patience_seconds`.

    `before` is what the endpoints had accepted before this load.
    """
    expected = before + len(load.events) * scene.fanout
    accepted, since = -1, time.monotonic()
    while accepted < expected:
        now = await total(scene, "accepted")
        if now != accepted:
            accepted, since = now, time.monotonic()
        elif time.monotonic() - since > patience_seconds:
            return
        await asyncio.sleep(POLL_SECONDS)


async def total(scene: Scene, count: str) -> int:
    """Of one of the receiver's counts, over all endpoints."""
    stats = (await scene.receiver.stats())["endpoints"]
    return sum(stats[webhook.endpoint][count] for webhook in scene.webhooks)


async def arrivals(scene: Scene, load: Load) -> list[Arrival]:
    """What the receiver has of these events, one for each event and endpoint it has it at."""
    found = []
    for webhook in scene.webhooks:
        received = await scene.receiver.receipts(webhook.endpoint)
        found += [
            Arrival(due, received[event_id]) for event_id, due in load.events.items() if event_id in received
        ]
    return found


async def record(scene: Scene, load: Load, since: datetime) -> Record:
    """Reads every delivery made `since`, until all are recorded or RECORD_SECONDS are over. Raises ApiError."""
    webhook_ids = [webhook.id for webhook in scene.webhooks]
    expected = {(event_id, webhook_id) for event_id in load.events for webhook_id in webhook_ids}
    deadline = time.monotonic() + RECORD_SECONDS
    while True:
        listed = [row async for row in scene.api.every("/v1/deliveries", created_after=since.isoformat())]
        rows = {(row["event_id"], row["webhook_id"]): row for row in listed}
        delivered = {key: row for key, row in rows.items() if key in expected and row["status"] == "delivered"}
        if len(delivered) == len(expected) or time.monotonic() > deadline:
            break
        await asyncio.sleep(1)
    step = max(len(delivered) // ATTEMPTS_READ, 1)
    some = list(delivered.values())[::step][:ATTEMPTS_READ]
    missing = [row for row in some if await _attempts(scene, row["id"]) != row["attempts"]]
    return Record(
        unrecorded=len(expected) - len(delivered),
        retried=sum(row["attempts"] > 1 for row in delivered.values()),
        attempts_missing=len(missing),
    )


async def _attempts(scene: Scene, delivery_id: str) -> int:
    return len([attempt async for attempt in scene.api.every(f"/v1/deliveries/{delivery_id}/attempts")])
