"""What reading has in common: bodies, times, and ids where the sender gives none."""

import hashlib
import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from functions.domain.senders.base import Json, Received, Unreadable
from functions.domain.times import rfc3339

FORM = "application/x-www-form-urlencoded"
MAX_FORM_FIELDS = 1000
NO_TYPE = "message"  # what a message is called whose sender does not say


def content_type(received: Received) -> str:
    return received.headers.get("content-type", "").partition(";")[0].strip().lower()


def body(received: Received) -> Json:
    """JSON, or the fields of a form as an object: a name that is there twice has a list. Raises Unreadable."""
    if content_type(received) != FORM:
        return Json.of(received.body)
    fields = {name: values[0] if len(values) == 1 else values for name, values in form(received).items()}
    return Json.of(json.dumps(fields, ensure_ascii=False).encode("utf-8", "surrogatepass"))


def form(received: Received) -> dict[str, list[str]]:
    """Raises Unreadable."""
    try:
        text = received.body.decode()
        return parse_qs(text, keep_blank_values=True, errors="strict", max_num_fields=MAX_FORM_FIELDS)
    except ValueError:
        raise Unreadable(f"the body is no form of up to {MAX_FORM_FIELDS} fields in UTF-8") from None


def field(value: Any, name: str) -> str:
    """What an object has under a name, where that is text or a whole number; else empty."""
    found = value.get(name) if isinstance(value, dict) else None
    return str(found) if isinstance(found, str | int) and not isinstance(found, bool) else ""


def when(value: Any, name: str) -> datetime | None:
    """A time of the sender's: RFC 3339 with its offset, or Unix seconds. None for what is neither."""
    found = value.get(name) if isinstance(value, dict) else None
    try:
        if isinstance(found, str):
            at = datetime.fromisoformat(str(rfc3339(found)))
            return at.astimezone(UTC) if at.tzinfo else None
        if isinstance(found, int) and not isinstance(found, bool):
            return datetime.fromtimestamp(found, UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return None


def digest(*parts: bytes) -> str:
    """The id of a message whose sender gives it none: the same again is the same message."""
    return hashlib.sha256(b"\n".join(parts)).hexdigest()
