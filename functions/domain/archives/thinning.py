"""Thinning out: of a partition that stays for a few needed rows, the others go, once their lines are archived."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from functions.domain import retention
from functions.domain.archives import files, records, rows, writing
from functions.domain.archives.files import Store, Tally
from functions.domain.archives.records import Archive, Chunk
from functions.domain.archives.writing import HasTime
from functions.domain.partitions import Partition, Series

BATCH = 1_000


@dataclass(frozen=True)
class Thinning:
    """One partition being thinned out. `lock_ms`: how long to wait for a row that somebody holds."""

    connection: Connection
    store: Store
    archive: Archive
    series: Series
    partition: Partition
    lock_ms: int
    now: datetime
    has_time: HasTime

    def carry_out(self) -> int:
        """Delete the rows that are archived as they are and not needed; how many that were.

        Where rows changed after they were archived, their chunk is brought up to date first. Raises DamagedError,
        and sqlalchemy.exc.DBAPIError when somebody holds one of the rows for too long.
        """
        after = rows.FIRST
        deleted = 0
        for chunk in records.chunks_of(self.connection, self.archive):
            if not self.has_time():
                break
            if self._may_go(after, chunk.last_id):
                deleted += self._thin_out(chunk, after)
            after = chunk.last_id
        writing.seal(self.connection, self.store, self.archive)
        return deleted

    def _thin_out(self, chunk: Chunk, after: str) -> int:
        writing.mend(self.connection, self.store, self.archive, chunk, after, self.now)
        deleted = self._delete_all(chunk)
        if self._may_go(after, chunk.last_id):
            writing.rewrite(self.connection, self.store, self.archive, chunk, after, self.now)
            deleted += self._delete_all(chunk)
        return deleted

    def _may_go(self, after: str, upto: str) -> bool:
        """Whether the table has rows with keys in (after, upto] that are not needed."""
        while True:
            with self.connection.begin():
                ids = rows.keys(self.connection, self.partition.name, after, upto, BATCH)
                if not ids:
                    return False
                if set(ids) - self._needed(ids):
                    return True
            after = ids[-1]

    def _delete_all(self, chunk: Chunk) -> int:
        """Delete what the chunk has and nobody needs; a row that is not as its line says stays."""
        lines = files.pages(files.read(self.store, chunk.key, Tally()))
        return sum(self._delete(page[at : at + BATCH]) for page in lines for at in range(0, len(page), BATCH))

    def _delete(self, archived: Sequence[tuple[str, str]]) -> int:
        connection = self.connection
        with connection.begin():
            retention.stand_back(connection, self.lock_ms)
            retention.lock(connection, self.series, self.partition, [id for id, _ in archived])
            unchanged = rows.unchanged(connection, self.partition.name, archived)
            going = sorted(set(unchanged) - self._needed(unchanged)) if unchanged else []
            return retention.delete(connection, self.series, self.partition, going) if going else 0

    def _needed(self, ids: Sequence[str]) -> set[str]:
        return retention.needed_of(self.connection, self.series, self.partition, ids)
