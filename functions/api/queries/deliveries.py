"""Deliveries and their attempts. Time ranges bound the UUIDv7 key as well, so that partitions are pruned."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, RowMapping, case, func, select
from sqlalchemy.dialects.postgresql import JSONB

from functions.api import paging
from functions.domain.ids import KEY_SKEW
from functions.models import webhook_deliveries as d
from functions.models import webhook_delivery_attempts as a


def _error(code: Any, message: Any) -> Any:
    shape = func.jsonb_build_object("code", code, "message", message, type_=JSONB)
    return case((code.is_not(None), shape))


DELIVERY = (
    d.c.id,
    d.c.event_id,
    d.c.event_type,
    d.c.webhook_id,
    d.c.status,
    d.c.attempts,
    d.c.max_attempts,
    d.c.scheduled_at,
    d.c.last_attempt_at,
    d.c.last_response_status,
    _error(d.c.last_error_code, d.c.last_error_message).label("last_error"),
    d.c.delivered_at,
    d.c.created_at,
)
ATTEMPT = (
    a.c.id,
    a.c.attempt_number,
    a.c.request_url,
    a.c.request_headers,
    a.c.request_sent_at,
    a.c.response_status,
    a.c.response_headers,
    a.c.response_body,
    a.c.response_time_ms,
    func.host(a.c.remote_address).label("remote_address"),
    _error(a.c.error_code, a.c.error_message).label("error"),
)


@dataclass(frozen=True)
class Filter:
    """What a list of deliveries is narrowed to; None or empty means any."""

    webhook_id: str = ""
    event_id: str = ""  # the event's key
    event_type: str = ""
    status: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def delivery(connection: Connection, project_id: str, id: str) -> RowMapping | None:
    statement = select(*DELIVERY).where(d.c.id == id, d.c.project_id == project_id)
    return connection.execute(statement).mappings().one_or_none()


def list_deliveries(
    connection: Connection, project_id: str, wanted: Filter, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    statement = select(*DELIVERY).where(d.c.project_id == project_id, *_conditions(wanted))
    return connection.execute(paging.after(statement, d.c.id, limit=limit, cursor=cursor)).mappings().all()


def list_attempts(
    connection: Connection, project_id: str, id: str, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    """An attempt is never older than its delivery: older partitions are not looked at."""
    statement = select(*ATTEMPT).where(
        a.c.delivery_id == id, a.c.project_id == project_id, a.c.id >= _floor_of(id)
    )
    return connection.execute(paging.after(statement, a.c.id, limit=limit, cursor=cursor)).mappings().all()


def _conditions(wanted: Filter) -> list[Any]:
    conditions = paging.created_between(d.c.id, d.c.created_at, wanted.created_after, wanted.created_before)
    for column, value in (
        (d.c.webhook_id, wanted.webhook_id),
        (d.c.event_type, wanted.event_type),
        (d.c.status, wanted.status),
    ):
        if value:
            conditions.append(column == value)
    if wanted.event_id:
        # A caller's own UUIDv7 may be ahead of the delivery's by what is allowed for its clock.
        conditions += [d.c.event_id == wanted.event_id, d.c.id >= _floor_of(wanted.event_id, KEY_SKEW)]
    return conditions


def _floor_of(key: str, earlier: timedelta = timedelta()) -> str:
    """The smallest key of the millisecond in which `key` was made, or of `earlier` than that."""
    milliseconds = (UUID(key).int >> 80) - int(earlier.total_seconds() * 1000)
    return str(UUID(int=max(milliseconds, 0) << 80))
