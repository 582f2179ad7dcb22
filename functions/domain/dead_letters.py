"""Dead letters by hand (D8): which ones a lever reaches, and discarding them. Redriving is reopening (P5)."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, exists, func, select, text

from functions.domain.ids import uuid7_floor
from functions.domain.jobs import BATCH, Batch, Job, window
from functions.domain.reopening import TRANSACTION, reopen, reopenable
from functions.models import webhook_deliveries as d
from functions.models import webhook_dlq as l
from functions.statements import named

HOOKLINE = "hookline"  # resolves what nobody did

# Its delivery stays failed. A message of it that comes back from the dead-letter queue does nothing any more.
DISCARD = named(
    "dead_letters.discard",
    text("""
WITH letter AS MATERIALIZED (
  SELECT id FROM webhook.webhook_dlq
  WHERE id = ANY (CAST(:ids AS uuid[])) AND status = 'pending' ORDER BY id FOR UPDATE
)
UPDATE webhook.webhook_dlq l
SET status = 'discarded', resolved_at = now(), resolved_by = :by, updated_by = CAST(:key AS uuid), notes = :notes,
    sweep_at = NULL
FROM letter WHERE l.id = letter.id
"""),
)


@dataclass(frozen=True)
class Wanted:
    """Pending dead letters made from `since` (inclusive) until `until`; for a redrive those that can be."""

    project_id: str
    redrive: bool
    since: datetime
    until: datetime
    application_id: str | None = None
    webhook_id: str | None = None
    event_type: str | None = None


def wanted_by(project_id: str, application_id: str | None, parameters: dict[str, Any], *, redrive: bool) -> Wanted:
    """What a job of kind `redrive` or `discard` with these parameters reaches."""
    since, until = window(parameters)
    return Wanted(
        project_id=project_id,
        redrive=redrive,
        since=since,
        until=until,
        application_id=application_id,
        webhook_id=parameters.get("webhook_id"),
        event_type=parameters.get("event_type"),
    )


def count(connection: Connection, wanted: Wanted) -> int:
    """How many dead letters would be redriven or discarded now."""
    counted = select(func.count()).select_from(l).where(*_conditions(wanted))
    return int(connection.execute(named("dead_letters.count", counted)).scalar_one())


def redrive_batch(connection: Connection, job: Job) -> Batch:
    wanted = wanted_by(job.project_id, job.application_id, job.parameters, redrive=True)
    found = _candidates(connection, wanted, job.position)
    deliveries = [delivery for _, delivery in found]
    due = reopen(connection, deliveries, by=job.created_by, notes=job.parameters.get("notes"))
    return Batch(len(found), len(due), _last(found), due)


def discard_batch(connection: Connection, job: Job) -> Batch:
    wanted = wanted_by(job.project_id, job.application_id, job.parameters, redrive=False)
    found = _candidates(connection, wanted, job.position)
    ids = [id for id, _ in found]
    discarded = discard(connection, ids, by=job.created_by, notes=job.parameters.get("notes"))
    return Batch(len(found), discarded, _last(found))


def discard(connection: Connection, ids: list[str], *, by: str | None, notes: str | None) -> int:
    """Give up pending dead letters, by the key `by` or by HOOKLINE; how many of these were pending."""
    if not ids:
        return 0
    given = {"ids": ids, "by": by, "key": None if by == HOOKLINE else by, "notes": notes}
    return connection.execute(DISCARD, given).rowcount


def _candidates(connection: Connection, wanted: Wanted, position: str | None) -> list[tuple[str, str]]:
    """(key, its delivery's key), oldest first, of a batch behind `position`."""
    beyond = [] if position is None else [l.c.id > position]
    found = select(l.c.id, l.c.delivery_id).where(*_conditions(wanted), *beyond)
    asked = named("dead_letters.candidates", found.order_by(l.c.id).limit(BATCH))
    return [(str(id), str(of)) for id, of in connection.execute(asked)]


def _last(found: list[tuple[str, str]]) -> str | None:
    return found[-1][0] if len(found) == BATCH else None


def _conditions(wanted: Wanted) -> list[ColumnElement[bool]]:
    chosen = [
        (l.c.application_id, wanted.application_id),
        (l.c.webhook_id, wanted.webhook_id),
        (l.c.event_type, wanted.event_type),
    ]
    conditions = [
        l.c.project_id == wanted.project_id,
        l.c.status == "pending",
        l.c.id >= uuid7_floor(wanted.since),
        l.c.id < uuid7_floor(wanted.until + TRANSACTION),
        l.c.created_at >= wanted.since,
        l.c.created_at < wanted.until,
        *(column == value for column, value in chosen if value is not None),
    ]
    return [*conditions, _can_be_redriven()] if wanted.redrive else conditions


def _can_be_redriven() -> Any:
    return exists().where(d.c.id == l.c.delivery_id, *reopenable())
