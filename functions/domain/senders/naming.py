"""What a sender's words become: the type of the event, and the id by which the same message is known again."""

import hashlib
import re
from collections.abc import Mapping

from functions.domain.event_types import MAX_LENGTH, RESERVED, is_name, patterns_matching
from functions.domain.senders.reading import NO_TYPE

UNFIT = re.compile(r"[^A-Za-z0-9_.-]+")
MAX_ID_LENGTH = 255  # of an event's external id


def event_type(names: Mapping[str, str], word: str) -> str:
    """The type of the event that a sender calls `word`. `names` is a source's `event_types`: the word itself comes
    first, then the closest prefix (`issues.*`), then `*`. Without any it is the word, made to fit.
    """
    fitted = fit(word)
    everything = [pattern for pattern in reversed(patterns_matching(fitted)) if pattern != fitted]
    return next((names[name] for name in (word, fitted, *everything) if name in names), fitted)


def fit(word: str) -> str:
    """`Push Hook` → `Push_Hook`: what an event type may not have becomes one `_`, and empty parts go."""
    parts = [part for part in UNFIT.sub("_", word).split(".") if part]
    name = ".".join(parts)[:MAX_LENGTH].rstrip(".")
    if name.startswith(RESERVED):
        name = name.replace(".", "_", 1)
    return name if is_name(name) else NO_TYPE


def external_id(source_id: str, message_id: str) -> str:
    """`<source>/<the sender's id>`; of an id that is too long or cannot be shown its SHA-256."""
    whole = f"{source_id}/{message_id}"
    if len(whole) <= MAX_ID_LENGTH and message_id.isprintable():
        return whole
    return f"{source_id}/{hashlib.sha256(message_id.encode('utf-8', 'surrogatepass')).hexdigest()}"
