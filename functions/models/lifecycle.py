"""What left the database: the archives of dropped partitions, and the files of each."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    Integer,
    LargeBinary,
    Numeric,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from functions.models.base import KEY, TIME, created, key, metadata

archives = Table(
    "archives",
    metadata,
    key(),
    Column("table_name", String(63), nullable=False),
    Column("partition_name", String(63), nullable=False),
    Column("range_from", TIME, nullable=False),
    Column("range_to", TIME, nullable=False),
    Column(
        "state",
        Text,
        nullable=False,
        server_default="writing",
        comment="writing, written, verified: the partition is here too; dropped: only files; "
        "restored: until restored_until",
    ),
    Column("rows", BigInteger, nullable=False, server_default="0"),
    Column("bytes", BigInteger, nullable=False, server_default="0", comment="Of the files, compressed"),
    Column("manifest_key", String(1024)),
    Column("schema_revision", String(32), nullable=False),
    created(),
    Column("written_at", TIME),
    Column("verified_at", TIME),
    Column("dropped_at", TIME),
    Column("restored_at", TIME),
    Column("restored_until", TIME),
    UniqueConstraint("table_name", "range_from", name="archives_range_key"),
    comment="Partitions that were copied to the archive bucket, one row each",
)

archive_chunks = Table(
    "archive_chunks",
    metadata,
    Column("archive_id", KEY, ForeignKey(archives.c.id, ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("first_id", KEY, nullable=False),
    Column("last_id", KEY, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("bytes", BigInteger, nullable=False),
    Column(
        "digest",
        Numeric,
        nullable=False,
        comment="Sum of hashtextextended(line, 0) over its lines: compared with the table before its rows may go",
    ),
    Column("sha256", LargeBinary, nullable=False, comment="Of the lines before compression"),
    Column("object_key", String(1024), nullable=False),
    Column("written_at", TIME, nullable=False, server_default=text("now()")),
    Column("verified_at", TIME),
    comment="The files of an archive: rows of consecutive keys, one file each",
)
