"""Moving rows of tables without partitions to the archive: batches of what is finished and past its age.

A month of a table is an archive, a batch one of its files. A batch is written, read back and compared; then one
transaction deletes its rows, if they are still what was written, and notes the file. So a row is in the table or
in one noted file, whatever dies when: a file is called by its place among those that are noted (`part-00003`), and
one that was never noted is written over by the next run. The manifest names those that are.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from functions.domain import retention
from functions.domain.archives import files, manifest, records, rows, writing
from functions.domain.archives.files import DamagedError, Line, Store, Tally
from functions.domain.archives.records import Archive, Chunk
from functions.domain.archives.writing import HasTime
from functions.domain.crawls import COUNTED_DAYS
from functions.domain.ids import uuid7_floor
from functions.domain.partitions import Series, containing
from functions.statements import named

BATCH = 5_000
DUE = """
SELECT CAST(id AS text) FROM webhook.{table}
WHERE id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid) AND {finished} ORDER BY id LIMIT CAST(:most AS integer)
"""
LOCK = """
SELECT CAST(id AS text) FROM webhook.{table} WHERE id = ANY (CAST(:ids AS uuid[])) AND {finished}
ORDER BY id FOR UPDATE
"""
DELETE = "DELETE FROM webhook.{table} WHERE id = ANY (CAST(:ids AS uuid[]))"


COMPLETE = named(
    "archive.complete",
    text("""
UPDATE webhook.archives SET state = 'dropped', manifest_key = :key, dropped_at = :now, restored_until = NULL
WHERE id = CAST(:id AS uuid)
"""),
)
STAMP = named(
    "archive.stamp",
    text("UPDATE webhook.archives SET written_at = :now, verified_at = :now WHERE id = CAST(:id AS uuid)"),
)


@dataclass(frozen=True)
class Moved:
    """A table whose rows are moved. `finished` is a condition: other rows stay, whatever their age."""

    table: str
    finished: str

    @property
    def series(self) -> Series:
        """Cut by months, as if it had partitions."""
        return Series(self.table, monthly=True, ahead=0, behind=0)


TABLES = (
    Moved("change_events", "rescrape_sweep_at IS NULL"),  # no rescrape is under way
    # Ended; or so long without news that nothing of it would be counted any more: not every end is told.
    Moved(
        "crawl_sessions",
        f"(completed_at IS NOT NULL OR received_at < now() - interval '{COUNTED_DAYS} days')",
    ),
)


def begin(connection: Connection, moved: Moved, at: datetime) -> Archive:
    """The archive of the month of that time, new or known."""
    return records.begin(connection, moved.series, containing(moved.series, at))


def due(connection: Connection, moved: Moved, low: datetime, high: datetime) -> list[str]:
    """The keys of the oldest finished rows that were made in [low, high)."""
    bounds = {"low": uuid7_floor(low), "high": uuid7_floor(high), "most": BATCH}
    statement = named("archive.due", text(DUE.format(table=moved.table, finished=moved.finished)))
    with connection.begin():
        return [str(id) for id in connection.execute(statement, bounds).scalars()]


def move(
    connection: Connection,
    store: Store,
    moved: Moved,
    archive: Archive,
    ids: Sequence[str],
    *,
    now: datetime,
    lock_ms: int,
) -> int:
    """Move these rows of the archive's month, or the first of them; how many. 0: some changed meanwhile.

    Raises DamagedError when the file does not read back as it was written: then no row has gone.
    """
    with connection.begin():
        lines = rows.named_lines(connection, moved.table, ids)
    if not lines:
        return 0
    number = len(records.chunks_of(connection, archive))
    key = writing.key_of(archive, number)
    tally = files.write(store, key, lines)
    if tally is None or not writing.reads_back(store, _chunk(number, key, tally)):
        raise DamagedError(f"{key} does not read back as it was written")
    with connection.begin():
        retention.stand_back(connection, lock_ms)
        if _delete(connection, moved, lines) != len(lines):
            connection.rollback()
            return 0
        records.add_chunk(connection, archive, number, key, tally, now)
    return len(lines)


def take_out_again(
    connection: Connection, store: Store, moved: Moved, archive: Archive, *, lock_ms: int, has_time: HasTime
) -> tuple[int, bool]:
    """Delete rows that were put back and are as their lines say, whatever columns there are by now: how many, and
    whether that is all.

    Raises DamagedError.
    """
    gone = 0
    for chunk in records.chunks_of(connection, archive):
        if not has_time():
            return gone, False
        for page in files.pages(files.read(store, chunk.key, Tally())):
            with connection.begin():
                retention.stand_back(connection, lock_ms)
                lines = rows.as_now(connection, moved.table, [line for _, line in page])
                gone += _delete(connection, moved, lines)
    return gone, True


def check(connection: Connection, store: Store, archive: Archive) -> None:
    """Read all of the archive's files. Raises DamagedError when one is not as it was written."""
    parts = manifest.parts(store, archive)
    known = records.chunks_of(connection, archive)
    for chunk in known:
        if not writing.reads_back(store, chunk):
            raise DamagedError(f"{chunk.key} is not as it was written")
    if [part.key for part in parts] != [chunk.key for chunk in known]:
        raise DamagedError(f"{archive.manifest_key} does not name the files that there are")


def put_back(connection: Connection, store: Store, archive: Archive) -> int:
    """Put the archive's rows back into their table, but for those it has; how many.

    The newest file comes first: a row that was put back once before, and then changed, is in two. Raises
    DamagedError; `check` tells beforehand.
    """
    back = 0
    for chunk in reversed(records.chunks_of(connection, archive)):
        for page in files.pages(files.read(store, chunk.key, Tally())):
            with connection.begin():
                back += rows.put_back(connection, archive.table, [line for _, line in page])
    return back


def seal(connection: Connection, store: Store, archive: Archive, now: datetime) -> None:
    """See to it that the manifest names all of its files. Raises DamagedError."""
    with connection.begin():
        connection.execute(STAMP, {"id": archive.id, "now": now})
    writing.seal(connection, store, archive)
    with connection.begin():
        connection.execute(COMPLETE, {"id": archive.id, "key": archive.manifest_key, "now": now})


def _delete(connection: Connection, moved: Moved, lines: Sequence[Line]) -> int:
    """Of these rows, those that are finished and just as their line says, under a lock; how many."""
    ids = [line.id for line in lines]
    lock = named("archive.lock", text(LOCK.format(table=moved.table, finished=moved.finished)))
    locked = {str(id) for id in connection.execute(lock, {"ids": ids}).scalars()}
    same = rows.unchanged(connection, moved.table, [(line.id, line.text) for line in lines])
    going = sorted(locked & set(same))
    delete = named("archive.delete", text(DELETE.format(table=moved.table)))
    return connection.execute(delete, {"ids": going}).rowcount if going else 0


def _chunk(number: int, key: str, tally: Tally) -> Chunk:
    """What the file that was just written has to be."""
    return Chunk(
        number=number,
        first_id=tally.first_id,
        last_id=tally.last_id,
        rows=tally.rows,
        size=tally.size,
        digest=tally.digest,
        sha256=tally.sha256,
        key=key,
        verified=False,
    )
