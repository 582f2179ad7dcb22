"""The job `partitions`: makes the partitions of the coming days and months, and empties the default ones."""

import time

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner, sqlstate
from functions.domain import default_partitions
from functions.domain.ids import uuid7_floor
from functions.domain.partitions import Partition, Series, all_series, make, missing
from functions.maintain.run import Run
from functions.telemetry import logger

FIRST = "00000000-0000-0000-0000-000000000000"
# A lock was not had in time, a deadlock, a row that came in between: a moment later it is different.
PASSING = {"55P03", "40P01", "23514"}
PAUSES_SECONDS = (0.5, 2.0)  # between tries


def run(run: Run) -> dict[str, int]:
    """Runs again and again without harm. How many partitions were made, how many rows moved into one (`drained`),
    and how many are left in default partitions.

    What cannot be made does not keep the others from being made. Raises what the last one raised.
    """
    counts = {"made": 0, "drained": 0, "default_rows": 0}
    failed: DBAPIError | None = None
    with connect_owner() as connection:
        for series in all_series():
            ahead = missing(connection, series, run.now)
            failed = _make_each(connection, series, ahead, counts) or failed
            failed = _drain(connection, series, run, counts) or failed
            left = default_partitions.rows(connection, series)
            counts["default_rows"] += left
            if left:
                logger.error("rows in the default partition", table=series.table, rows=left)
    if failed is not None:
        raise failed
    return counts


def _drain(connection: Connection, series: Series, run: Run, counts: dict[str, int]) -> DBAPIError | None:
    failed, after = None, FIRST
    while run.has_time() and (partition := default_partitions.next_missing(connection, series, after)):
        failed = _make_each(connection, series, [partition], counts) or failed
        after = uuid7_floor(partition.end)
    return failed


def _make_each(
    connection: Connection, series: Series, partitions: list[Partition], counts: dict[str, int]
) -> DBAPIError | None:
    failed = None
    for partition in partitions:
        try:
            moved = _make(connection, series, partition)
        except DBAPIError as error:
            logger.exception("partition not made", partition=partition.name)
            failed = error
        else:
            logger.info("partition made", partition=partition.name, moved=moved)
            counts["made"] += 1
            counts["drained"] += moved
    return failed


def _make(connection: Connection, series: Series, partition: Partition) -> int:
    """As partitions.make, tried again when something stood in its way."""
    for pause in PAUSES_SECONDS:
        try:
            return make(connection, series, partition)
        except DBAPIError as error:
            if sqlstate(error) not in PASSING:
                raise
            logger.warning("partition not made, trying again", partition=partition.name, error=str(error.orig))
            time.sleep(pause)
    return make(connection, series, partition)
