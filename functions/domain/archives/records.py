"""The rows of `archives` and `archive_chunks`: which partitions were copied, how far, and in which files."""

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, text

from functions.domain.archives.files import Tally
from functions.domain.partitions import Partition, Series
from functions.statements import named

PREFIX = "archive"

FIELDS = """CAST(id AS text), table_name, partition_name, range_from, range_to, state, schema_revision,
  restored_until, written_at, verified_at"""
BEGIN = named(
    "archive.begin",
    text(f"""
INSERT INTO webhook.archives (table_name, partition_name, range_from, range_to, schema_revision)
SELECT :table, :partition, :start, :end, (SELECT max(version_num) FROM webhook.alembic_version)
ON CONFLICT ON CONSTRAINT archives_range_key DO UPDATE SET table_name = excluded.table_name
RETURNING {FIELDS}
"""),  # noqa: S608 - constants
)
ALL = named(
    "archive.all",
    text(f"SELECT {FIELDS} FROM webhook.archives WHERE table_name = :table ORDER BY range_from"),  # noqa: S608
)
PRESENT = named(
    "archive.present",
    text("""
SELECT partition_name, range_from, range_to FROM webhook.archives
WHERE table_name = :table AND to_regclass('webhook.' || partition_name) IS NOT NULL ORDER BY range_from
"""),
)
ONE = named("archive.one", text(f"SELECT {FIELDS} FROM webhook.archives WHERE id = CAST(:id AS uuid)"))  # noqa: S608
CHUNKS = named(
    "archive.chunks",
    text("""
SELECT number, CAST(first_id AS text) AS first_id, CAST(last_id AS text) AS last_id, rows, bytes AS size, digest,
  sha256, object_key AS key, verified_at IS NOT NULL AS verified
FROM webhook.archive_chunks WHERE archive_id = CAST(:id AS uuid) ORDER BY number
"""),
)
SAVE_CHUNK = named(
    "archive.save_chunk",
    text("""
INSERT INTO webhook.archive_chunks
  (archive_id, number, first_id, last_id, rows, bytes, digest, sha256, object_key, written_at)
VALUES (CAST(:id AS uuid), :number, CAST(:first_id AS uuid), CAST(:last_id AS uuid), :rows, :bytes,
  CAST(:digest AS numeric), :sha256, :key, :now)
ON CONFLICT ON CONSTRAINT archive_chunks_pkey DO UPDATE SET first_id = excluded.first_id,
  last_id = excluded.last_id, rows = excluded.rows, bytes = excluded.bytes, digest = excluded.digest,
  sha256 = excluded.sha256, written_at = excluded.written_at, verified_at = NULL
"""),
)
VERIFIED_CHUNK = named(
    "archive.verified_chunk",
    text("""
UPDATE webhook.archive_chunks SET verified_at = CAST(:at AS timestamptz)
WHERE archive_id = CAST(:id AS uuid) AND number = :number
"""),
)
TOTALS = named(
    "archive.totals",
    text("""
UPDATE webhook.archives a SET (rows, bytes) = (
  SELECT coalesce(sum(c.rows), 0), coalesce(sum(c.bytes), 0) FROM webhook.archive_chunks c
  WHERE c.archive_id = a.id)
WHERE id = CAST(:id AS uuid)
"""),
)
WRITTEN = named(
    "archive.written",
    text("""
UPDATE webhook.archives SET state = 'written', manifest_key = :key, written_at = :now WHERE id = CAST(:id AS uuid)
"""),
)
CHECKED = named(
    "archive.checked", text("UPDATE webhook.archives SET verified_at = :now WHERE id = CAST(:id AS uuid)")
)
VERIFIED = named(
    "archive.verified", text("UPDATE webhook.archives SET state = 'verified' WHERE id = CAST(:id AS uuid)")
)
DROPPED = named(
    "archive.dropped",
    text("""
UPDATE webhook.archives SET state = 'dropped', dropped_at = :now, restored_until = NULL
WHERE id = CAST(:id AS uuid)
"""),
)
AMENDED = named(
    "archive.amended", text("UPDATE webhook.archives SET state = 'writing' WHERE id = CAST(:id AS uuid)")
)
HOLD = named(
    "archive.hold",
    text("UPDATE webhook.archives SET restored_until = :until WHERE id = CAST(:id AS uuid)"),
)
RESTORED = named(
    "archive.restored",
    text("UPDATE webhook.archives SET state = 'restored', restored_at = :now WHERE id = CAST(:id AS uuid)"),
)


