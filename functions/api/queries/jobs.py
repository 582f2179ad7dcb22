"""Background jobs, as JSON text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, cast, func, insert, select, text

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import json_object, rfc3339
from functions.domain.jobs import Kind
from functions.domain.outbox import OUTBOX_SECONDS
from functions.errors import Conflict
from functions.models import jobs
from functions.statements import named

j = jobs.c
MOST_UNFINISHED = 100  # of a project: more are a mistake that repeats itself
JOB = cast(
    json_object(
        {
            **{name: j[name] for name in ("id", "kind", "status", "total", "processed", "changed", "parameters")},
            "error": j.error,
            "created_at": rfc3339(j.created_at),
            "created_by": j.created_by,
            "started_at": rfc3339(j.started_at),
            "finished_at": rfc3339(j.finished_at),
        }
    ),
    Text,
)
UNFINISHED = named(
    "jobs.unfinished",
    text("SELECT count(*) FROM webhook.jobs WHERE project_id = CAST(:id AS uuid) AND sweep_at IS NOT NULL"),
)
CANCEL = named(
    "jobs.cancel",
    text("""
UPDATE webhook.jobs SET status = 'cancelled', token = token + 1, sweep_at = NULL, finished_at = now()
WHERE id = CAST(:id AS uuid)
"""),
)


@dataclass(frozen=True)
class Filter:
    """What a list of jobs is narrowed to; None or empty means any."""

    kind: str = ""
    status: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def check_room(connection: Connection, caller: Caller) -> None:
    """Raises Conflict when too many jobs of the project are under way for another one."""
    if connection.execute(UNFINISHED, {"id": caller.project_id}).scalar_one() >= MOST_UNFINISHED:
        raise Conflict(f"{MOST_UNFINISHED} jobs of the project are not finished: wait for one, or cancel one")


def add(
    connection: Connection,
    caller: Caller,
    kind: Kind,
    parameters: dict[str, Any],
    *,
    total: int,
    application_id: str | None,
) -> tuple[str, str]:
    """A new job: its key, and what the API shows of it. It is found by dispatch if its first message is lost."""
    values = {
        "project_id": caller.project_id,
        "application_id": caller.application_id or application_id,
        "kind": kind,
        "parameters": parameters,
        "total": total,
        "sweep_at": func.now() + func.make_interval(0, 0, 0, 0, 0, 0, OUTBOX_SECONDS),
        "correlation_id": caller.correlation_id,
        "created_by": caller.key_id or None,
    }
    made = connection.execute(named("jobs.add", insert(jobs).values(values).returning(j.id, JOB))).one()
    return str(made[0]), str(made[1])


def job(connection: Connection, caller: Caller, id: str) -> str | None:
    found = select(JOB).where(*_within(caller), j.id == id)
    return connection.execute(named("jobs.get", found)).scalar_one_or_none()


def list_jobs(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    columns: tuple[Any, ...] = (cast(j.id, Text), JOB)
    statement = select(*columns).where(*reach.within(jobs, caller), *_conditions(wanted))
    page = named("jobs.list", paging.after(statement, j.id, limit=limit, cursor=cursor))
    rows = connection.execute(page).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    return paging.rendered([shown for _, shown in rows[:limit]], last)


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """What it is, whose, and what the API shows of it; waits for the batch that is being done."""
    locked = select(j.kind, j.status, j.project_id, j.application_id, JOB.label("shown"))
    locked = locked.where(*_within(caller), j.id == id).with_for_update()
    return connection.execute(named("jobs.lock", locked)).mappings().one_or_none()


def cancel(connection: Connection, id: str) -> None:
    """End a job whose row is locked; the message for its next batch is stale from now on."""
    connection.execute(CANCEL, {"id": id})


def _within(caller: Caller) -> list[ColumnElement[Any]]:
    """The admin key is shown what it started itself, in whatever project."""
    return [j.created_by.is_(None)] if caller.admin else reach.within(jobs, caller)


def _conditions(wanted: Filter) -> list[ColumnElement[Any]]:
    conditions = paging.created_between(j.id, j.created_at, wanted.created_after, wanted.created_before)
    asked = ((j.kind, wanted.kind), (j.status, wanted.status))
    return conditions + [column == value for column, value in asked if value]
