"""Sending deliveries again (P5): which ones a lever reaches, how many they are, and making them due.

The API and the jobs function share this: a dry run counts by the very conditions that a batch selects by.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Integer, TextClause, cast, func, literal_column, select, text

from functions.domain.event_types import TEST
from functions.domain.ids import uuid7_floor
from functions.domain.jobs import BATCH, MAX_ATTEMPTS, Batch, Job, window
from functions.domain.outbox import OUTBOX_SECONDS
from functions.models import webhook_deliveries as d
from functions.models import webhook_dlq, webhook_events, webhooks
from functions.statements import named

# A row's created_at is when its transaction began, its key when the row was made: never more than this later.
TRANSACTION = timedelta(minutes=1)
INFINITY: ColumnElement[Any] = literal_column("'infinity'")  # the sweep_at of what is held back

# The dead letters first, the deliveries then, each in key order: as everywhere where both are locked, so that two
# never wait for each other. Locking and changing are statements of their own, each by keys that it is told, and
# none that locks looks at an event (docs/decisions/locks-and-partitions.md).
LOCK_LETTERS = named(
    "reopening.lock_letters",
    text("""
SELECT id FROM webhook.webhook_dlq
WHERE delivery_id = ANY (CAST(:ids AS uuid[])) AND status = 'pending' ORDER BY id FOR UPDATE
"""),
)
LOCK_FAILED = named(
    "reopening.lock_failed",
    text("""
SELECT d.id FROM webhook.webhook_deliveries d JOIN webhook.webhooks w ON w.id = d.webhook_id
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.status = 'failed' AND w.deleted_at IS NULL
  AND CAST(d.attempts AS integer) + w.max_attempts <= CAST(:most AS integer)
ORDER BY d.id FOR UPDATE OF d
"""),
)
# A delivery keeps its attempts and gets its webhook's budget once more.
REOPEN = named(
    "reopening.reopen",
    text("""
WITH reopened AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'pending', token = d.token + 1, max_attempts = d.attempts + w.max_attempts, failed_at = NULL,
      scheduled_at = now(), sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
  FROM webhook.webhooks w WHERE d.id = ANY (CAST(:ids AS uuid[])) AND w.id = d.webhook_id
  RETURNING d.id, d.token
), resolved AS (
  UPDATE webhook.webhook_dlq
  SET status = 'resolved', resolved_at = now(), resolved_by = :by, updated_by = CAST(:by AS uuid),
      notes = :notes, sweep_at = NULL
  WHERE delivery_id = ANY (CAST(:ids AS uuid[])) AND status = 'pending'
)
SELECT json_agg(json_build_array(id, token) ORDER BY id)::text FROM reopened
"""),
)

# Those that wait for a later attempt; what is held back for a paused webhook, or is being delivered, stays.
LOCK_WAITING = named(
    "reopening.lock_waiting",
    text("""
SELECT d.id FROM webhook.webhook_deliveries d JOIN webhook.webhooks w ON w.id = d.webhook_id
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.status = 'pending' AND d.sweep_at < 'infinity'
  AND w.status = 'active' AND w.deleted_at IS NULL
ORDER BY d.id FOR UPDATE OF d
"""),
)
HURRY = named(
    "reopening.hurry",
    text("""
