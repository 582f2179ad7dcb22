"""Dead letters, as JSON text."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, RowMapping, Text, cast, func, select

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries import deliveries, reach
from functions.api.queries.as_json import error, json_object, rfc3339
from functions.api.walk import Index, Walk
from functions.domain.ids import KEY_SKEW, floor_of
from functions.models import webhook_dlq
from functions.statements import named

letters = webhook_dlq.c
PENDING = letters.status == "pending"


@dataclass(frozen=True)
class Filter:
    """What a list of dead letters is narrowed to; None or empty means any."""

    status: str = ""
    webhook_id: str = ""
    event_id: str = ""  # the event's key
    delivery_id: str = ""
    event_type: str = ""
    reason: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None


def dead_letter(connection: Connection, caller: Caller, id: str) -> str | None:
    found = select(cast(_shown(webhook_dlq), Text)).where(*reach.within(webhook_dlq, caller), letters.id == id)
    return connection.execute(named("dead_letters.get", found)).scalar_one_or_none()


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """Its status, delivery, application and what the API shows; nobody else resolves it meanwhile."""
    asked = select(
        letters.id,
        letters.status,
        letters.delivery_id,
        letters.application_id,
        cast(_shown(webhook_dlq), Text).label("shown"),
    )
    locked = asked.where(*reach.within(webhook_dlq, caller), letters.id == id).with_for_update()
    return connection.execute(named("dead_letters.lock", locked)).mappings().one_or_none()


def list_dead_letters(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    if wanted.webhook_id and not deliveries.has_webhook(connection, caller, wanted.webhook_id):
        return paging.rendered([], None)
    search = Walk(
        table=webhook_dlq,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=_ways(caller, wanted),
        after=wanted.created_after,
        before=wanted.created_before,
        oldest=_oldest(wanted),
    )
    return walk.page(connection, search, limit=limit, cursor=cursor)


def _ways(caller: Caller, wanted: Filter) -> list[list[Index]]:
    """The indexes that have every row that is wanted; which has the fewest others is for the walk to see.

    An application's own key is led along its own rows only, so that not even a cursor tells of others'.
    """
    project, own = (letters.project_id, caller.project_id), (letters.application_id, caller.application_id)
    ways = [[Index([(letters.webhook_id, wanted.webhook_id)])]] if wanted.webhook_id else []
    if caller.application_id:
        return ways or [[Index([own], [letters.application_id.is_not(None)])]]
    if wanted.status == "pending":
        ways.append([Index([project], [PENDING])])
    return ways or [[Index([project])]]


def _oldest(wanted: Filter) -> str:
    """A dead letter is younger than its delivery, and that than its event, but for the clock that made its key."""
    floors = [floor_of(wanted.delivery_id)] if wanted.delivery_id else []
    if wanted.event_id:
        floors.append(floor_of(wanted.event_id, KEY_SKEW))
    return max(floors, default=walk.FIRST)


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    for name in ("status", "webhook_id", "event_id", "delivery_id", "reason"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    if wanted.event_type.endswith("*"):
        conditions.append(func.starts_with(rows.c.event_type, wanted.event_type[:-1]))
    elif wanted.event_type:
        conditions.append(rows.c.event_type == wanted.event_type)
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _shown(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    first = ("id", "delivery_id", "event_id", "event_type", "webhook_id", "application_id", "reason", "attempts")
    return json_object(
        {name: c[name] for name in first}
        | {
            "last_error": error(c.last_error_code, c.last_error_message),
            "last_response_status": c.last_response_status,
            "status": c.status,
            "resolved_at": rfc3339(c.resolved_at),
            "resolved_by": c.resolved_by,
            "notes": c.notes,
            "created_at": rfc3339(c.created_at),
        }
    )
