"""`Retry-After` (RFC 9110, 10.2.3): how long an endpoint asks not to be asked again."""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

MOST_DIGITS = 9  # thirty years; what is longer is no time that anybody means


def parse(value: str, now: datetime) -> timedelta | None:
    """From `now`, as seconds or an HTTP date says it; never negative. None for what is neither."""
    text = value.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=int(text)) if len(text) <= MOST_DIGITS else None
    try:
        until = parsedate_to_datetime(text)
    except ValueError:
        return None
    if until.tzinfo is None:  # "-0000": of no zone, which HTTP reads as GMT
        until = until.replace(tzinfo=UTC)
    return max(until - now, timedelta())
