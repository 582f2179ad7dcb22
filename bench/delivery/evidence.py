"""What the API has on record of a load, read row by row."""

import asyncio
import time
from dataclasses import dataclass
from datetime import datetime

from bench.load import Load
from bench.receipts import RECORD_SECONDS
from bench.scene import Scene

ATTEMPTS_READ = 50  # deliveries whose attempts are read one by one


@dataclass(frozen=True)
class Record:
    """Of the expected deliveries: `unrecorded` are not `delivered` in the API, `retried` took several attempts."""

    unrecorded: int
    retried: int
    attempts_missing: int  # of those read: deliveries whose list of attempts does not have as many as they count


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
