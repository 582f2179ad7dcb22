"""Messages that carry what a web page says, which may be what Postgres cannot store, or larger than an event."""

import json
import re
from collections.abc import Callable
from typing import Any

from functions.domain import payload
from functions.domain.senders.base import Json, Unreadable

REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# NUL, and halves of surrogate pairs: JSON has them, text in Postgres does not
# (https://www.postgresql.org/docs/current/datatype-json.html).
UNSTORABLE = re.compile("[\x00\ud800-\udfff]")
ESCAPED = re.compile(rb"\\u(?:0000|[dD][89a-fA-F])")

Shorter = Callable[[dict[str, Any]], dict[str, Any]]


def read(body: bytes) -> Json:
    """The body as JSON; U+FFFD takes the place of characters of a page that cannot be stored.

    Raises Unreadable for what is no JSON object.
    """
    said = _read(body)
    if not isinstance(said.value, dict):
        raise Unreadable("the body is not a JSON object")
    return said


def fitting(said: Json, *shorter: Shorter) -> str:
    """The text as it came, or the first of these shorter forms that an event can hold (256 KiB).

    A shorter form says so: `truncated` is true, and `size` the bytes that came. Raises Unreadable when the
    shortest is too long.
    """
    size = len(said.text.encode())
    if size <= payload.MAX_DATA_BYTES or payload.size(said.value) <= payload.MAX_DATA_BYTES:
        return said.text
    for shorten in shorter:
        value = shorten(said.value) | {"truncated": True, "size": size}
        if payload.size(value) <= payload.MAX_DATA_BYTES:
            return json.dumps(value, ensure_ascii=False)
    raise Unreadable(f"an event's data has at most {payload.MAX_DATA_BYTES} bytes")


def _read(body: bytes) -> Json:
    if ESCAPED.search(body) is None:
        return Json.of(body)
    try:
        cleaned = json.dumps(_storable(json.loads(body)), ensure_ascii=False)
    except (ValueError, RecursionError):
        return Json.of(body)  # which says what is wrong
    return Json.of(cleaned.encode())


def _storable(value: Any) -> Any:
    if isinstance(value, str):
        return UNSTORABLE.sub(REPLACEMENT, value)
    if isinstance(value, dict):
        return {_storable(name): _storable(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_storable(item) for item in value]
    return value
