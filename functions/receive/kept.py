"""The headers of a sender's request that are kept: a chosen few, readable as `received` of the event.

Never what authenticates: no signature, token or cookie. They stand beside the event's own id and not in its data,
which is what was sent and nothing else; they go when the event goes.
"""

from collections.abc import Mapping
from typing import Any

from functions.domain.senders.base import Message, Source

HEADERS = (
    *("content-type", "user-agent", "idempotency-key"),
    *("webhook-id", "webhook-timestamp", "svix-id", "svix-timestamp"),
    *("x-github-event", "x-github-delivery", "x-github-hook-id"),
    *("x-github-hook-installation-target-id", "x-github-hook-installation-target-type"),
)
CONFIGURED = ("id_header", "type_header", "timestamp_header")  # of a source's verification
MAX_LENGTH = 512  # characters of a value


def received(source: Source, message: Message, headers: Mapping[str, str]) -> dict[str, Any]:
    """What is stored: the source, the sender's own id and word, and the headers that are there."""
    how = source.verification
    configured = [how[name].lower() for name in CONFIGURED if name in how]
    names = dict.fromkeys(name for name in (*HEADERS, *configured) if name != _secret(how))
    return {
        "source_id": source.id,
        "message_id": message.id[:MAX_LENGTH],
        "type": message.type[:MAX_LENGTH],
        "headers": {name: _storable(headers[name]) for name in names if name in headers},
    }


def _secret(how: Mapping[str, Any]) -> str:
    """The header that has the signature or the token, where the source says which."""
    name = how["name"] if how.get("in") == "header" else how.get("header", "")
    return str(name).lower()


def _storable(value: str) -> str:
    """What Postgres takes as text."""
    return "".join(one if one.isprintable() else "�" for one in value[:MAX_LENGTH])
