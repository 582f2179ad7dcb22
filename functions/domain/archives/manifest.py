"""What an archive says of itself: its manifest, written beside its files and read back."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.domain.archives.files import DamagedError, Store
from functions.domain.archives.records import Archive, Chunk
from functions.domain.archives.rows import Column

FORMAT = 1


@dataclass(frozen=True)
class Part:
    """A chunk as the manifest has it."""

    key: str
    rows: int
    sha256: str
    first_id: str
    last_id: str
    digest: int


def document(archive: Archive, columns: Sequence[Column], chunks: Sequence[Chunk]) -> bytes:
    """The same for the same archive."""
    manifest = {
        "format": FORMAT,
        "table": archive.table,
        "partition": archive.partition,
        "from": _time(archive.start),
        "to": _time(archive.end),
        "schema_revision": archive.schema_revision,
        "columns": [{"name": one.name, "type": one.type, "nullable": one.nullable} for one in columns],
        "rows": sum(chunk.rows for chunk in chunks),
        "bytes": sum(chunk.size for chunk in chunks),
        "written_at": _time(archive.written_at),
        "verified_at": _time(archive.verified_at),
        "chunks": [_part(chunk) for chunk in chunks],
    }
    return f"{json.dumps(manifest, indent=1)}\n".encode()


def put(store: Store, archive: Archive, columns: Sequence[Column], chunks: Sequence[Chunk]) -> None:
    """Write the manifest where it is not as it should be, and read it back. Raises DamagedError."""
    wanted = document(archive, columns, chunks)
    if store.get(archive.manifest_key) == wanted:
        return
    store.put(archive.manifest_key, wanted)
    if store.get(archive.manifest_key) != wanted:
        raise DamagedError(f"{archive.manifest_key} does not read back as it was written")


def parts(store: Store, archive: Archive) -> list[Part]:
    """The archive's files as its manifest has them, in the order of their keys. Raises DamagedError."""
    body = store.get(archive.manifest_key)
    if body is None:
        raise DamagedError(f"{archive.manifest_key} is not there")
    try:
        manifest: dict[str, Any] = json.loads(body)
        if manifest["format"] != FORMAT or manifest["table"] != archive.table:
            raise DamagedError(f"{archive.manifest_key} is no manifest of {archive.table} that this release reads")
        return [_read(part) for part in manifest["chunks"]]
    except (ValueError, KeyError, TypeError) as error:
        raise DamagedError(f"{archive.manifest_key} cannot be read: {error!r}") from error


def _part(chunk: Chunk) -> dict[str, Any]:
    return {
        "key": chunk.key,
        "rows": chunk.rows,
        "bytes": chunk.size,
        "sha256": chunk.sha256.hex(),
        "first_id": chunk.first_id,
        "last_id": chunk.last_id,
        "digest": str(chunk.digest),  # longer than the numbers that readers of JSON keep whole
    }


def _read(part: dict[str, Any]) -> Part:
    return Part(
        key=part["key"],
        rows=int(part["rows"]),
        sha256=part["sha256"],
        first_id=part["first_id"],
        last_id=part["last_id"],
        digest=int(part["digest"]),
    )


def _time(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat() if at else None
