"""Erasing payloads on request (P14): of one event, or of a project's events in bounded batches.

What goes: the event's data, what its change event has of that, what endpoints answered to it (bodies and headers
of the attempts), and the signatures that were sent, by which whoever has the secret could tell whether a guess at
the data is right. What stays: that it happened, to whom it was sent, when, and with which outcome; and the crawl
session that it was told of in, which many events add up to. Unfinished deliveries end, because there is
nothing left to send; those that are being sent this moment are marked, and what they record keeps no answer.

Row versions that were replaced lie in the table until it is vacuumed, and in WAL and backups for as long as those
are kept.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from functions.domain.ids import KEY_SKEW, floor_of, uuid7_floor
from functions.statements import named

CODE = "payload_expunged"  # of deliveries that ended for it, and of those under way while it happened
FIRST = "00000000-0000-0000-0000-000000000000"
# Deliveries a batch: 6 attempts each are 30,000 rows, a second or two of the role's statement timeout of 20 s.
DELIVERIES_PER_BATCH = 5_000
# An event's key is at most this much later than its created_at: the clock of a caller that made it, and the time
# that a transaction takes.
KEY_LATER = KEY_SKEW + timedelta(minutes=1)

PAGE = named(
    "expunge.page",
    text("""
SELECT coalesce(json_agg(id ORDER BY id), '[]')::text FROM (
  SELECT id, sum(webhooks_matched) OVER (ORDER BY id) - webhooks_matched AS deliveries_before FROM (
    SELECT id, webhooks_matched FROM webhook.webhook_events
    WHERE project_id = CAST(:project_id AS uuid) AND id > CAST(:after AS uuid) AND id < CAST(:until AS uuid)
      AND created_at < :before
    ORDER BY id LIMIT :limit) page
) running WHERE deliveries_before < :deliveries
"""),
)
COUNT = named(
    "expunge.count",
    text("""
SELECT count(*) FROM webhook.webhook_events
WHERE project_id = CAST(:project_id AS uuid) AND id < CAST(:until AS uuid) AND created_at < :before
"""),
)
ERASE = named(
    "expunge.erase",
    text("""
WITH erased AS (
  UPDATE webhook.webhook_events SET data = NULL, expunged_at = now()
  WHERE id = ANY (CAST(:ids AS uuid[])) AND expunged_at IS NULL RETURNING id
)
SELECT coalesce(json_agg(id), '[]')::text FROM erased
"""),
)
# The watch and its URL stay: they say what happened, and what is to be scraped again.
CHANGES = named(
    "expunge.changes",
    text("""
UPDATE webhook.change_events SET diff_summary = NULL, snapshot_url = NULL, metadata = '{}'
WHERE event_id = ANY (CAST(:ids AS uuid[]))
"""),
)
# Every delivery, finished ones too. What records an attempt of one changes its row first: it has either committed
# before these locks are had, and the statements that follow see its attempt; or it comes later and finds the mark
# or the newer token. A statement of its own: an UPDATE beside it would judge rows as they were before the wait.
LOCK = named(
    "expunge.lock",
    text("""
SELECT id FROM webhook.webhook_deliveries
WHERE event_id = ANY (CAST(:ids AS uuid[])) AND id >= CAST(:floor AS uuid) ORDER BY id FOR UPDATE
"""),
)
MARK = named(
    "expunge.mark",
    text("""
UPDATE webhook.webhook_deliveries
SET last_error_code = :code, last_error_message = 'the payload was expunged while it was being sent'
WHERE id = ANY (CAST(:deliveries AS uuid[])) AND status = 'delivering' AND lease_expires_at > now()
"""),
)
END = named(
    "expunge.end",
    text("""
UPDATE webhook.webhook_deliveries
SET status = 'failed', failed_at = now(), token = token + 1, lease_expires_at = NULL, sweep_at = NULL,
    scheduled_at = NULL, last_error_code = :code,
    last_error_message = 'the payload was expunged before it was delivered'
WHERE id = ANY (CAST(:deliveries AS uuid[]))
  AND (status = 'pending' OR status = 'delivering' AND lease_expires_at <= now())
"""),
)
FORGET = named(
    "expunge.forget",
    text("""
UPDATE webhook.webhook_delivery_attempts
SET response_body = NULL, response_headers = NULL, expunged_at = now(),
    request_headers = request_headers - 'webhook-signature'
WHERE delivery_id = ANY (CAST(:deliveries AS uuid[])) AND id >= CAST(:floor AS uuid) AND expunged_at IS NULL
"""),
)


@dataclass(frozen=True)
class Batch:
    """`processed` events were looked at, up to the key `last_id`; `changed` of them still had their payload."""

    processed: int
    changed: int
    last_id: str


def expunge_batch(
    connection: Connection, project_id: str, *, after_id: str | None, before: datetime, limit: int
) -> Batch:
    """Expunge the project's next events with a key greater than `after_id` (None: from its first).

    Only those created before `before` (UTC). At most `limit`, and fewer where they have many deliveries, so the
    end is reached when `processed` is 0, not when it is less than `limit`; `last_id` is then `after_id` again.
    The caller's transaction commits it. Raises sqlalchemy.exc.DBAPIError.
    """
    after = after_id or FIRST
    bounds = {"after": after, "limit": limit, "deliveries": DELIVERIES_PER_BATCH}
    page = connection.execute(PAGE, {**_range(project_id, before), **bounds}).scalar_one()
    ids: list[str] = json.loads(page)
    return Batch(len(ids), expunge(connection, ids), ids[-1] if ids else after)


def count(connection: Connection, project_id: str, *, before: datetime) -> int:
    """How many events `expunge_batch` will look at in all."""
    return int(connection.execute(COUNT, _range(project_id, before)).scalar_one())


def expunge(connection: Connection, ids: list[str]) -> int:
    """Expunge the events with these keys; how many of them still had their payload."""
    erased: list[str] = json.loads(connection.execute(ERASE, {"ids": ids}).scalar_one()) if ids else []
    if erased:
        connection.execute(CHANGES, {"ids": erased})
        # A caller's own key may be ahead of its deliveries' by what is allowed for its clock.
        wanted = {"ids": erased, "floor": floor_of(min(erased), KEY_SKEW)}
        deliveries = [str(id) for id in connection.execute(LOCK, wanted).scalars()]
        if deliveries:
            _forget(connection, deliveries)
    return len(erased)


def _forget(connection: Connection, deliveries: list[str]) -> None:
    """End or mark these deliveries, in the order of their keys, and forget what was answered to them."""
    named = {"deliveries": deliveries}
    for statement in (MARK, END):
        connection.execute(statement, {**named, "code": CODE})
    connection.execute(FORGET, {**named, "floor": floor_of(deliveries[0])})


def _range(project_id: str, before: datetime) -> dict[str, Any]:
    return {"project_id": project_id, "before": before, "until": uuid7_floor(before + KEY_LATER)}
