"""UUIDv7 keys (RFC 9562, 5.7): sortable by the millisecond they were made in (C2)."""

import os
import re
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

# A caller's own UUIDv7 is the event's key only while its time is near: partitions are chosen by it, and a key
# from another year would land where nothing is kept. Older and newer ones are kept as external ids instead.
KEY_AGE = timedelta(days=1)
KEY_SKEW = timedelta(minutes=5)
UID = re.compile(r"[A-Za-z0-9._-]{1,255}")
MAX_MILLISECONDS = (1 << 48) - 1  # a UUIDv7's clock


def uuid7(ms: int | None = None) -> str:
    """A new UUIDv7: 48 bits of Unix time in ms, that of now unless it is told, and 74 random bits."""
    value = (time.time_ns() // 1_000_000 if ms is None else ms) << 80 | int.from_bytes(os.urandom(10))
    value = value & ~(0xF << 76) | 0x7 << 76
    text = f"{value & ~(0x3 << 62) | 0x2 << 62:032x}"  # by way of UUID it takes twice as long
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


def uuid7_floor(at: datetime) -> str:
    """The smallest key a UUIDv7 made at `at` (or nearest to it) can have, as webhook.uuidv7_floor gives it."""
    milliseconds = min(max(int(at.timestamp() * 1000), 0), MAX_MILLISECONDS)
    return str(UUID(int=milliseconds << 80))


def floor_of(key: str, earlier: timedelta = timedelta()) -> str:
    """The smallest key of the millisecond in which `key` was made, or of `earlier` than that."""
    milliseconds = (UUID(key).int >> 80) - int(earlier.total_seconds() * 1000)
    return str(UUID(int=max(milliseconds, 0) << 80))


def parse_uuid(text: str) -> UUID | None:
    """The UUID that `text` spells in its canonical form, else None."""
    try:
        parsed = UUID(text)
    except ValueError:
        return None
    return parsed if str(parsed) == text.lower() else None


def is_uid(text: str) -> bool:
    """Whether a project may name an application so: never with the shape of a UUID, which means its id."""
    return UID.fullmatch(text) is not None and parse_uuid(text) is None


def usable_as_key(text: str, now: datetime) -> bool:
    """Whether a caller's event id is a UUIDv7 that was made about now."""
    parsed = parse_uuid(text)
    if parsed is None or parsed.version != 7 or parsed.variant != "specified in RFC 4122":
        return False
    made = datetime.fromtimestamp((parsed.int >> 80) / 1000, UTC) if parsed.int >> 80 < 1 << 46 else None
    return made is not None and now - KEY_AGE <= made <= now + KEY_SKEW
