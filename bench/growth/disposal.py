"""Getting rid of a month: its partitions dropped, against its rows deleted."""

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pg8000.native
from rich.table import Table

from bench.database import address
from bench.figures import columns, number
from bench.growth import rows
from functions.domain.ids import uuid7_floor

TABLES = ("webhook_delivery_attempts", "webhook_deliveries")
LSN = "SELECT CAST(pg_current_wal_insert_lsn() AS text)"
WAL = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), CAST(:since AS pg_lsn))"
SIZE = "SELECT pg_database_size(current_database())"


@dataclass(frozen=True)
class _Cost:
    seconds: float
    wal_mb: float
    freed_mb: float


def disposal(url: str, months: int) -> Table:
    """What it takes to drop the oldest month, and to delete the one after it."""
    first, second = rows.months(months, datetime.now(UTC))[:2]
    with closing(pg8000.native.Connection(**address(url))) as sql:
        dropped = _cost(sql, lambda: _drop(sql, first))
        deleted = _cost(sql, lambda: _delete(sql, second))
    table = columns("a month of deliveries and attempts", ["dropped", "deleted", "ratio"])
    for heading, one, other, places in (
        ("seconds", dropped.seconds, deleted.seconds, 3),
        ("WAL, MB", dropped.wal_mb, deleted.wal_mb, 2),
        ("disk that came free, MB", dropped.freed_mb, deleted.freed_mb, 0),
    ):
        ratio = number(other / one, 0) if one else ""
        table.add_row(heading, number(one, places), number(other, places), ratio)
    return table


def _cost(sql: pg8000.native.Connection, work: Callable[[], None]) -> _Cost:
    sql.run("CHECKPOINT")
    size, lsn = sql.run(SIZE)[0][0], sql.run(LSN)[0][0]
    before = time.perf_counter()
    work()
    seconds = time.perf_counter() - before
    wal = float(sql.run(WAL, since=lsn)[0][0])
    return _Cost(seconds, wal / 1e6, (size - sql.run(SIZE)[0][0]) / 1e6)


def _drop(sql: pg8000.native.Connection, month: datetime) -> None:
    for table in TABLES:
        name = rows.partition_of(table, month).name
        sql.run(f"ALTER TABLE webhook.{table} DETACH PARTITION webhook.{name}")
        sql.run(f"DROP TABLE webhook.{name}")


def _delete(sql: pg8000.native.Connection, month: datetime) -> None:
    for table in TABLES:
        partition = rows.partition_of(table, month)
        low, high = uuid7_floor(partition.start), uuid7_floor(partition.end)
        sql.run(f"DELETE FROM webhook.{table} WHERE id >= '{low}' AND id < '{high}'")
        sql.run(f"VACUUM webhook.{partition.name}")
