"""Postgres under the benchmarks: connections, and the CPU time of a server process."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pg8000.dbapi


def address(url: str) -> dict[str, Any]:
    """What pg8000's connections take, of a postgresql:// URL."""
    parts = urlsplit(url)
    return {
        "user": unquote(parts.username or ""),
        "password": unquote(parts.password or ""),
        "host": parts.hostname or "",
        "port": parts.port or 5432,
        "database": parts.path.lstrip("/"),
    }


@contextmanager
def connected(url: str) -> Iterator[Any]:
    """A DB-API connection; what is not committed at the end is rolled back."""
    connection = pg8000.dbapi.connect(**address(url))
    try:
        yield connection
    finally:
        connection.close()


def cpu_us(pid: int) -> float:
    """CPU time of a process so far, in µs."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1000