@dataclass(frozen=True)
class Archive:
    id: str
    table: str
    partition: str
    start: datetime
    end: datetime
    state: str
    schema_revision: str
    restored_until: datetime | None
    written_at: datetime | None
    verified_at: datetime | None

    @property
    def as_partition(self) -> Partition:
        return Partition(self.partition, self.start, self.end)

    @property
    def is_verified(self) -> bool:
        """Whether all that it has can be read back, so that its rows may leave the database."""
        return self.state in {"verified", "dropped", "restored"}

    def is_held(self, now: datetime) -> bool:
        """Whether somebody wants its rows in the database for some time yet."""
        return self.restored_until is not None and self.restored_until > now

    @property
    def folder(self) -> str:
        """Where its files are: `archive/webhook_events/2026-08-01`, or with the month alone."""
        when = self.partition.removeprefix(f"{self.table}_").replace("_", "-")
        return f"{PREFIX}/{self.table}/{when}"

    @property
    def manifest_key(self) -> str:
        """Athena takes no notice of files whose names begin so."""
        return f"{self.folder}/_manifest.json"


@dataclass(frozen=True)
class Chunk:
    """One file: the rows with keys behind the chunk before it, up to `last_id`."""

    number: int
    first_id: str
    last_id: str
    rows: int
    size: int  # bytes, compressed
    digest: int
    sha256: bytes
    key: str
    verified: bool


def begin(connection: Connection, series: Series, partition: Partition) -> Archive:
    """The partition's archive, new or known."""
    given = {"table": series.table, "partition": partition.name, "start": partition.start, "end": partition.end}
    with connection.begin():
        return Archive(*connection.execute(BEGIN, given).one())


def archives_of(connection: Connection, series: Series) -> list[Archive]:
    """Oldest first."""
    with connection.begin():
        return [Archive(*row) for row in connection.execute(ALL, {"table": series.table})]


def chunks_of(connection: Connection, archive: Archive) -> list[Chunk]:
    with connection.begin():
        found = connection.execute(CHUNKS, {"id": archive.id}).mappings()
        return [Chunk(**{**row, "digest": int(row["digest"])}) for row in found]


def save_chunk(
    connection: Connection, archive: Archive, number: int, key: str, tally: Tally, now: datetime
) -> None:
    """Note what its file has; not verified yet."""
    with connection.begin():
        connection.execute(SAVE_CHUNK, _saved(archive, number, key, tally, now))


def add_chunk(
    connection: Connection, archive: Archive, number: int, key: str, tally: Tally, now: datetime
) -> None:
    """In the transaction that deletes its rows: a file that was read back. The manifest does not name it yet."""
    connection.execute(SAVE_CHUNK, _saved(archive, number, key, tally, now))
    connection.execute(VERIFIED_CHUNK, {"id": archive.id, "number": number, "at": now})
    connection.execute(AMENDED, {"id": archive.id})


def _saved(archive: Archive, number: int, key: str, tally: Tally, now: datetime) -> dict[str, object]:
    return {
        **{"id": archive.id, "number": number, "key": key, "now": now, "sha256": tally.sha256},
        **{"first_id": tally.first_id, "last_id": tally.last_id, "rows": tally.rows, "bytes": tally.size},
        "digest": tally.digest,
    }


def verified_chunk(connection: Connection, archive: Archive, number: int, at: datetime | None) -> None:
    """Note that its file was read back, or with None that it may be about to change."""
    with connection.begin():
        connection.execute(VERIFIED_CHUNK, {"id": archive.id, "number": number, "at": at})


def again(connection: Connection, archive: Archive) -> Archive:
    """The archive as it is now, for whoever had to wait for it."""
    with connection.begin():
        return Archive(*connection.execute(ONE, {"id": archive.id}).one())


def present(connection: Connection, series: Series) -> list[Partition]:
    """The archived partitions that have a table in the database, attached or not."""
    with connection.begin():
        return [Partition(*row) for row in connection.execute(PRESENT, {"table": series.table})]


def added_up(connection: Connection, archive: Archive) -> Archive:
    """The archive as it is now, with what its chunks add up to."""
    with connection.begin():
        connection.execute(TOTALS, {"id": archive.id})
        return Archive(*connection.execute(ONE, {"id": archive.id}).one())


def written(connection: Connection, archive: Archive, now: datetime) -> None:
    with connection.begin():
        connection.execute(WRITTEN, {"id": archive.id, "key": archive.manifest_key, "now": now})


def checked(connection: Connection, archive: Archive, now: datetime) -> None:
    """Every chunk was read back; the manifest may say so."""
    with connection.begin():
        connection.execute(CHECKED, {"id": archive.id, "now": now})


def verified(connection: Connection, archive: Archive) -> None:
    with connection.begin():
        connection.execute(VERIFIED, {"id": archive.id})


def dropped(connection: Connection, archive: Archive, now: datetime) -> None:
    """In the transaction that drops its table."""
    connection.execute(DROPPED, {"id": archive.id, "now": now})


def hold(connection: Connection, archive: Archive, until: datetime) -> None:
    """From now on retention leaves it alone."""
    with connection.begin():
        connection.execute(HOLD, {"id": archive.id, "until": until})


def restored(connection: Connection, archive: Archive, now: datetime) -> None:
    with connection.begin():
        connection.execute(RESTORED, {"id": archive.id, "now": now})
