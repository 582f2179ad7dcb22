"""The files of an archive: gzip of JSON lines, one row each, in the order of their keys."""

import hashlib
import re
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, NamedTuple, Protocol

GZIP = 31  # zlib's window bits for a gzip header without name or time: the same lines make the same file
OUT_BYTES = 1 << 20  # decompressed at a time: a file of nothing but spaces would be a thousand times its size
PAGE_BYTES = 4 << 20
PAGE_LINES = 2_000
KEY = re.compile(rb'\{"id":"([0-9a-f-]{36})"')  # `id` is the first column of every table that is archived


class DamagedError(Exception):
    """A file of the archive is not what was written."""


class Store(Protocol):
    """Where the files are (functions/adapters/objects.py)."""

    def put(self, key: str, body: bytes) -> None: ...
    def get(self, key: str) -> bytes | None: ...
    def read(self, key: str) -> Iterator[bytes]: ...
    def write(self, key: str, blocks: Iterable[bytes]) -> None: ...


class Line(NamedTuple):
    """A row as its file has it. `hash` is Postgres's hashtextextended(text, 0)."""

    id: str
    text: str
    hash: int


@dataclass(frozen=True)
class Limits:
    """Where a file ends: after so many rows, or so many bytes of it."""

    rows: int
    size: int  # bytes, compressed


@dataclass
class Tally:
    """What is known of a file while it is written or read; all of it at the end."""

    rows: int = 0
    size: int = 0  # bytes, compressed
    digest: int = 0  # sum of the lines' hashes; stays 0 when reading
    first_id: str = ""
    last_id: str = ""
    _lines: Any = field(default_factory=hashlib.sha256)

    @property
    def sha256(self) -> bytes:
        """Of the lines before compression."""
        return bytes(self._lines.digest())

    def count(self, id: str, line: bytes) -> None:
        """One more line, with its line feed."""
        self.rows += 1
        self.first_id = self.first_id or id
        self.last_id = id
        self._lines.update(line)


def write(store: Store, key: str, lines: Iterable[Line], limits: Limits | None = None) -> Tally | None:
    """Write the first lines up to the limits, and at least one; None, and no file, when there are none."""
    remaining = iter(lines)
    first = next(remaining, None)
    if first is None:
        return None
    tally = Tally()
    store.write(key, _compressed(chain([first], remaining), tally, limits))
    return tally


def read(store: Store, key: str, tally: Tally) -> Iterator[tuple[str, str]]:
    """Key and text of each line. Raises DamagedError, at the latest when all others were read."""
    try:
        for line in _lines(_decompressed(store, key, tally)):
            id = key_of(line)
            tally.count(id, line)
            yield id, line[:-1].decode()
    except FileNotFoundError as error:
        raise DamagedError(f"{key} is not there") from error
    except (zlib.error, UnicodeDecodeError) as error:
        raise DamagedError(f"{key} cannot be read: {error}") from error


def pages(lines: Iterable[tuple[str, str]]) -> Iterator[list[tuple[str, str]]]:
    """The same lines in lists of a bounded size, as a statement takes them."""
    page: list[tuple[str, str]] = []
    size = 0
    for line in lines:
        page.append(line)
        size += len(line[1])
        if len(page) == PAGE_LINES or size >= PAGE_BYTES:
            yield page
            page, size = [], 0
    if page:
        yield page


def key_of(line: bytes) -> str:
    """Raises DamagedError for what is no line of ours."""
    if found := KEY.match(line):
        return found.group(1).decode()
    raise DamagedError(f"a line begins with {line[:60]!r}")


def _compressed(lines: Iterable[Line], tally: Tally, limits: Limits | None) -> Iterator[bytes]:
    gzip = zlib.compressobj(wbits=GZIP)
    for line in lines:
        encoded = f"{line.text}\n".encode()
        tally.count(line.id, encoded)
        tally.digest += line.hash
        if block := gzip.compress(encoded):
            tally.size += len(block)
            yield block
        if limits and (tally.rows >= limits.rows or tally.size >= limits.size):
            break
    block = gzip.flush()
    tally.size += len(block)
    yield block


def _decompressed(store: Store, key: str, tally: Tally) -> Iterator[bytes]:
    gzip = zlib.decompressobj(wbits=GZIP)
    for block in store.read(key):
        tally.size += len(block)
        rest = block
        while rest and not gzip.eof:
            yield gzip.decompress(rest, OUT_BYTES)
            rest = gzip.unconsumed_tail
        if gzip.unused_data or (rest and gzip.eof):
            raise DamagedError(f"{key} goes on after its end")
    yield gzip.flush()
    if not gzip.eof:
        raise DamagedError(f"{key} ends in the middle")


def _lines(blocks: Iterable[bytes]) -> Iterator[bytes]:
    """Whole lines, each with its line feed. Raises DamagedError when the last has none."""
    rest = b""
    for block in blocks:
        *whole, rest = (rest + block).split(b"\n")
        for line in whole:
            yield line + b"\n"
    if rest:
        raise DamagedError(f"a line ends in the middle: {rest[:60]!r}")
