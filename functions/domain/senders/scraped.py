"""Messages that carry what a web page says, which may be what Postgres cannot store, or larger than an event."""

import json
import re
from collections.abc import Callable
from typing import Any

from functions.domain import payload
from functions.domain.senders.base import Json, Unreadable

# NUL, and halves of surrogate pairs: JSON has them, text in Postgres does not
# (https://www.postgresql.org/docs/current/datatype-json.html). Kept are what only looks like one behind an escaped
# backslash, and whole pairs.
UNSTORABLE = re.compile(
    rb"(?P<kept>\\\\|\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2})"
    rb"|\\u(?:0000|[dD][89a-fA-F][0-9a-fA-F]{2})"
)
REPLACEMENT = rb"\ufffd"

Shorter = Callable[[dict[str, Any]], dict[str, Any]]


def read(body: bytes) -> Json:
    """The body as JSON; U+FFFD takes the place of characters of a page that cannot be stored, and of nothing else.

    Raises Unreadable for what is no JSON object.
    """
    said = Json.of(UNSTORABLE.sub(lambda found: found["kept"] or REPLACEMENT, body))
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
