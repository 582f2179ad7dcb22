"""Files and manifests of archives, without a database: what is written is read, what is damaged is said."""

import gzip
import hashlib
import json
import zlib
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from functions.domain.archives import files, manifest
from functions.domain.archives.files import DamagedError, Limits, Line, Tally
from functions.domain.archives.records import Archive, Chunk
from functions.domain.archives.rows import Column
from tests.shelf import Shelf

ARCHIVE = Archive(
    id="01980000-0000-7000-8000-000000000000",
    table="webhook_events",
    partition="webhook_events_2026_08_01",
    start=datetime(2026, 8, 1, tzinfo=UTC),
    end=datetime(2026, 8, 2, tzinfo=UTC),
    state="written",
    schema_revision="0006",
    restored_until=None,
    written_at=datetime(2026, 9, 1, tzinfo=UTC),
    verified_at=None,
)


def line(n: int, value: object = None) -> Line:
    id = f"01980000-0000-7000-8000-{n:012}"
    return Line(id, json.dumps({"id": id, "data": value}, separators=(",", ":"), ensure_ascii=False), n * 10**15)


def lines_of(shelf: Shelf, key: str) -> list[tuple[str, str]]:
    return list(files.read(shelf, key, Tally()))


@given(st.lists(st.text(), min_size=1, max_size=30), st.integers(1, 50))
@settings(max_examples=50)
def test_lines_come_back_as_they_were_in_whatever_pieces(values: list[str], piece: int) -> None:
    shelf = Shelf(piece)
    written = [line(n, value) for n, value in enumerate(values)]
    tally = files.write(shelf, "x", written)
    read = Tally()
    assert [one[1] for one in files.read(shelf, "x", read)] == [one.text for one in written]
    assert tally is not None
    assert (tally.rows, tally.size, tally.sha256) == (read.rows, read.size, read.sha256)
    assert (tally.first_id, tally.last_id) == (written[0].id, written[-1].id)
    assert tally.digest == sum(one.hash for one in written)
    assert tally.sha256 == hashlib.sha256(gzip.decompress(shelf.objects["x"])).digest()


def test_the_same_lines_make_the_same_file() -> None:
    shelf = Shelf()
    for key in ("x", "y"):
        files.write(shelf, key, (line(n) for n in range(100)))
    assert shelf.objects["x"] == shelf.objects["y"]


def test_no_lines_make_no_file() -> None:
    shelf = Shelf()
    assert files.write(shelf, "x", []) is None
    assert shelf.objects == {}


@pytest.mark.parametrize(("limits", "rows"), [(Limits(3, 1 << 30), 3), (Limits(1 << 30, 1), 1), (None, 9)])
def test_a_file_ends_where_its_limits_are(limits: Limits | None, rows: int) -> None:
    shelf = Shelf()
    tally = files.write(shelf, "x", (line(n) for n in range(9)), limits)
    assert tally is not None
    assert len(lines_of(shelf, "x")) == tally.rows == rows


def test_a_file_of_what_compresses_very_well_is_read_bit_by_bit() -> None:
    shelf = Shelf()
    files.write(shelf, "x", [line(1, " " * 30_000_000)])
    assert len(shelf.objects["x"]) < 100_000
    ((_, text),) = lines_of(shelf, "x")
    assert len(text) > 30_000_000


@pytest.mark.parametrize(
    "damaged",
    [
        lambda body: body[:-1],
        lambda body: body[: len(body) // 2],
        lambda body: b"",
        lambda body: body + b"more",
        lambda body: body + gzip.compress(b"more"),
        lambda body: bytes([*body[:40], body[40] ^ 1, *body[41:]]),
        lambda body: gzip.compress(gzip.decompress(body)[:-1]),
        lambda body: gzip.compress(b"nonsense\n"),
        lambda body: zlib.compress(b"not gzip"),
    ],
    ids=["cut", "halved", "empty", "more", "two", "a bit", "no end of line", "no line", "no gzip"],
)
def test_a_damaged_file_is_said(damaged: Callable[[bytes], bytes]) -> None:
    shelf = Shelf(7)
    files.write(shelf, "x", (line(n, "some data") for n in range(50)))
    shelf.objects["x"] = damaged(shelf.objects["x"])
    with pytest.raises(DamagedError):
        lines_of(shelf, "x")


def test_a_missing_file_is_said() -> None:
    with pytest.raises(DamagedError, match="not there"):
        lines_of(Shelf(), "x")


def test_pages_are_bounded_by_lines_and_by_bytes() -> None:
    many = [(str(n), "x") for n in range(files.PAGE_LINES * 2 + 1)]
    assert [len(page) for page in files.pages(many)] == [files.PAGE_LINES, files.PAGE_LINES, 1]
    large = [(str(n), "x" * (files.PAGE_BYTES // 2)) for n in range(5)]
    assert [len(page) for page in files.pages(large)] == [2, 2, 1]


def test_the_manifest_is_written_once_and_read_back() -> None:
    shelf = Shelf()
    chunk = Chunk(0, line(1).id, line(9).id, 9, 400, -(10**20), b"\1" * 32, "archive/x/part-00000.jsonl.gz", True)
    column = Column("id", "uuid", nullable=False, default="uuidv7()")
    manifest.put(shelf, ARCHIVE, [column], [chunk])
    (part,) = manifest.parts(shelf, ARCHIVE)
    assert (part.key, part.rows, part.digest) == (chunk.key, 9, -(10**20))
    body = shelf.objects["archive/webhook_events/2026-08-01/_manifest.json"]
    said = json.loads(body)
    assert said["columns"] == [{"name": "id", "type": "uuid", "nullable": False}]
    assert (said["from"], said["rows"], said["bytes"]) == ("2026-08-01T00:00:00+00:00", 9, 400)
    manifest.put(shelf, ARCHIVE, [column], [chunk])
    assert shelf.objects["archive/webhook_events/2026-08-01/_manifest.json"] == body


class Forgetful(Shelf):
    def put(self, key: str, body: bytes) -> None:
        self.objects[key] = body[:-1]


def test_a_manifest_that_does_not_read_back_is_said() -> None:
    with pytest.raises(DamagedError, match="does not read back"):
        manifest.put(Forgetful(), ARCHIVE, [], [])


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b'{"format": 2, "table": "webhook_events", "chunks": []}', b'{"format": 1, "table": "x"}', b"[]"],
    ids=["empty", "nothing in it", "a later format", "of another table", "no object"],
)
def test_a_manifest_of_another_kind_is_refused(body: bytes) -> None:
    shelf = Shelf()
    shelf.put(ARCHIVE.manifest_key, body)
    with pytest.raises(DamagedError):
        manifest.parts(shelf, ARCHIVE)


def test_months_and_days_have_folders_of_their_names() -> None:
    assert ARCHIVE.folder == "archive/webhook_events/2026-08-01"
    month = replace(ARCHIVE, table="audit_log", partition="audit_log_2026_08")
    assert month.folder == "archive/audit_log/2026-08"
