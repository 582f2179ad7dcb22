"""Deliveries and their attempts, as JSON text."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Column, ColumnElement, Connection, FromClause, Text, cast, func, select

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import error, json_object, rfc3339
from functions.api.queries.waiting import waiting_for
from functions.api.walk import Index, Walk
from functions.domain.ids import KEY_SKEW, floor_of, parse_uuid, uuid7_floor
from functions.models import webhook_deliveries, webhook_delivery_attempts, webhook_event_ids, webhooks
from functions.statements import named

d, a = webhook_deliveries.c, webhook_delivery_attempts.c
# Of `failed_at` and `sweep_at` and not of `status`, because the indexes are (models/traffic.py).
FAILED, UNFINISHED = d.failed_at.is_not(None), d.sweep_at.is_not(None)
# By which an attempt may be noted after the delivery's last: a function that lost its claim keeps what it had
# sent, within the minute that it lives, dated by its own clock.
LATE = timedelta(days=1)


@dataclass(frozen=True)
class Filter:
    """What a list of deliveries is narrowed to; None or empty means any."""

    webhook_id: str = ""
    event_id: str = ""  # the event's key
    event_type: str = ""  # exact, or a prefix such as `invoice.*`
    application_id: str = ""  # the application's key
    status: str = ""
    response_status: str = ""  # `503`, or `5xx` for 500 to 599
    has_error: bool | None = None
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def type_prefix(self) -> str:
        """`invoice.` of `invoice.*`, else empty."""
        return self.event_type[:-1] if self.event_type.endswith("*") else ""

    @property
    def went_wrong(self) -> bool:
        """Whether only what had an error can be wanted: that is failed, or goes on."""
        return self.has_error is True or self.response_status[:1] not in {"", "2"}


def delivery(connection: Connection, caller: Caller, id: str) -> str | None:
    found = select(cast(_shown(webhook_deliveries), Text)).where(
        *reach.within(webhook_deliveries, caller), d.id == id
    )
    return connection.execute(named("deliveries.get", found)).scalar_one_or_none()


def event_key(connection: Connection, caller: Caller, id: str) -> str | None:
    """The key of the event with this external id, else `id` itself where it may be a key.

    The event need not be there any more: its deliveries are kept for longer.
    """
    known = select(webhook_event_ids.c.event_id).where(
        webhook_event_ids.c.project_id == caller.project_id, webhook_event_ids.c.external_id == id
    )
    key = connection.execute(named("deliveries.event_key", known)).scalar_one_or_none() or parse_uuid(id)
    return str(key) if key else None


def list_deliveries(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    webhook, search = wanted.webhook_id, search_for(caller, wanted)
    if webhook and not has_webhook(connection, caller, webhook, wanted.application_id):
        return paging.rendered([], None)
    return walk.page(connection, search, limit=limit, cursor=cursor)


def list_attempts(
    connection: Connection, caller: Caller, id: str, *, has_error: bool | None, limit: int, cursor: str
) -> str | None:
    """One page, as JSON text; None when there is no such delivery. Raises Invalid for what is no cursor.

    Only partitions between the delivery and its last attempt are looked at.
    """
    last_attempt = select(d.last_attempt_at).where(*reach.within(webhook_deliveries, caller), d.id == id)
    delivery = connection.execute(named("attempts.last", last_attempt)).one_or_none()
    if delivery is None:
        return None
    until = uuid7_floor((delivery.last_attempt_at or datetime.now(UTC)) + LATE)
    columns: list[ColumnElement[Any]] = [cast(a.id, Text), cast(_attempt(), Text)]
    statement = select(*columns).where(
        a.delivery_id == id, a.project_id == caller.project_id, a.id >= floor_of(id), a.id < until
    )
    if has_error is not None:
        statement = statement.where(a.error_code.is_not(None) if has_error else a.error_code.is_(None))
    page = named("attempts.list", paging.after(statement, a.id, limit=limit, cursor=cursor))
    rows = connection.execute(page).all()
    last = rows[limit - 1][0] if len(rows) > limit else None
    return paging.rendered([shown for _, shown in rows[:limit]], last)


def search_for(caller: Caller, wanted: Filter) -> Walk:
    """The walk that finds what is wanted; without `ways` when nothing can be."""
    return Walk(
        table=webhook_deliveries,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=_ways(caller, wanted),
        after=wanted.created_after,
        before=wanted.created_before,
        # A caller's own UUIDv7 may be ahead of the delivery's by what is allowed for its clock.
        oldest=floor_of(wanted.event_id, KEY_SKEW) if wanted.event_id else walk.FIRST,
        few=bool(wanted.event_id),
    )


def _ways(caller: Caller, wanted: Filter) -> list[list[Index]]:
    """The indexes that have every row that is wanted; which has the fewest others is for the walk to see.

    An application's own key is led along its own rows only, so that not even a cursor tells of others'.
    """
    if wanted.status == "delivered" and wanted.went_wrong:
        return []
    if wanted.event_id:
        return [[Index([(d.event_id, wanted.event_id)], reach.within(webhook_deliveries, caller))]]
    whose, ways = [(d.project_id, caller.project_id)], []
    if wanted.webhook_id:
        whose = [(d.webhook_id, wanted.webhook_id)]
        ways.append([Index(whose, [FAILED] if wanted.status == "failed" else [])])
    elif application := wanted.application_id or caller.application_id:
        ways.append([Index([(d.application_id, application)], [d.application_id.is_not(None)])])
    if not caller.application_id:
        ways += _in_project((d.project_id, caller.project_id), whose, wanted)
    return ways or [[Index(whose)]]


def _in_project(
    project: tuple[Column[Any], str], whose: list[tuple[Column[Any], str]], wanted: Filter
) -> Iterator[list[Index]]:
    """By type; and by state, because what is not delivered is what people look for, and little."""
    if wanted.event_type and not wanted.type_prefix:
        yield [Index([project, (d.event_type, wanted.event_type)])]
    if wanted.status == "failed" and not wanted.webhook_id:
        yield [Index([project], [FAILED])]
    elif wanted.status in {"pending", "delivering"}:
        yield [Index([project], [UNFINISHED])]
    elif wanted.went_wrong and not wanted.status:
        yield [Index(whose, [FAILED]), Index([project], [UNFINISHED])]


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    for name in ("webhook_id", "event_id", "application_id", "status"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    if wanted.type_prefix:
        conditions.append(func.starts_with(rows.c.event_type, wanted.type_prefix))
    elif wanted.event_type:
        conditions.append(rows.c.event_type == wanted.event_type)
    if wanted.response_status:
        conditions.append(_answered(rows.c.last_response_status, wanted.response_status))
    if wanted.has_error is not None:
        code = rows.c.last_error_code
        conditions.append(code.is_not(None) if wanted.has_error else code.is_(None))
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _answered(column: ColumnElement[int], status: str) -> ColumnElement[bool]:
    if status.endswith("xx"):
        hundred = int(status[0]) * 100
        return column.between(hundred, hundred + 99)
    return column == int(status)


def has_webhook(connection: Connection, caller: Caller, id: str, application_id: str = "") -> bool:
    """Whether the webhook, living or deleted, is the caller's; else its index must not be walked."""
    w = webhooks.c
    bound = [w.application_id == application_id] if application_id else []
    found = select(w.id).where(w.id == id, *reach.within(webhooks, caller), *bound)
    return connection.execute(named("deliveries.has_webhook", found)).one_or_none() is not None


