"""The job `statistics`: counts attempts and dead letters, each once, sorts endpoints, forgets old buckets (D10).

Rows are counted in the order of their keys, up to a bound, and never again: the position moves in the transaction
that counts. So nothing with a smaller key may appear later, and the bound is where nothing can any more:

- An attempt's key is made by the delivery function when it ended, by that function's clock, and is written in a
  transaction which the same invocation begins. A dead letter's is made by the database, in the transaction itself.
- So what has the key of a time T is in a transaction that took its number, at the latest, LAG after T.
- A transaction of our own takes a number, too: those that were given out before are smaller. Once a snapshot tells
  that all of them are over, what it does not see has a greater number, and hence a key later than then - LAG.

A transaction that hangs keeps the figures from going on, and makes none of them wrong.
"""

import time
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from functions.adapters.database import connect_owner
from functions.domain.ids import uuid7_floor
from functions.domain.statistics.times import RESOLUTIONS
from functions.maintain import rankings, rollup
from functions.maintain.run import Run
from functions.statements import named
from functions.telemetry import logger

# An invocation of the delivery function lasts 60 s, and the statement that it died in up to 20 s more (the role's
# timeout). The rest is for clocks that differ, and for a proxy that lets a statement wait.
LAG = timedelta(seconds=120)
# What is written takes milliseconds; the longest batch of maintenance some seconds. After that the next run tries.
PATIENCE_SECONDS = 30.0
PAUSE_SECONDS = 0.1
PRUNED = 10_000  # rows a batch: a tenth of a second

MARK = named("statistics.mark", text("SELECT CAST(pg_current_xact_id() AS text)"))
SETTLED = named(
    "statistics.settled",
    text("SELECT pg_snapshot_xmin(pg_current_snapshot()) > CAST(CAST(:mark AS text) AS xid8)"),
)
PRUNE = named(
    "statistics.prune",
    text("""
DELETE FROM webhook.delivery_statistics WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM webhook.delivery_statistics
  WHERE resolution = CAST(:resolution AS smallint) AND bucket < :before
  ORDER BY bucket LIMIT CAST(:most AS integer)))
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many `attempts` were read and how many of them `counted`, `dead_letters`, `rows` of statistics written;
    `endpoints` sorted; `pruned` rows; `unsettled` is 1 when a transaction under way lasted too long.
    """
    names = ("attempts", "counted", "dead_letters", "rows", "endpoints", "pruned", "unsettled")
    counts = dict.fromkeys(names, 0)
    with connect_owner() as connection:
        if not run.has_time():
            return counts
        if is_settled(connection, run):
            _count(connection, run, counts)
        else:
            logger.warning("transactions are under way for too long: nothing is counted before they are over")
            counts["unsettled"] = 1
        _rank(connection, run, counts)
        _prune(connection, run, counts)
    return counts


def is_settled(connection: Connection, run: Run) -> bool:
    """Whether all transactions that had written when this was called are over, after a moment's patience.

    `run.now` is before that moment.
    """
    with connection.begin():
        mark = connection.execute(MARK).scalar_one()
    until = time.monotonic() + min(PATIENCE_SECONDS, run.seconds_left())
    while True:
        with connection.begin():
            if connection.execute(SETTLED, {"mark": mark}).scalar_one():
                return True
        if time.monotonic() > until:
            return False
        time.sleep(PAUSE_SECONDS)


def bound(now: datetime) -> str:
    """The key before which nothing appears any more, once all is settled."""
    return uuid7_floor(now - LAG)


def _count(connection: Connection, run: Run, counts: dict[str, int]) -> None:
    until = bound(run.now)
    with connection.begin():
        rollup.begin(connection, run.now, until)
    finished = False
    while not finished and run.has_time():
        with connection.begin():
            done = rollup.roll(connection, run.now, until, rollup.BATCH)
        finished = done.finished
        for name, count in done._asdict().items():
            if name in counts:
                counts[name] += count


def _rank(connection: Connection, run: Run, counts: dict[str, int]) -> None:
    with connection.begin():
        due = rankings.due(connection)
    for window, until in due.items():
        if run.has_time():
            with connection.begin():
                counts["endpoints"] += rankings.rank(connection, window, run.now, until)


def _prune(connection: Connection, run: Run, counts: dict[str, int]) -> None:
    for resolution in RESOLUTIONS:
        given = {"resolution": resolution.minutes, "before": resolution.oldest(run.now), "most": PRUNED}
        pruned = PRUNED
        while pruned == PRUNED and run.has_time():
            with connection.begin():
                pruned = connection.execute(PRUNE, given).rowcount
            counts["pruned"] += pruned
