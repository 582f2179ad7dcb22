"""Reading metrics row by row: which filter is led along which index."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, func

from functions.api import walk
from functions.api.queries.as_json import json_object, rfc3339
from functions.api.walk import Index, Walk
from functions.models import operation_metrics, request_metrics

r, o = request_metrics.c, operation_metrics.c
FAILED = 500  # from this status on a request failed on our side


@dataclass(frozen=True)
class Range:
    """Whose rows, and from when (inclusive) until when (exclusive).

    Without a project everybody's, as the admin key may read them.
    """

    project_id: str
    after: datetime
    before: datetime


@dataclass(frozen=True)
class RequestFilter:
    """What requests are narrowed to; empty or None means any."""

    path: str = ""
    method: str = ""
    status: str = ""  # `404`, or `5xx` for 500 to 599
    request_id: str = ""
    min_duration_ms: float | None = None

    @property
    def statuses(self) -> tuple[int, int] | None:
        """The first and the last that are wanted."""
        if not self.status:
            return None
        first, last = (self.status.replace("x", digit) for digit in "09")
        return int(first), int(last)


@dataclass(frozen=True)
class OperationFilter:
    """What operations are narrowed to; empty or None means any."""

    operation_type: str = ""
    operation_name: str = ""
    success: bool | None = None
    request_id: str = ""
    job_id: str = ""
    min_duration_ms: float | None = None


def list_requests(connection: Connection, of: Range, wanted: RequestFilter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    search = Walk(
        table=request_metrics,
        shown=_request,
        wanted=lambda rows: of_requests(rows, of, wanted),
        ways=ways_to_requests(of, wanted),
        after=of.after,
        before=of.before,
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def list_operations(connection: Connection, of: Range, wanted: OperationFilter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    search = Walk(
        table=operation_metrics,
        shown=_operation,
        wanted=lambda rows: of_operations(rows, of, wanted),
        ways=ways_to_operations(of, wanted),
        after=of.after,
        before=of.before,
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def of_requests(rows: FromClause, of: Range, wanted: RequestFilter) -> list[ColumnElement[bool]]:
    c = rows.c
    conditions = _within(rows, of, wanted.min_duration_ms)
    asked = ((c.path, wanted.path), (c.method, wanted.method), (c.request_id, wanted.request_id))
    conditions += [column == value for column, value in asked if value]
    if wanted.statuses is not None:
        conditions.append(c.status_code.between(*wanted.statuses))
    return conditions


def of_operations(rows: FromClause, of: Range, wanted: OperationFilter) -> list[ColumnElement[bool]]:
    c = rows.c
    conditions = _within(rows, of, wanted.min_duration_ms)
    asked = (
        *((c.operation_type, wanted.operation_type), (c.operation_name, wanted.operation_name)),
        *((c.request_id, wanted.request_id), (c.job_id, wanted.job_id)),
    )
    conditions += [column == value for column, value in asked if value]
    if wanted.success is not None:
        conditions.append(c.success if wanted.success else ~c.success)
    return conditions


def _within(rows: FromClause, of: Range, min_duration_ms: float | None) -> list[ColumnElement[bool]]:
    c = rows.c
    conditions = [c.project_id == of.project_id] if of.project_id else []
    conditions += [c.timestamp >= of.after, c.timestamp < of.before]
    if min_duration_ms is not None:
        conditions.append(c.duration_ms >= min_duration_ms)
    return conditions


def ways_to_requests(of: Range, wanted: RequestFilter) -> Sequence[Sequence[Index]]:
    """The one that leaves the fewest comes first, as far as that can be told."""
    if wanted.request_id:
        return [[Index([(r.request_id, wanted.request_id)], _only_the_projects(r, of))]]
    if of.project_id:
        return [[Index([(r.project_id, of.project_id)], [r.project_id.is_not(None)])]]
    failed = wanted.statuses is not None and wanted.statuses[0] >= FAILED
    ways = [[Index([], [r.status_code >= FAILED])]] if failed else []
    if wanted.path:
        ways.append([Index([(r.path, wanted.path)])])
    return ways or [[Index([])]]


def ways_to_operations(of: Range, wanted: OperationFilter) -> Sequence[Sequence[Index]]:
    """As of requests."""
    for column, value in ((o.job_id, wanted.job_id), (o.request_id, wanted.request_id)):
        if value:
            return [[Index([(column, value)], [column.is_not(None), *_only_the_projects(o, of)])]]
    if of.project_id:
        return [[Index([(o.project_id, of.project_id)], [o.project_id.is_not(None)])]]
    ways = [[Index([], [~o.success])]] if wanted.success is False else []
    if wanted.operation_name:
        ways.append([Index([(o.operation_name, wanted.operation_name)])])
    elif wanted.operation_type:
        ways.append([Index([(o.operation_type, wanted.operation_type)])])
    return ways or [[Index([])]]


def _only_the_projects(columns: Any, of: Range) -> list[ColumnElement[bool]]:
    """A caller may know of no key of another project's rows, and a cursor is one."""
    return [columns.project_id == of.project_id] if of.project_id else []


def _request(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "timestamp": rfc3339(c.timestamp),
            "method": c.method,
            "path": c.path,
            "status_code": c.status_code,
            "duration_ms": c.duration_ms,
            "request_id": c.request_id,
            "client_ip": func.host(c.client_ip),
            "user_agent": c.user_agent,
            "project_id": c.project_id,
        }
    )


def _operation(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "timestamp": rfc3339(c.timestamp),
            "operation_type": c.operation_type,
            "operation_name": c.operation_name,
            "duration_ms": c.duration_ms,
            "success": c.success,
            "error_message": c.error_message,
            "request_id": c.request_id,
            "job_id": c.job_id,
            "document_url": c.document_url,
            "project_id": c.project_id,
            "extra_metadata": c.extra_metadata,
        }
    )
