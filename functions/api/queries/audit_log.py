"""Reading the audit log: each filter has an index that is in the order of the list."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, func

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import json_object, rfc3339
from functions.api.walk import Index, Walk
from functions.models import audit_log

log = audit_log.c


@dataclass(frozen=True)
class Filter:
    """What the log is narrowed to; None or empty means any."""

    event: str = ""  # exact, or `webhook.*`
    level: str = ""
    resource_type: str = ""
    resource_id: str = ""
    actor_id: str = ""
    application_id: str = ""  # the application's key
    correlation_id: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def list_entries(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    search = Walk(
        table=audit_log,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=_ways(caller, wanted),
        after=wanted.created_after,
        before=wanted.created_before,
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def _ways(caller: Caller, wanted: Filter) -> list[list[Index]]:
    """One index for each filter. An application's own key is led along its own entries only."""
    application = wanted.application_id or caller.application_id
    ways = [[Index([(log.application_id, application)], [log.application_id.is_not(None)])]] if application else []
    if caller.application_id:
        return ways
    project = (log.project_id, caller.project_id)
    indexed = {"event", "resource_type", "resource_id", "actor_id", "correlation_id"}
    ways += [[Index([project, (column, value)])] for column, value in _asked(wanted) if column.name in indexed]
    if wanted.level == "warning":
        ways.append([Index([project], [log.level == "warning"])])
    return ways or [[Index([project])]]


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    conditions += [rows.c[column.name] == value for column, value in _asked(wanted)]
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _asked(wanted: Filter) -> list[tuple[Column[Any], str]]:
    # A resource's type is the first part of its events, so a prefix is an equality too.
    resource = wanted.event.removesuffix(".*") if wanted.event.endswith(".*") else ""
    asked = (
        *((log.event, "" if resource else wanted.event), (log.resource_type, resource)),
        *((log.level, wanted.level), (log.resource_type, wanted.resource_type)),
        *((log.resource_id, wanted.resource_id), (log.actor_id, wanted.actor_id)),
        *((log.application_id, wanted.application_id), (log.correlation_id, wanted.correlation_id)),
    )
    return [(column, value) for column, value in asked if value]


def _shown(rows: FromClause) -> ColumnElement[Any]:
    """Rendered by Postgres: before and after keep every digit that they were written with."""
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "event": c.event,
            "level": c.level,
            "actor": json_object({"type": c.actor_type, "id": c.actor_id}),
            "resource": json_object({"type": c.resource_type, "id": c.resource_id}),
            "application_id": c.application_id,
            "before": c.before,
            "after": c.after,
            "correlation_id": c.correlation_id,
            "request_id": c.request_id,
            "source_ip": func.host(c.source_ip),
            "created_at": rfc3339(c.created_at),
        }
    )
