"""Reading the audit log, one page by one index: each filter has an index that is in the order of the list."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Text, cast, func, select

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import json_object, rfc3339
from functions.models import audit_log as log

# Rendered by Postgres: before and after keep every digit that they were written with.
ENTRY = cast(
    json_object(
        {
            "id": log.c.id,
            "event": log.c.event,
            "level": log.c.level,
            "actor": json_object({"type": log.c.actor_type, "id": log.c.actor_id}),
            "resource": json_object({"type": log.c.resource_type, "id": log.c.resource_id}),
            "application_id": log.c.application_id,
            "before": log.c.before,
            "after": log.c.after,
            "correlation_id": log.c.correlation_id,
            "request_id": log.c.request_id,
            "source_ip": func.host(log.c.source_ip),
            "created_at": rfc3339(log.c.created_at),
        }
    ),
    Text,
)


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


def list_entries(
    connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    """Each with its `id` and the whole `entry` as JSON text."""
    conditions = paging.created_between(log.c.id, log.c.created_at, wanted.created_after, wanted.created_before)
    statement = select(log.c.id, ENTRY.label("entry")).where(
        *reach.within(log, caller), *conditions, *_conditions(wanted)
    )
    return connection.execute(paging.after(statement, log.c.id, limit=limit, cursor=cursor)).mappings().all()


def _conditions(wanted: Filter) -> list[ColumnElement[Any]]:
    resource = wanted.event.removesuffix(".*") if wanted.event.endswith(".*") else ""
    asked = (
        # A resource's type is the first part of its events, so a prefix is an equality too.
        *((log.c.event, "" if resource else wanted.event), (log.c.resource_type, resource)),
        *((log.c.level, wanted.level), (log.c.resource_type, wanted.resource_type)),
        *((log.c.resource_id, wanted.resource_id), (log.c.actor_id, wanted.actor_id)),
        *((log.c.application_id, wanted.application_id), (log.c.correlation_id, wanted.correlation_id)),
    )
    return [column == value for column, value in asked if value]
