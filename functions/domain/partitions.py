"""Partitions by date of the tables keyed by UUIDv7: which there should be, and making those that are missing."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, text

from functions.domain.ids import uuid7_floor


@dataclass(frozen=True)
class Series:
    """How one table is cut. `ahead` and `behind` count intervals from the present one."""

    table: str
    monthly: bool
    ahead: int
    behind: int
    options: str = ""


@dataclass(frozen=True)
class Partition:
    name: str
    start: datetime
    end: datetime


# Ahead: two weeks of days and three months, so that maintenance may fail for long before it matters. Behind: one
# day of events, because a caller's own UUIDv7 may be a day old (domain/ids.py).
SERIES = (
    Series("webhook_events", monthly=False, ahead=14, behind=1),
    Series("webhook_deliveries", monthly=True, ahead=3, behind=0, options="WITH (fillfactor = 45)"),
    Series("webhook_delivery_attempts", monthly=True, ahead=3, behind=0),
    Series("audit_log", monthly=True, ahead=3, behind=0),
)
EXISTING = text(
    "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
    " WHERE i.inhparent = to_regclass(:parent)"
)


def wanted(series: Series, now: datetime) -> Iterator[Partition]:
    """The partitions a table should have now, oldest first. `now` in UTC."""
    for step in range(-series.behind, series.ahead + 1):
        start = start_of(series, now, step)
        name = f"{series.table}_{start:%Y_%m}" if series.monthly else f"{series.table}_{start:%Y_%m_%d}"
        yield Partition(name, start, start_of(series, now, step + 1))


def make_missing(connection: Connection, now: datetime | None = None) -> list[str]:
    """Make and attach what is missing, each in a transaction of its own; the names of what was made.

    A table is made apart and then attached, because ATTACH lets writers go on (SHARE UPDATE EXCLUSIVE) where
    CREATE … PARTITION OF would stop them. Raises sqlalchemy.exc.DBAPIError when a lock is not had in time.
    """
    made = []
    for series in SERIES:
        parent = f"webhook.{series.table}"
        existing = set(connection.execute(EXISTING, {"parent": parent}).scalars())
        connection.commit()
        for partition in wanted(series, now or datetime.now(UTC)):
            if partition.name not in existing:
                _make(connection, series, partition)
                made.append(partition.name)
    return made


def _make(connection: Connection, series: Series, partition: Partition) -> None:
    child, parent = f"webhook.{partition.name}", f"webhook.{series.table}"
    with connection.begin():
        connection.execute(text(f"CREATE TABLE {child} (LIKE {parent} INCLUDING ALL) {series.options}"))
        connection.execute(
            text(
                f"ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES"
                f" FROM ('{uuid7_floor(partition.start)}') TO ('{uuid7_floor(partition.end)}')"
            )
        )


def start_of(series: Series, now: datetime, step: int) -> datetime:
    """When the partition begins that is `step` after the one of `now`, in UTC."""
    if series.monthly:
        months = now.year * 12 + now.month - 1 + step
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=step)
