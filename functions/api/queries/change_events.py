"""Reading change events."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Text, cast, select

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import json_object, rfc3339
from functions.api.queries.sources import has_source
from functions.api.walk import Index, Walk
from functions.models import change_events
from functions.statements import named

c = change_events.c


@dataclass(frozen=True)
class Filter:
    """What a list of change events is narrowed to; None or empty means any."""

    source_id: str = ""
    watch_id: str = ""
    rescrape_status: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def change_event(connection: Connection, caller: Caller, id: str) -> str | None:
    """As JSON text; None when the caller has none of this id."""
    found = select(cast(_shown(change_events), Text)).where(c.id == id, *reach.within(change_events, caller))
    return connection.execute(named("change_events.get", found)).scalar_one_or_none()


def list_change_events(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    if wanted.source_id and not has_source(connection, caller, wanted.source_id):
        return paging.rendered([], None)
    search = Walk(
        table=change_events,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=_ways(caller, wanted),
        after=wanted.created_after,
        before=wanted.created_before,
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def _ways(caller: Caller, wanted: Filter) -> list[list[Index]]:
    """The indexes that have every row that is wanted."""
    if wanted.watch_id:
        return [[reach.index(change_events, caller, (c.watch_id, wanted.watch_id))]]
    of_source = Index([(c.source_id, wanted.source_id)])
    ways = [[of_source if wanted.source_id else reach.index(change_events, caller)]]
    if wanted.rescrape_status and not caller.application_id:
        status = (c.rescrape_status, wanted.rescrape_status)
        ways.append([Index([(c.project_id, caller.project_id), status], [c.rescrape_status.is_not(None)])])
    return ways


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    for name in ("source_id", "watch_id", "rescrape_status"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _shown(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "source_id": c.source_id,
            "event_id": c.event_id,
            "watch_id": c.watch_id,
            "watch_url": c.watch_url,
            "detected_at": rfc3339(c.detected_at),
            "diff_summary": c.diff_summary,
            "snapshot_url": c.snapshot_url,
            "metadata": c.metadata,
            "rescrape_status": c.rescrape_status,
            "rescrape_job_id": c.rescrape_job_id,
            "rescrape_attempts": c.rescrape_attempts,
            "rescrape_error": c.rescrape_error,
            "rescrape_started_at": rfc3339(c.rescrape_started_at),
            "rescrape_finished_at": rfc3339(c.rescrape_finished_at),
            "indexed_at": rfc3339(c.indexed_at),
            "document_bytes": c.document_bytes,
            "document_event_id": c.document_event_id,
            "created_at": rfc3339(c.created_at),
        }
    )
