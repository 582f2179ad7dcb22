"""pg8000 with two costs and a fault taken out of it. Its version is pinned; tests/integration/test_driver.py
holds what is changed here.

Measured on 2 cores: a transaction of one of our statements took 1.3 to 1.7 ms of client CPU before and 0.6 to
0.8 ms after (docs/decisions/driver.md). Another driver that SQLAlchemy is given is left alone.
"""

from functools import lru_cache
from typing import Any

import pg8000.core
import pg8000.legacy
from pg8000.converters import PY_TYPES, make_params
from pg8000.core import NULL_BYTE, SYNC_MSG, Context, CoreConnection, _flush, _write
from pg8000.exceptions import InterfaceError


def make_cheaper() -> None:
    """Change pg8000 for this process; doing it again changes nothing."""
    if pg8000.legacy.convert_paramstyle is not _convert:
        pg8000.legacy.convert_paramstyle = _convert
        pg8000.core._read = _read
        CoreConnection.execute_unnamed = _execute_unnamed
        PY_TYPES[list] = _array


_scan = pg8000.legacy.convert_paramstyle


@lru_cache(maxsize=512)
def _converted(query: str) -> str:
    return str(_scan("format", query, ())[0])


def _convert(style: str, query: str, args: Any) -> tuple[str, Any]:
    """pg8000 scans a statement's text character by character at every execution; here once a statement."""
    return (_converted(query), args) if style == "format" else _scan(style, query, args)


_array_of_anything = PY_TYPES[list]
KEY_LENGTH = 36  # of a UUID as text


def _array(values: list[Any]) -> str:
    """Keys need no quotes and are most of what is in our arrays: pg8000 looks at each value by itself, 4 µs."""
    if values and set(map(type, values)) == {str} and set(map(len, values)) == {KEY_LENGTH}:
        plain = "".join(values).replace("-", "")
        if plain.isascii() and plain.isalnum():
            return "{" + ",".join(values) + "}"
    return str(_array_of_anything(values))


def _read(sock: Any, size: int) -> bytes:
    """Exactly `size` bytes. pg8000's own lets the first OSError through as it is, so a server that was killed
    would look like a fault of ours and its connection would go back to the pool."""
    try:
        data: bytes = sock.read(size)
    except OSError as error:
        raise InterfaceError("network error") from error
    if len(data) < size:
        raise InterfaceError("network error")
    return data


def _execute_unnamed(self: Any, statement: str, vals: Any = (), oids: Any = (), stream: Any = None) -> Any:
    """Parse, Describe, Bind, Execute and one Sync in a single round trip; pg8000 makes three of it.

    Nothing else of this connection can come between them, so they reach the same server process behind any
    transaction pooler. After an error the server skips to the Sync (PostgreSQL manual, "Extended Query").
    """
    context = Context(statement, stream=stream)
    self.send_PARSE(NULL_BYTE, statement, oids)
    self.send_DESCRIBE_STATEMENT(NULL_BYTE)
    self.send_BIND(NULL_BYTE, make_params(self.py_types, vals))
    self.send_EXECUTE()
    _write(self._sock, SYNC_MSG)
    _flush(self._sock)
    self.handle_messages(context)
    return context
