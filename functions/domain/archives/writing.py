"""Writing archives: the files of a partition, reading them back, and bringing them up to date before it goes."""

import heapq
from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Connection

from functions.domain.archives import files, manifest, records, rows
from functions.domain.archives.files import DamagedError, Limits, Line, Store, Tally
from functions.domain.archives.records import Archive, Chunk
from functions.telemetry import logger

HasTime = Callable[[], bool]


def write_rest(
    connection: Connection, store: Store, archive: Archive, limits: Limits, now: datetime, has_time: HasTime
) -> tuple[int, bool]:
    """Write what is behind the last chunk, chunk by chunk: how many were written, and whether nothing is left.

    A chunk is noted when its file is complete. The name of a file tells its chunk, so that one which was begun
    before a crash is written over.
    """
    chunks = records.chunks_of(connection, archive)
    after = chunks[-1].last_id if chunks else rows.FIRST
    for written, number in enumerate(_numbers(len(chunks))):
        if not has_time():
            return written, False
        tally = files.write(store, key_of(archive, number), _lines(connection, archive, after), limits)
        if tally is None:
            return written, True
        records.save_chunk(connection, archive, number, key_of(archive, number), tally, now)
        after = tally.last_id
    raise AssertionError("numbers do not end")


def verify(
    connection: Connection, store: Store, archive: Archive, now: datetime, has_time: HasTime
) -> tuple[int, bool]:
    """Read back every chunk that was not yet: how many were, and whether that is all.

    One that is not as it was written is written again: its rows are still in the database.
    """
    after = rows.FIRST
    read = 0
    for chunk in records.chunks_of(connection, archive):
        if not chunk.verified:
            if not has_time():
                return read, False
            if not reads_back(store, chunk):
                logger.error("a file of the archive does not read back, it is written again", key=chunk.key)
                chunk = _write_anew(connection, store, archive, chunk, after, now)  # noqa: PLW2901
            records.verified_chunk(connection, archive, chunk.number, now)
            read += 1
        after = chunk.last_id
    return read, True


def seal(connection: Connection, store: Store, archive: Archive) -> None:
    """See to it that the manifest says what the chunks are. Raises DamagedError."""
    archive = records.added_up(connection, archive)
    with connection.begin():
        columns = rows.columns(connection, archive.table)
    manifest.put(store, archive, columns, records.chunks_of(connection, archive))


def settle(
    connection: Connection, store: Store, archive: Archive, limits: Limits, now: datetime, has_time: HasTime
) -> tuple[int, bool]:
    """Compare a partition with its archive, and write what differs: how many chunks, and whether all is settled.

    Nothing may write to the partition any more. Raises DamagedError.
    """
    changed, complete = write_rest(connection, store, archive, limits, now, has_time)
    after = rows.FIRST
    for chunk in records.chunks_of(connection, archive):
        if not complete or not has_time():
            return changed, False
        if _differs(connection, archive, chunk, after):
            rewrite(connection, store, archive, chunk, after, now)
            changed += 1
        else:
            changed += mend(connection, store, archive, chunk, after, now)
        after = chunk.last_id
    if changed:
        records.checked(connection, archive, now)
    seal(connection, store, archive)
    return changed, complete


def rewrite(
    connection: Connection, store: Store, archive: Archive, chunk: Chunk, after: str, now: datetime
) -> None:
    """Bring one chunk up to date: rows of the table take the place of their lines, lines without a row stay.

    Begun again after a crash it comes to the same, whether the file is still the old one or the new one already: a
    chunk that is not verified may be either. Raises DamagedError, and leaves all as it is, when a verified one has
    another file than it should.
    """
    if chunk.verified and not reads_back(store, chunk):
        raise DamagedError(f"{chunk.key} is not as it was written")
    records.verified_chunk(connection, archive, chunk.number, None)
    present = rows.lines(connection, archive.partition, after, chunk.last_id)
    both = heapq.merge(present, _archived(connection, store, archive, chunk), key=lambda line: line.id)
    tally = files.write(store, chunk.key, _first_of_each(both))
    if tally is None:
        raise DamagedError(f"{chunk.key} has no lines")
    records.save_chunk(connection, archive, chunk.number, chunk.key, tally, now)
    _verify_one(connection, store, archive, chunk.number, now)


def mend(connection: Connection, store: Store, archive: Archive, chunk: Chunk, after: str, now: datetime) -> bool:
    """See to it that the chunk is verified: a crash may have left it about to be rewritten, or just so.

    Whether it was rewritten now. Raises DamagedError.
    """
    if chunk.verified:
        return False
    if reads_back(store, chunk):
        records.verified_chunk(connection, archive, chunk.number, now)
        return False
    rewrite(connection, store, archive, chunk, after, now)
    return True


def reads_back(store: Store, chunk: Chunk) -> bool:
    """Whether the chunk's file is there and has what was written."""
    tally = Tally()
    try:
        for _ in files.read(store, chunk.key, tally):
            pass
    except DamagedError as error:
        logger.error("a file of the archive is damaged", key=chunk.key, error=str(error))
        return False
    found = (tally.sha256, tally.rows, tally.size, tally.first_id, tally.last_id)
    return found == (chunk.sha256, chunk.rows, chunk.size, chunk.first_id, chunk.last_id)


def key_of(archive: Archive, number: int) -> str:
    return f"{archive.folder}/part-{number:05}.jsonl.gz"


def _numbers(number: int) -> Iterator[int]:
    while True:
        yield number
        number += 1


def _lines(connection: Connection, archive: Archive, after: str, upto: str = rows.LAST) -> Iterator[Line]:
    return rows.lines(connection, archive.partition, after, upto)


def _write_anew(
    connection: Connection, store: Store, archive: Archive, chunk: Chunk, after: str, now: datetime
) -> Chunk:
    """Raises DamagedError when it cannot be read back this time either."""
    tally = files.write(store, chunk.key, _lines(connection, archive, after, chunk.last_id))
    if tally is None:
        raise DamagedError(f"{chunk.key} does not read back, and its rows are gone")
    records.save_chunk(connection, archive, chunk.number, chunk.key, tally, now)
    return _verify_one(connection, store, archive, chunk.number, now)


def _verify_one(connection: Connection, store: Store, archive: Archive, number: int, now: datetime) -> Chunk:
    chunk = records.chunks_of(connection, archive)[number]
    if not reads_back(store, chunk):
        raise DamagedError(f"{chunk.key} does not read back as it was written")
    records.verified_chunk(connection, archive, number, now)
    return chunk


def _differs(connection: Connection, archive: Archive, chunk: Chunk, after: str) -> bool:
    """Whether the table has rows of the chunk's range, and they are not its lines."""
    with connection.begin():
        found = rows.summary(connection, archive.partition, after, chunk.last_id)
    return found.rows > 0 and (found.rows, found.digest) != (chunk.rows, chunk.digest)


def _archived(connection: Connection, store: Store, archive: Archive, chunk: Chunk) -> Iterator[Line]:
    """The lines of the file, as the table would render them now."""
    for page in files.pages(files.read(store, chunk.key, Tally())):
        with connection.begin():
            lines = rows.as_now(connection, archive.partition, [line for _, line in page])
        yield from lines


def _first_of_each(lines: Iterator[Line]) -> Iterator[Line]:
    last = ""
    for line in lines:
        if line.id != last:
            yield line
        last = line.id
