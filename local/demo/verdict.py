"""Whether everything arrived: the receiver's word, held against what the API has on record."""

import asyncio
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from local.demo.api import Api
from local.demo.score import Score

RECORD_SECONDS = 10.0  # a receipt is there before its record is: that is one batch behind
POLL_SECONDS = 0.3
NAMED = 3  # of what is missing, so many are shown

Rows = dict[str, dict[str, Any]]
"""Deliveries of one webhook, as the API lists them, by event id."""


@dataclass(frozen=True)
class Verdict:
    """`retried` is a delivery that took more than one attempt, to look at; None when there was none."""

    complaints: list[str]
    retried: dict[str, Any] | None


async def verdict(api: Api, scores: Iterable[Score], sent: Mapping[str, Any], since: datetime) -> Verdict:
    """Waits at most RECORD_SECONDS for the records. `since` is before the first event. Raises ApiError."""
    found = [(score, await _settled(api, score, sent, since)) for score in scores]
    retried = [row for _, rows in found for row in rows.values() if row["attempts"] > 1]
    complaints = [complaint for score, rows in found for complaint in _complaints(score, rows)]
    if not retried:
        complaints.append("no delivery was tried again, though an endpoint refused some")
    return Verdict(complaints, retried[0] if retried else None)


async def _settled(api: Api, score: Score, sent: Mapping[str, Any], since: datetime) -> Rows:
    deadline = time.monotonic() + RECORD_SECONDS
    while True:
        query = {"webhook_id": score.webhook.id, "created_after": since.isoformat()}
        listed = [row async for row in api.every("/v1/deliveries", **query)]
        rows = {row["event_id"]: row for row in listed if row["event_id"] in sent}
        if not _unrecorded(score, rows) or not score.is_complete or time.monotonic() > deadline:
            return rows
        await asyncio.sleep(POLL_SECONDS)


def _complaints(score: Score, rows: Rows) -> Iterable[str]:
    name = score.webhook.plan.name
    if score.missing:
        some = "; ".join(_state(event_id, rows.get(event_id)) for event_id in score.missing[:NAMED])
        yield f"{len(score.missing)} of {score.expected} events did not arrive at “{name}”: {some}"
    elif unrecorded := _unrecorded(score, rows):
        yield f"{unrecorded} deliveries to “{name}” arrived but are not on record as delivered"
    if score.bad_signatures:
        yield f"{score.bad_signatures} requests to “{name}” had no valid signature"


def _unrecorded(score: Score, rows: Rows) -> int:
    recorded = [row for row in rows.values() if row["status"] == "delivered" and row["attempts"] > 0]
    return score.expected - len(recorded)


def _state(event_id: str, row: dict[str, Any] | None) -> str:
    if row is None:
        return f"event {event_id} has no delivery"
    error = f", {row['last_error']['message']}" if row["last_error"] else ""
    return f"delivery {row['id']} is {row['status']} after {row['attempts']} attempts{error}"
