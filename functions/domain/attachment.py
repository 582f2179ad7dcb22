"""Taking partitions out of their table, and putting tables in, while everybody else goes on working.

Both need locks that others wait for, so each is tried for a moment only (`lock_ms`), and raises
sqlalchemy.exc.DBAPIError when the lock was not had: whoever asked tries again later.
"""

from sqlalchemy import Connection, TextClause, text

from functions.domain.ids import uuid7_floor
from functions.domain.partitions import Partition, Series
from functions.statements import named

# What a table lacks of its parent's constraints, and how the parent says them.
LACKING = named(
    "attachment.lacking",
    text("""
SELECT p.conname, pg_get_constraintdef(p.oid), p.contype = 'f' FROM pg_constraint p
WHERE p.conrelid = to_regclass(:parent) AND p.contype IN ('c', 'f') AND p.conparentid = 0 AND NOT EXISTS (
  SELECT FROM pg_constraint c WHERE c.conrelid = to_regclass(:table) AND c.conname = p.conname
    AND (c.convalidated OR NOT p.convalidated))
ORDER BY p.contype, p.conname
"""),
)
BOUNDED = named(
    "attachment.bounded",
    text("""
SELECT EXISTS (SELECT FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = 'bounds')
"""),
)
# The work under a lock that others wait for takes milliseconds, and must not take longer than this.
MOST_MS = 2_000


def detach(connection: Connection, series: Series, partition: Partition, lock_ms: int) -> None:
    """Take the partition out, in the caller's transaction.

    Everybody who uses the table waits behind us, for `lock_ms` at most, and then until the transaction ends. Not
    CONCURRENTLY, which Postgres refuses while there is a default partition.
    """
    statement = f"ALTER TABLE webhook.{series.table} DETACH PARTITION webhook.{partition.name}"
    _in_time(connection, "attachment.detach", statement, lock_ms, MOST_MS)


def attach(connection: Connection, series: Series, partition: Partition, lock_ms: int) -> None:
    """Make the table of the partition's name a partition.

    What has to be true of its rows is looked at before, while nobody waits for it: with the bounds and the keys
    checked, Postgres need not read the table under the lock. Raises also for a row that does not fit, here or in
    the default partition.
    """
    table, parent = f"webhook.{partition.name}", f"webhook.{series.table}"
    with connection.begin():
        lacking = connection.execute(LACKING, {"parent": parent, "table": table}).all()
        bounded = connection.execute(BOUNDED, {"table": table}).scalar_one()
    first, behind = uuid7_floor(partition.start), uuid7_floor(partition.end)
    if not bounded:
        check = f"ADD CONSTRAINT bounds CHECK (id >= '{first}' AND id < '{behind}')"
        _briefly(connection, "attachment.bound", f"ALTER TABLE {table} {check}", lock_ms, most_ms=None)
    for name, definition, is_key in lacking:
        constrain = _refer if is_key else _check
        constrain(connection, table, name, definition, lock_ms)
    statement = f"ALTER TABLE {parent} ATTACH PARTITION {table} FOR VALUES FROM ('{first}') TO ('{behind}')"
    _briefly(connection, "attachment.attach", statement, lock_ms)


def make_beside(connection: Connection, series: Series, partition: Partition) -> None:
    """Make the partition's table where there is none, with all indexes; `attach` adds the constraints."""
    statement = (
        f"CREATE TABLE IF NOT EXISTS webhook.{partition.name}"
        f" (LIKE webhook.{series.table} INCLUDING ALL EXCLUDING CONSTRAINTS) {series.options}"
    )
    with connection.begin():
        connection.execute(_named("attachment.make_beside", statement))


def drop(connection: Connection, partition: Partition, lock_ms: int) -> None:
    """Drop a table that is no partition any more, in the caller's transaction.

    The tables that it refers to are locked for a moment.
    """
    _in_time(connection, "attachment.drop", f"DROP TABLE IF EXISTS webhook.{partition.name}", lock_ms, MOST_MS)


def _check(connection: Connection, table: str, name: str, definition: str, lock_ms: int) -> None:
    statement = f'ALTER TABLE {table} ADD CONSTRAINT "{name}" {definition}'
    _briefly(connection, "attachment.check", statement, lock_ms, most_ms=None)


def _refer(connection: Connection, table: str, name: str, definition: str, lock_ms: int) -> None:
    """A foreign key: added first and checked then, since only the first part locks what it refers to."""
    added = f'DROP CONSTRAINT IF EXISTS "{name}", ADD CONSTRAINT "{name}" {definition} NOT VALID'
    _briefly(connection, "attachment.refer", f"ALTER TABLE {table} {added}", lock_ms)
    validated = f'ALTER TABLE {table} VALIDATE CONSTRAINT "{name}"'
    _briefly(connection, "attachment.validate", validated, lock_ms, most_ms=None)


def _briefly(
    connection: Connection, name: str, statement: str, lock_ms: int, *, most_ms: int | None = MOST_MS
) -> None:
    """One statement in a transaction of its own."""
    with connection.begin():
        _in_time(connection, name, statement, lock_ms, most_ms)


def _in_time(connection: Connection, name: str, statement: str, lock_ms: int, most_ms: int | None) -> None:
    """Waits for a lock no longer than `lock_ms`, and takes no longer than `most_ms`, where that is given."""
    connection.execute(_named("attachment.lock_timeout", f"SET LOCAL lock_timeout = {lock_ms}"))
    if most_ms is not None:
        connection.execute(_named("attachment.timeout", f"SET LOCAL statement_timeout = {most_ms}"))
    connection.execute(_named(name, statement))


def _named(name: str, statement: str) -> TextClause:
    """DDL takes no parameters, so no colon in it stands for one."""
    return named(name, text(statement.replace(":", r"\:")))
