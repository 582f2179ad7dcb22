"""Reading crawl sessions."""

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
from functions.models import crawl_sessions
from functions.statements import named

s = crawl_sessions.c
COUNTS = ("pages_total", "pages_received", "pages_succeeded", "pages_failed", "bytes_received", "credits_used")
TIMES = ("started_at", "first_page_at", "last_page_at", "completed_at")


@dataclass(frozen=True)
class Filter:
    """What a list of crawl sessions is narrowed to; None or empty means any."""

    source_id: str = ""
    status: str = ""
    job_id: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def crawl_session(connection: Connection, caller: Caller, id: str) -> str | None:
    """As JSON text; None when the caller has none of this id."""
    found = select(cast(_shown(crawl_sessions), Text)).where(s.id == id, *reach.within(crawl_sessions, caller))
    return connection.execute(named("crawl_sessions.get", found)).scalar_one_or_none()


def list_crawl_sessions(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    if wanted.job_id:
        return _of_job(connection, caller, wanted, limit=limit, cursor=cursor)
    if wanted.source_id and not has_source(connection, caller, wanted.source_id):
        return paging.rendered([], None)
    of_source = Index([(s.source_id, wanted.source_id)])
    search = Walk(
        table=crawl_sessions,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=[[of_source if wanted.source_id else reach.index(crawl_sessions, caller)]],
        after=wanted.created_after,
        before=wanted.created_before,
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def _of_job(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """A job has one session in each source that tells of it: they are looked up, not walked along."""
    columns: list[ColumnElement[Any]] = [cast(s.id, Text), cast(_shown(crawl_sessions), Text)]
    statement = select(*columns).where(*_conditions(crawl_sessions, caller, wanted))
    page = named("crawl_sessions.of_job", paging.after(statement, s.id, limit=limit, cursor=cursor))
    rows = connection.execute(page).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    return paging.rendered([shown for _, shown in rows[:limit]], last)


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    for name in ("source_id", "status", "job_id"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _shown(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "source_id": c.source_id,
            "job_id": c.job_id,
            "kind": c.kind,
            "status": c.status,
            "base_url": c.base_url,
            "success": c.success,
            "error": c.error,
            **{name: rfc3339(c[name]) for name in TIMES},
            "duration_ms": c.duration_ms,
            **{name: c[name] for name in COUNTS},
            "metadata": c.metadata,
            "received_at": rfc3339(c.received_at),
            "created_at": rfc3339(c.created_at),
        }
    )