WITH hurried AS (
  UPDATE webhook.webhook_deliveries
  SET token = token + 1, scheduled_at = now(), sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
  WHERE id = ANY (CAST(:ids AS uuid[]))
  RETURNING id, token
)
SELECT json_agg(json_build_array(id, token) ORDER BY id)::text FROM hurried
"""),
)


@dataclass(frozen=True)
class Wanted:
    """Deliveries created from `since` (inclusive) until `until`: the failed, or with `pending` those that wait for
    an attempt later than now."""

    project_id: str
    since: datetime
    until: datetime
    application_id: str | None = None
    webhook_id: str | None = None
    event_type: str | None = None
    pending: bool = False


def wanted_by(project_id: str, application_id: str | None, parameters: dict[str, Any]) -> Wanted:
    """What a job of kind `retry` or `recover` with these parameters reaches."""
    since, until = window(parameters)
    return Wanted(
        project_id=project_id,
        since=since,
        until=until,
        application_id=application_id,
        webhook_id=parameters.get("webhook_id"),
        event_type=parameters.get("event_type"),
        pending=parameters.get("status") == "pending",
    )


def count(connection: Connection, wanted: Wanted) -> int:
    """How many deliveries would be sent again now."""
    counted = select(func.count()).select_from(d).where(*_conditions(wanted))
    return int(connection.execute(named("reopening.count", counted)).scalar_one())


def batch(connection: Connection, job: Job) -> Batch:
    """The next batch of a job of kind `retry` or `recover`."""
    wanted = wanted_by(job.project_id, job.application_id, job.parameters)
    ids = candidates(connection, wanted, job.position)
    due = hurry(connection, ids) if wanted.pending else reopen(connection, ids, by=job.created_by)
    return Batch(len(ids), len(due), ids[-1] if len(ids) == BATCH else None, due)


def candidates(connection: Connection, wanted: Wanted, position: str | None, most: int = BATCH) -> list[str]:
    """The keys, oldest first, of up to `most` deliveries behind `position`."""
    beyond = [] if position is None else [d.c.id > position]
    found = select(d.c.id).where(*_conditions(wanted), *beyond).order_by(d.c.id).limit(most)
    return [str(id) for id in connection.execute(named("reopening.candidates", found)).scalars()]


def reopen(
    connection: Connection, ids: list[str], *, by: str | None, notes: str | None = None
) -> list[tuple[str, int]]:
    """Make failed deliveries due now and resolve their dead letters, by the key `by`. Those reopened, with tokens.

    One whose webhook is deleted, or which is no longer failed, stays as it is. That their payloads are still there
    is for the caller to see to; what is expunged meanwhile is ended by the delivery function.
    """
    connection.execute(LOCK_LETTERS, {"ids": ids})
    locked = _keys(connection, LOCK_FAILED, {"ids": ids, "most": MAX_ATTEMPTS})
    return _due(connection, REOPEN, locked, {"by": by, "notes": notes})


def hurry(connection: Connection, ids: list[str]) -> list[tuple[str, int]]:
    """Make pending deliveries due now; messages sent for them before are stale. Those it reached, with tokens."""
    return _due(connection, HURRY, _keys(connection, LOCK_WAITING, {"ids": ids}), {})


def _keys(connection: Connection, statement: TextClause, given: dict[str, Any]) -> list[str]:
    return [str(id) for id in connection.execute(statement, given).scalars()]


def _due(
    connection: Connection, statement: TextClause, ids: list[str], given: dict[str, Any]
) -> list[tuple[str, int]]:
    if not ids:
        return []
    changed = connection.execute(statement, {"ids": ids, "outbox": OUTBOX_SECONDS, **given}).scalar_one()
    return [(id, token) for id, token in json.loads(changed)]


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    """The bounds on the key prune the partitions."""
    chosen = [
        (d.c.application_id, wanted.application_id),
        (d.c.webhook_id, wanted.webhook_id),
        (d.c.event_type, wanted.event_type),
    ]
    return [
        d.c.project_id == wanted.project_id,
        d.c.id >= uuid7_floor(wanted.since),
        d.c.id < uuid7_floor(wanted.until + TRANSACTION),
        d.c.created_at >= wanted.since,
        d.c.created_at < wanted.until,
        *(column == value for column, value in chosen if value is not None),
        *(_waiting() if wanted.pending else [*reopenable(), *_still_wanted()]),
    ]


def reopenable() -> list[ColumnElement[bool]]:
    """Conditions of a delivery that `reopen` takes; the indexes of failed ones are by `failed_at`."""
    fresh = webhooks.c.deleted_at.is_(None) & (
        cast(d.c.attempts, Integer) + webhooks.c.max_attempts <= MAX_ATTEMPTS
    )
    kept = select(webhook_events.c.expunged_at.is_(None)).where(webhook_events.c.id == d.c.event_id)
    return [d.c.status == "failed", d.c.failed_at.is_not(None), _of_its_webhook(fresh), kept.scalar_subquery()]


def _still_wanted() -> list[ColumnElement[bool]]:
    """Neither made to test a webhook, which is tried once, nor discarded by a person.

    By look-ups as below: with EXISTS, the dead letters of everybody might be read for it.
    """
    letter = select(webhook_dlq.c.id).where(webhook_dlq.c.delivery_id == d.c.id).limit(1)
    discarded = letter.where(webhook_dlq.c.status == "discarded").scalar_subquery()
    pending = letter.where(webhook_dlq.c.status == "pending").scalar_subquery()
    return [d.c.event_type != TEST, discarded.is_(None) | pending.is_not(None)]


def _waiting() -> list[ColumnElement[bool]]:
    """What is due already has its message, and another would only go to the end of the queue."""
    live = webhooks.c.deleted_at.is_(None) & (webhooks.c.status == "active")
    return [
        d.c.status == "pending",
        d.c.sweep_at.is_not(None),
        d.c.sweep_at < INFINITY,
        d.c.scheduled_at > func.now(),
        _of_its_webhook(live),
    ]


def _of_its_webhook(condition: ColumnElement[bool]) -> Any:
    """Correlated, so that it is a look-up for each delivery whatever the planner thinks of the tables."""
    return select(condition).where(webhooks.c.id == d.c.webhook_id).scalar_subquery()
