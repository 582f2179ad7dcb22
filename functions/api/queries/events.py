"""Reading events, and erasing the payload of one."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, FromClause, Text, cast, func, select

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.as_json import json_object, rfc3339
from functions.api.rendering import to_json
from functions.api.walk import Index, Walk
from functions.domain import expunge
from functions.domain.ids import KEY_AGE, KEY_SKEW, floor_of
from functions.ingest.accepting import known_events
from functions.models import webhook_deliveries, webhook_event_ids, webhook_events
from functions.statements import named

e, d = webhook_events.c, webhook_deliveries.c
NONE = {"pending": 0, "delivered": 0, "failed": 0}
EARLIEST = datetime(1970, 1, 3, tzinfo=UTC)  # that a day can be taken from: keys begin with 1970


@dataclass(frozen=True)
class Filter:
    """What a list of events is narrowed to; None or empty means any."""

    key: str = ""
    type: str = ""  # exact, or a prefix such as `invoice.*`
    application_id: str = ""  # the application's key
    environment: str = ""
    created_after: datetime | None = None
    created_before: datetime | None = None

    @property
    def type_prefix(self) -> str:
        """`invoice.` of `invoice.*`, else empty."""
        return self.type[:-1] if self.type.endswith("*") else ""


def key_of(connection: Connection, caller: Caller, id: str) -> str | None:
    """The key of the event that `id`, a key or the sender's own id, names within the caller's reach."""
    known = known_events(connection, caller, [id])
    return str(known[0]["id"]) if known else None


def event(connection: Connection, caller: Caller, id: str) -> str | None:
    """The whole event by key or external id, as JSON text: its data keeps every digit it came with."""
    key = key_of(connection, caller, id)
    if key is None:
        return None
    counts = _counts(connection, caller, [key]).get(key, NONE)
    found = select(cast(_whole(counts), Text)).where(e.id == key)
    # It may leave the database this moment.
    whole = connection.execute(named("events.get", found)).scalar_one_or_none()
    return None if whole is None else str(whole)


def list_events(connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> str:
    """One page, as JSON text. Raises Invalid for what is no cursor."""
    if wanted.key:
        found = _one(connection, _conditions(webhook_events, caller, wanted))
        return to_json({"data": with_counts(connection, caller, found), "next_cursor": None})
    page = json.loads(walk.page(connection, search_for(caller, wanted), limit=limit, cursor=cursor))
    return to_json({**page, "data": with_counts(connection, caller, page["data"])})


def with_counts(connection: Connection, caller: Caller, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The events, each with how its deliveries stand: counted now, by one query for all."""
    counts = _counts(connection, caller, [row["id"] for row in rows])
    return [{**row, "deliveries": counts.get(row["id"], NONE)} for row in rows]


def erase(connection: Connection, caller: Caller, id: str) -> tuple[dict[str, Any], bool] | None:
    """The event without its payload, and whether it still had it; None when the caller has no such event."""
    key = key_of(connection, caller, id)
    if key is None:
        return None
    changed = expunge.expunge(connection, [key])
    shown = (e.id, e.external_id, e.type, e.application_id, e.expunged_at, e.created_at)
    row = connection.execute(named("events.erased", select(*shown).where(e.id == key))).mappings().one()
    return dict(row), changed > 0


def search_for(caller: Caller, wanted: Filter) -> Walk:
    """The walk that finds what is wanted. Keys may be the senders' own: they lie a little beside created_at."""
    after, before = wanted.created_after, wanted.created_before
    return Walk(
        table=webhook_events,
        shown=_summary,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=_ways(caller, wanted),
        after=after and max(after, EARLIEST) - KEY_AGE,
        before=before and min(before, paging.LATEST) + KEY_SKEW,
    )


def _one(connection: Connection, conditions: list[ColumnElement[bool]]) -> list[dict[str, Any]]:
    """The event that these conditions, its key among them, leave; none or one."""
    found = named("events.by_key", select(cast(_summary(webhook_events), Text)).where(*conditions))
    return [json.loads(row) for row in connection.execute(found).scalars()]


def _ways(caller: Caller, wanted: Filter) -> list[list[Index]]:
    """As those of deliveries: an application's own key is led along its own rows only."""
    project = (e.project_id, caller.project_id)
    application = wanted.application_id or caller.application_id
    ways = []
    if wanted.type and not wanted.type_prefix and not caller.application_id:
        ways.append([Index([project, (e.type, wanted.type)])])
    if application:
        ways.append([Index([(e.application_id, application)], [e.application_id.is_not(None)])])
    return ways or [[Index([project])]]


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = reach.within(rows, caller)
    if wanted.key:
        conditions.append(rows.c.id == wanted.key)
    for name in ("application_id", "environment"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    if wanted.type_prefix:
        conditions.append(func.starts_with(rows.c.type, wanted.type_prefix))
    elif wanted.type:
        conditions.append(rows.c.type == wanted.type)
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _counts(connection: Connection, caller: Caller, keys: Sequence[str]) -> dict[str, dict[str, int]]:
    """By event. No delivery is older than its event, but for what a sender's clock may be ahead."""
    if not keys:
        return {}
    failed, delivered = d.status == "failed", d.status == "delivered"
    statement = (
        select(d.event_id, func.count(), func.count().filter(delivered), func.count().filter(failed))
        .where(
            *reach.within(webhook_deliveries, caller), d.event_id.in_(keys), d.id >= floor_of(min(keys), KEY_SKEW)
        )
        .group_by(d.event_id)
    )
    return {
        str(key): {"pending": all_ - delivered - failed, "delivered": delivered, "failed": failed}
        for key, all_, delivered, failed in connection.execute(named("events.counts", statement))
    }


def _summary(rows: FromClause) -> ColumnElement[Any]:
    return json_object(_members(rows))


def _whole(counts: dict[str, int]) -> ColumnElement[Any]:
    counted = json_object({name: cast(count, e.webhooks_matched.type) for name, count in counts.items()})
    more = {"deliveries": counted, "data": e.data, "correlation_id": e.correlation_id, "received": _RECEIVED}
    return json_object(_members(webhook_events) | more)


# What was kept of the request, of an event that came through a source.
_RECEIVED = (
    select(webhook_event_ids.c.received)
    .where(
        webhook_event_ids.c.project_id == e.project_id,
        webhook_event_ids.c.external_id == e.external_id,
        webhook_event_ids.c.event_id == e.id,
    )
    .correlate(webhook_events)
    .scalar_subquery()
)


def _members(rows: FromClause) -> dict[str, ColumnElement[Any]]:
    c = rows.c
    return {
        "id": c.id,
        "external_id": c.external_id,
        "type": c.type,
        "application_id": c.application_id,
        "environment": c.environment,
        "webhooks_matched": c.webhooks_matched,
        "occurred_at": rfc3339(c.occurred_at),
        "expunged_at": rfc3339(c.expunged_at),
        "created_at": rfc3339(c.created_at),
    }