def _shown(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    return json_object(
        {
            "id": c.id,
            "event_id": c.event_id,
            "event_type": c.event_type,
            "webhook_id": c.webhook_id,
            "application_id": c.application_id,
            "status": c.status,
            "attempts": c.attempts,
            "max_attempts": c.max_attempts,
            "scheduled_at": rfc3339(c.scheduled_at),
            "waiting_for": waiting_for(rows),
            "last_attempt_at": rfc3339(c.last_attempt_at),
            "last_response_status": c.last_response_status,
            "last_error": error(c.last_error_code, c.last_error_message),
            "delivered_at": rfc3339(c.delivered_at),
            "created_at": rfc3339(c.created_at),
        }
    )


def _attempt() -> ColumnElement[Any]:
    shown: tuple[Column[Any], ...] = (a.id, a.attempt_number, a.request_url, a.request_headers)
    return json_object(
        {column.name: column for column in shown}
        | {
            "request_sent_at": rfc3339(a.request_sent_at),
            "response_status": a.response_status,
            "response_headers": a.response_headers,
            "response_body": a.response_body,
            "response_time_ms": a.response_time_ms,
            "remote_address": func.host(a.remote_address),
            "error": error(a.error_code, a.error_message),
            "expunged_at": rfc3339(a.expunged_at),
        }
    )
