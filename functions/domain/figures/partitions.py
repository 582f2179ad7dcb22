"""How far ahead partitions are made, what is in the default ones, and which are past their retention."""

import re
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import Connection, text

from functions.domain.figures.reading import row
from functions.settings import Retention
from functions.statements import named

MOST_IN_DEFAULT = 10_000  # rows of a default partition are counted up to that: it should have none
DAY = timedelta(days=1)
BOUNDS = re.compile(r"FROM \('([0-9a-f-]{36})'\) TO \('([0-9a-f-]{36})'\)")
PARTITIONS = named(
    "figures.partitions",
    text("""
SELECT CAST(p.relname AS text) AS "table", quote_ident(CAST(c.relname AS text)) AS name,
  pg_get_expr(c.relpartbound, c.oid) AS bounds
FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent JOIN pg_class c ON c.oid = i.inhrelid
WHERE p.relnamespace = CAST('webhook' AS regnamespace) AND p.relkind = 'p' AND c.relpartbound IS NOT NULL
ORDER BY 1, 2
"""),
)


class Range(NamedTuple):
    """A partition and the time it is for; a default one is for no time of its own."""

    table: str
    name: str
    start: datetime | None
    end: datetime | None


def ranges(found: list[dict[str, Any]]) -> list[Range]:
    """The partitions of rows of PARTITIONS."""
    return [Range(one["table"], one["name"], *_times(one["bounds"] or "")) for one in found]


def standing(found: list[Range], now: datetime, retention: Retention) -> list[dict[str, Any]]:
    """For each partitioned table how far it reaches and what should be gone, in the order of their names."""
    ages = _ages(retention)
    return [
        _standing(table, list(of_table), now, ages.get(table))
        for table, of_table in groupby(found, lambda r: r.table)
    ]


def default_rows(connection: Connection, found: list[Range]) -> dict[str, int]:
    """How many rows are in each table's default partition, up to MOST_IN_DEFAULT."""
    return {one.table: _rows_of(connection, one.name) for one in found if one.start is None}


def _rows_of(connection: Connection, partition: str) -> int:
    counted = f"SELECT count(*) AS rows FROM (SELECT FROM webhook.{partition} ORDER BY id LIMIT :most) p"  # noqa: S608 - quoted by Postgres
    statement = named("figures.default_rows", text(counted))
    return int(row(connection, statement, {"most": MOST_IN_DEFAULT}, by_index=True)["rows"])


def _times(bounds: str) -> tuple[datetime, datetime] | tuple[None, None]:
    match = BOUNDS.search(bounds)
    return (_time(match[1]), _time(match[2])) if match else (None, None)


def _time(floor: str) -> datetime:
    """The time that a key begins with; that of webhook.uuidv7_floor is no whole UUIDv7."""
    return datetime.fromtimestamp((UUID(floor).int >> 80) / 1000, UTC)


def _standing(table: str, found: list[Range], now: datetime, age: int | None) -> dict[str, Any]:
    spans = sorted((one.start, one.end, one.name) for one in found if one.start and one.end)
    until = now
    for start, end, _ in spans:
        if start <= until < end:
            until = end
    past = [] if age is None else [(end, name) for _, end, name in spans if end + age * DAY <= now]
    return {
        "table": table,
        "partitions": len(found),
        "ahead": sum(start > now for start, _, _ in spans),
        "days_ahead": round((until - now) / DAY, 2),
        "covered_until": until,
        "past_retention": [name for _, name in past],
        "days_past_retention": round((now - past[0][0]) / DAY - age, 2) if past and age is not None else 0,
    }


def _ages(retention: Retention) -> dict[str, int]:
    """Days that each table's rows are kept, counted from the end of their partition."""
    return {
        "webhook_events": retention.events_days,
        "webhook_deliveries": retention.deliveries_days,
        "webhook_delivery_attempts": retention.deliveries_days,
        "audit_log": retention.audit_log_days,
        "request_metrics": retention.metrics_days,
        "operation_metrics": retention.metrics_days,
    }
