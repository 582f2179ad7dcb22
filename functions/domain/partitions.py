"""Partitions by date of the tables keyed by UUIDv7: which there should be, and making those that are missing."""

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sqlalchemy import Connection, text

from functions.domain.ids import uuid7_floor
from functions.settings import Cut, settings
from functions.statements import named


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

    def overlaps(self, other: "Partition") -> bool:
        return self.start < other.end and other.start < self.end


FEW = 20_000  # rows that are moved in a second or two
# What waits for one of these locks has writers waiting behind it.
LOCK_TIMEOUT = named("partitions.lock_timeout", text("SET LOCAL lock_timeout = '2s'"))
EXISTING = named(
    "partitions.existing",
    text("""
SELECT c.relname, pg_get_expr(c.relpartbound, c.oid)
FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
WHERE i.inhparent = to_regclass(:parent) AND pg_get_expr(c.relpartbound, c.oid) <> 'DEFAULT'
"""),
)
KEY = re.compile(r"'([0-9a-f-]{36})'")


def all_series() -> tuple[Series, ...]:
    """Every partitioned table. How each is cut and how far ahead is a setting, with its reason there.

    Behind: the interval before, because a caller's own UUIDv7 may be a day old (domain/ids.py). A new row version
    of a delivery fits on the same page twice (claim, record): both updates can be heap-only (HOT).
    """
    cut = settings().partitions
    return (
        _series("webhook_events", cut.events, behind=1),
        _series("webhook_deliveries", cut.deliveries, options="WITH (fillfactor = 45)"),
        _series("webhook_delivery_attempts", cut.attempts),
        _series("audit_log", cut.audit_log),
        _series("request_metrics", cut.request_metrics),
        _series("operation_metrics", cut.operation_metrics),
    )


def series_of(table: str) -> Series | None:
    """How this table is cut; None when it is not."""
    return next((series for series in all_series() if series.table == table), None)


def wanted(series: Series, now: datetime) -> Iterator[Partition]:
    """The partitions a table should have now, oldest first. `now` in UTC."""
    for step in range(-series.behind, series.ahead + 1):
        yield _partition(series, now, step)


def containing(series: Series, at: datetime) -> Partition:
    """The partition that rows of this time belong to."""
    return _partition(series, at, 0)


def uncovered(series: Series, partition: Partition, existing: Collection[Partition]) -> list[Partition]:
    """What is to be made for `partition` beside those that exist: it, nothing, or some of its days.

    Partitions are whole days or whole months and never overlap, also where the interval of the table was changed:
    a month of which days exist gets its other days, a day whose month exists is there already.
    """
    if not any(partition.overlaps(one) for one in existing):
        return [partition]
    if not series.monthly:
        return []
    by_day = Series(series.table, monthly=False, ahead=0, behind=0, options=series.options)
    days = (_partition(by_day, partition.start, step) for step in range((partition.end - partition.start).days))
    return [day for day in days if not any(day.overlaps(one) for one in existing)]


def existing(connection: Connection, table: str) -> list[Partition]:
    """The table's partitions, oldest first, but the default one. Ends the transaction."""
    found = connection.execute(EXISTING, {"parent": f"webhook.{table}"}).all()
    connection.commit()
    partitions = [Partition(name, *(made_at(key) for key in KEY.findall(bounds))) for name, bounds in found]
    return sorted(partitions, key=lambda one: one.start)


def missing(connection: Connection, series: Series, now: datetime) -> list[Partition]:
    """The partitions that the table should have now and has not, oldest first."""
    have = existing(connection, series.table)
    return [one for partition in wanted(series, now) for one in uncovered(series, partition, have)]


def make_missing(connection: Connection, now: datetime | None = None) -> list[str]:
    """Make and attach what is missing, each in a transaction of its own; the names of what was made.

    Raises sqlalchemy.exc.DBAPIError when a lock is not had in time.
    """
    made = []
    for series in all_series():
        for partition in missing(connection, series, now or datetime.now(UTC)):
            make(connection, series, partition)
            made.append(partition.name)
    return made


def make(connection: Connection, series: Series, partition: Partition) -> int:
    """Make and attach a partition, with the rows of its range that lie in the default one; how many those were.

    A table is made apart and then attached, because ATTACH lets writers go on (SHARE UPDATE EXCLUSIVE) where
    CREATE … PARTITION OF would stop them. It fails when a row of the range is in the default partition, and a
    writer that was about to put one there would fail as well: so where there are any, the last of them are moved
    while nobody uses the table. Many are moved before that, while others go on.
    Raises sqlalchemy.exc.DBAPIError when a lock is not had in time, or when a row came in between; nothing is
    changed then.
    """
    child, parent = f"webhook.{partition.name}", f"webhook.{series.table}"
    default = f"{parent}_default"
    bounds = {"low": uuid7_floor(partition.start), "high": uuid7_floor(partition.end)}
    in_range = "id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid)"
    some = f"SELECT FROM {default} WHERE {in_range} LIMIT {FEW + 1}"
    count = named("partitions.count_in_default", text(f"SELECT count(*) FROM ({some}) found"))  # noqa: S608
    move = named(
        "partitions.move",
        text(
            f"WITH moved AS (DELETE FROM {default} WHERE {in_range} RETURNING *)"  # noqa: S608 - names of ours
            f" INSERT INTO {child} SELECT * FROM moved"
        ),
    )
    moved = 0
    with connection.begin():
        connection.execute(LOCK_TIMEOUT)
        _run(connection, "make", f"CREATE TABLE {child} (LIKE {parent} INCLUDING ALL) {series.options}")
        if found := connection.execute(count, bounds).scalar_one():
            moved += connection.execute(move, bounds).rowcount if found > FEW else 0
            _run(connection, "lock", f"LOCK TABLE ONLY {parent} IN ACCESS EXCLUSIVE MODE")
            moved += connection.execute(move, bounds).rowcount
        ends = f"FROM ('{bounds['low']}') TO ('{bounds['high']}')"
        _run(connection, "attach", f"ALTER TABLE {parent} ATTACH PARTITION {child} FOR VALUES {ends}")
    return moved


def start_of(series: Series, now: datetime, step: int) -> datetime:
    """When the partition begins that is `step` after the one of `now`, in UTC."""
    if series.monthly:
        months = now.year * 12 + now.month - 1 + step
        return datetime(months // 12, months % 12 + 1, 1, tzinfo=UTC)
    return datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=step)


def made_at(key: str) -> datetime:
    """When a UUIDv7 was made, in UTC. Raises ValueError for a year that Python does not know."""
    return datetime.fromtimestamp((UUID(key).int >> 80) / 1000, UTC)


def _series(table: str, cut: Cut, *, behind: int = 0, options: str = "") -> Series:
    return Series(table, monthly=cut.interval == "month", ahead=cut.ahead, behind=behind, options=options)


def _partition(series: Series, now: datetime, step: int) -> Partition:
    start = start_of(series, now, step)
    name = f"{series.table}_{start:%Y_%m}" if series.monthly else f"{series.table}_{start:%Y_%m_%d}"
    return Partition(name, start, start_of(series, now, step + 1))


def _run(connection: Connection, name: str, statement: str) -> None:
    connection.execute(named(f"partitions.{name}", text(statement)))
