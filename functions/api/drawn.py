"""Which range of time a caller wants figures of, and in which buckets."""

from datetime import UTC, datetime

from functions.domain.statistics.times import (
    BY_NAME,
    DAY,
    RANKED,
    WINDOWS,
    Range,
    Resolution,
    covering,
    fitting,
)
from functions.errors import Detail, Invalid

DEFAULT_WINDOW = "24h"
MOST_BUCKETS = 500  # of one answer: more than a screen has room for, and some 20 ms of work


def asked(window: str, since: datetime | None, until: datetime | None, bucket: str) -> Range:
    """The whole buckets that cover what is asked for: a window until now, or from `since` until `until`.

    Without a bucket's length, or with `none`, as fits the range. Raises Invalid: a window and a range; a range
    that is empty, to come, of a time that is kept no more, or not in such buckets; more than MOST_BUCKETS.
    """
    now = datetime.now(UTC)
    since, until = _ends(window, since, until, now)
    if since < DAY.oldest(now):
        raise _wrong("from", f"must be at most {DAY.kept.days} days ago")
    wanted = BY_NAME.get(bucket) or fitting(since, until, now)
    if wanted.floor(since) < wanted.oldest(now):
        raise _wrong("bucket", f"buckets of {wanted.name} are kept for {wanted.kept.days} days only")
    found = covering(since, until, wanted)
    if (found.end - found.start) / wanted.length > MOST_BUCKETS:
        raise _wrong("bucket", f"would be more than {MOST_BUCKETS}: take longer ones, or a shorter range")
    return found


def of_window(window: str) -> Range:
    """The buckets that a list of endpoints adds up."""
    now = datetime.now(UTC)
    resolution: Resolution = RANKED[window]
    return covering(now - WINDOWS[window], now, resolution)


def _ends(window: str, since: datetime | None, until: datetime | None, now: datetime) -> tuple[datetime, datetime]:
    if since is None:
        if until is not None:
            raise _wrong("to", "goes with `from`")
        return now - WINDOWS[window or DEFAULT_WINDOW], now
    if window:
        raise _wrong("window", "does not go with `from`")
    until = min(until or now, now)
    if since >= now:
        raise _wrong("from", "must be in the past")
    if since >= until:
        raise _wrong("to", "must be later than `from`")
    return since, until


def _wrong(path: str, message: str) -> Invalid:
    return Invalid("the range is not valid; `details` say where", details=(Detail(path, message),))
