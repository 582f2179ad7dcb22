"""The job `vacuum`: takes up what autovacuum leaves for too long, and what it never sees to at all.

Autovacuum goes by a share of a table, which of ten million rows is a great deal. And it never analyses a
partitioned table itself, only its partitions: plans over all of them go by statistics that nobody ever renewed.
The thresholds, with their reasons, are in functions/settings.py.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner, sqlstate
from functions.maintain.run import Run
from functions.settings import Vacuum, settings
from functions.statements import named
from functions.telemetry import logger

CANCELLED = "57014"  # by the statement timeout
LOCKED = "55P03"
LOCK_TIMEOUT = "2s"

# Row counts are estimates; a table that was never analysed has none, and is taken for an empty one.
STATES = named(
    "maintain.vacuum.states",
    text("""
SELECT s.relname, c.relkind = 'p' AS is_parent, s.n_live_tup AS live, s.n_dead_tup AS dead,
  s.n_mod_since_analyze AS changed, s.vacuum_count, s.last_analyze, s.last_autoanalyze
FROM pg_stat_user_tables s JOIN pg_class c ON c.oid = s.relid
WHERE s.schemaname = 'webhook' ORDER BY s.n_dead_tup DESC, s.relname
"""),
)
VACUUMED = named(
    "maintain.vacuum.count",
    text("SELECT vacuum_count FROM pg_stat_user_tables WHERE schemaname = 'webhook' AND relname = :table"),
)
BOUNDS = named(
    "maintain.vacuum.bounds",
    text("""
SELECT set_config('statement_timeout', :statement_timeout, false), set_config('lock_timeout', :lock_timeout, false)
"""),
)
# What is vacuumed is read and written by everybody meanwhile. To give pages back at the end of a file would need a
# lock that nobody passes: they will be used again.
OPTIONS = "SKIP_LOCKED, TRUNCATE FALSE"


@dataclass(frozen=True)
class Due:
    """What is to be done to one table. `dead` decides what comes first."""

    table: str
    statement: str
    count: str  # what it is counted as
    dead: int = 0
    vacuums: int = 0  # times the table was vacuumed before


def run(run: Run) -> dict[str, int]:
    """How many tables were `vacuumed` (and analysed), how many only `analyzed`, how many `skipped`, because
    somebody held a lock, and how many there was no time for (`left`)."""
    counts = {"vacuumed": 0, "analyzed": 0, "skipped": 0, "left": 0}
    with _unbound() as connection:
        due = list(_due(connection, run, settings().vacuum))
        for number, one in enumerate(due):
            if not run.has_time() or not _do(connection, run, one, counts):
                counts["left"] = len(due) - number
                break
    return counts


@contextmanager
def _unbound() -> Iterator[Connection]:
    """The owner's connection, outside of any transaction: VACUUM takes none."""
    with connect_owner() as connection:
        yield connection.execution_options(isolation_level="AUTOCOMMIT")


def _due(connection: Connection, run: Run, bounds: Vacuum) -> Iterator[Due]:
    """What has most dead rows first; then what is to be analysed, partitioned tables last."""
    rows = connection.execute(STATES).mappings().all()
    for row in rows:
        if row["is_parent"]:
            continue
        table, floor = row["relname"], bounds.dead_rows
        if row["dead"] > max(floor, row["live"] * bounds.dead_percent / 100):
            statement = f"VACUUM (ANALYZE, {OPTIONS}) webhook.{table}"
            yield Due(table, statement, "vacuumed", row["dead"], row["vacuum_count"])
        elif row["changed"] > max(floor, row["live"] * bounds.changed_percent / 100):
            yield Due(table, f"ANALYZE (SKIP_LOCKED) webhook.{table}", "analyzed")
    for row in rows:
        last = row["last_analyze"]
        if row["is_parent"] and (last is None or (run.now - last).total_seconds() > bounds.parents_hours * 3600):
            # ONLY: what is sampled is all of it, but the partitions' own statistics are not made anew.
            yield Due(row["relname"], f"ANALYZE (SKIP_LOCKED) ONLY webhook.{row['relname']}", "analyzed")


def _do(connection: Connection, run: Run, due: Due, counts: dict[str, int]) -> bool:
    """False when the time was up before it was done; what was vacuumed of the table until then stays so."""
    done = due.count
    try:
        _within(connection, run.seconds_left())
        connection.execute(named(f"maintain.vacuum.{due.count}", text(due.statement)))
    except DBAPIError as error:
        if sqlstate(error) == CANCELLED:
            logger.warning("no time to finish", table=due.table, statement=due.statement)
            return False
        if sqlstate(error) != LOCKED:
            raise
        done = "skipped"
    if done == "vacuumed" and connection.execute(VACUUMED, {"table": due.table}).scalar_one() == due.vacuums:
        done = "skipped"
    logger.info(done, table=due.table, dead_rows=due.dead)
    counts[done] += 1
    return True


def _within(connection: Connection, seconds: float) -> None:
    """Bounds of whatever comes next on this connection, which is nobody else's."""
    bounds = {"statement_timeout": f"{max(1, int(seconds * 1000))}ms", "lock_timeout": LOCK_TIMEOUT}
    connection.execute(BOUNDS, bounds)
