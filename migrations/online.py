"""Changes of big tables while others write: each step has a strong lock for a moment, or a weak one for long.

A lock lasts as long as its transaction, so each step commits by itself and a revision made of these is not one
transaction. One that is interrupted leaves what it got done, with the database still at the revision before; run
again it goes on from there, because every step looks first at what there is.
"""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager

from alembic import op
from sqlalchemy import TextClause, text

from migrations.session import brief, patient

MOST_CHARACTERS = 63  # of a name; Postgres cuts off the rest (its manual, 4.1.1)

PARTITIONS = text("""
SELECT 'webhook.' || c.relname
FROM pg_partition_tree(CAST(:table AS regclass)) t JOIN pg_class c ON c.oid = t.relid
WHERE t.isleaf ORDER BY 1
""")
CONSTRAINTS = text("SELECT conname FROM pg_constraint WHERE conrelid = CAST(:table AS regclass)")
NOT_VALID = text("""
SELECT conname FROM pg_constraint
WHERE conrelid = CAST(:table AS regclass) AND NOT convalidated ORDER BY conname
""")
INDEX = text("""
SELECT i.indisvalid, c.relispartition FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE i.indexrelid = to_regclass(:index)
""")


@contextmanager
def steps() -> Iterator[None]:
    """What is within commits statement by statement; the transaction of the revision so far is committed first."""
    with op.get_context().autocommit_block():
        # Alembic has asked for the isolation level by then, and pg8000 began a transaction for that.
        _do("COMMIT")
        yield


def partitions(table: str) -> list[str]:
    """The tables that have the rows of a partitioned one, with their schema; none of one that is not."""
    return _names(PARTITIONS, table=f"webhook.{table}")


def add_constraints(table: str, constraints: Mapping[str, str]) -> None:
    """Let the table refuse rows that are written from now on; `constraints` are definitions by name.

    All at once and NOT VALID: the table and its partitions are locked (ACCESS EXCLUSIVE) but nothing is read. Rows
    that are there already are for `validate` to look at. Within `steps`.
    """
    there = _names(CONSTRAINTS, table=f"webhook.{table}")
    missing = [
        f"ADD CONSTRAINT {name} {rule} NOT VALID" for name, rule in constraints.items() if name not in there
    ]
    if missing:
        with brief(op.get_bind()):
            _do(f"ALTER TABLE webhook.{table} {', '.join(missing)}")


def validate(table: str) -> None:
    """Read all rows once and vouch for the constraints that are not valid yet, a partition at a time.

    Writers go on (SHARE UPDATE EXCLUSIVE). Raises sqlalchemy.exc.DBAPIError, naming the constraint and the
    partition, when a row does not fit: mend it and run the revision again (docs/migrations.md). Within `steps`.
    """
    for part in [*partitions(table), f"webhook.{table}"]:
        if names := _names(NOT_VALID, table=part):
            with patient(op.get_bind()):
                _do(f"ALTER TABLE {part} {', '.join(f'VALIDATE CONSTRAINT {name}' for name in names)}")


def drop_constraints(table: str, names: Iterable[str]) -> None:
    """Those of these that are there. Within `steps`."""
    drops = ", ".join(f"DROP CONSTRAINT IF EXISTS {name}" for name in names)
    with brief(op.get_bind()):
        _do(f"ALTER TABLE webhook.{table} {drops}")


def create_index(name: str, table: str, definition: str, *, unique: bool = False) -> None:
    """Make an index while others write: `definition` is what follows the table, such as `(project_id, id)`.

    Of a partitioned table first an index that is valid once every partition has its own, then those, one after
    another. What an interrupted run left half made is dropped first. The name begins with the table's. Within
    `steps`.
    """
    kind = "UNIQUE INDEX" if unique else "INDEX"
    parts = partitions(table)
    if not parts:
        _build(name, f"webhook.{table}", kind, definition)
        return
    with brief(op.get_bind()):
        _do(f"CREATE {kind} IF NOT EXISTS {name} ON ONLY webhook.{table} {definition}")
    for partition in parts:
        own = _name_of_part(name, table, partition)
        _build(own, partition, kind, definition)
        if not _is_attached(own):
            _do(f"ALTER INDEX webhook.{name} ATTACH PARTITION webhook.{own}")


def drop_index(name: str) -> None:
    """Drop an index while others write; one of a partitioned table is dropped with a lock, for a moment.

    Postgres drops that one only with all its partitions' (its manual, DROP INDEX). Within `steps`.
    """
    kinds = text("SELECT relkind = 'I' FROM pg_class WHERE oid = to_regclass(:index)")
    partitioned = op.get_bind().execute(kinds, {"index": f"webhook.{name}"}).scalar_one_or_none()
    if partitioned:
        with brief(op.get_bind()):
            _do(f"DROP INDEX webhook.{name}")
    elif partitioned is not None:
        _drop(name)


def _build(name: str, table: str, kind: str, definition: str) -> None:
    found = op.get_bind().execute(INDEX, {"index": f"webhook.{name}"}).one_or_none()
    if found is not None and found.indisvalid:
        return
    if found is not None:
        _drop(name)
    # It waits for every transaction that is older than it, which need not be one of ours.
    with patient(op.get_bind()):
        _do(f"CREATE {kind} CONCURRENTLY {name} ON {table} {definition}")


def _drop(name: str) -> None:
    with patient(op.get_bind()):
        _do(f"DROP INDEX CONCURRENTLY webhook.{name}")


def _is_attached(index: str) -> bool:
    return bool(op.get_bind().execute(INDEX, {"index": f"webhook.{index}"}).one().relispartition)


def _name_of_part(name: str, table: str, partition: str) -> str:
    """`webhook_events_by_x` of `webhook.webhook_events_2026_01_31` is `webhook_events_2026_01_31_by_x`."""
    if not name.startswith(f"{table}_"):
        raise ValueError(f"an index of {table} is named {table}_…, not {name}")
    own = partition.removeprefix("webhook.") + name.removeprefix(table)
    if len(own) > MOST_CHARACTERS:
        raise ValueError(f"{own} is longer than {MOST_CHARACTERS} characters")
    return own


def _do(statement: str) -> None:
    op.get_bind().exec_driver_sql(statement)


def _names(query: TextClause, **given: str) -> list[str]:
    return list(op.get_bind().execute(query, given).scalars())
