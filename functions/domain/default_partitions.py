"""Default partitions: they take the rows that have no partition, and should be empty.

A row comes into one when partitions were not made in time, or when the clock that made its key was wrong. It is
found there as everywhere else, but it never leaves the database, because retention takes partitions. So whatever
lies in a default partition gets the partition it belongs to, in the past or far ahead, and is moved there.
"""

from datetime import UTC, datetime

from sqlalchemy import Connection, text

from functions.domain.ids import uuid7_floor
from functions.domain.partitions import Partition, Series, containing, existing, made_at, uncovered
from functions.statements import named

# A clock that is so wrong cannot be told as a date; what it made stays, and is counted.
LATEST = uuid7_floor(datetime(9000, 1, 1, tzinfo=UTC))
MOST = 1_000_000  # rows are counted up to here: what is more is no different


def next_missing(connection: Connection, series: Series, after: str) -> Partition | None:
    """The partition that the first row from the key `after` on needs; None when there is no such row, and when
    somebody made partitions by hand that leave no whole day for it."""
    first = text(
        f"SELECT id FROM webhook.{series.table}_default"  # noqa: S608 - a name of ours
        " WHERE id >= CAST(:after AS uuid) AND id < CAST(:latest AS uuid) ORDER BY id LIMIT 1"
    )
    asked = connection.execute(named("partitions.first_in_default", first), {"after": after, "latest": LATEST})
    found = asked.scalar_one_or_none()
    if found is None:
        connection.commit()
        return None
    at = made_at(str(found))
    needed = uncovered(series, containing(series, at), existing(connection, series.table))
    return next((one for one in needed if one.start <= at < one.end), None)


def rows(connection: Connection, series: Series) -> int:
    """How many rows are in the default partition, up to MOST."""
    some = f"SELECT FROM webhook.{series.table}_default LIMIT {MOST}"
    counted = text(f"SELECT count(*) FROM ({some}) found")  # noqa: S608
    found = int(connection.execute(named("partitions.default_rows", counted)).scalar_one())
    connection.commit()
    return found
