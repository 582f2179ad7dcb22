"""From when until when metrics are read, and for how long what was read of them is kept."""

from datetime import UTC, datetime, timedelta

from functions.errors import Detail, Invalid

USUAL = timedelta(days=1)
LONGEST = timedelta(days=31)
# A bucket that is not over changes all the time. Whoever looks at days need not see the last seconds.
SECONDS = {"none": 15, "1m": 15, "1h": 60, "1d": 300}
OVER = timedelta(hours=1)  # what ended so long ago has its lines: hardly one comes later
KEPT_WHEN_OVER = 300
STEPS = {"none": timedelta(minutes=1), "1m": timedelta(minutes=1), "1h": timedelta(hours=1), "1d": USUAL}
MOST_BUCKETS = 1_500  # a day of minutes


def of_rows(after: datetime | None, before: datetime | None) -> tuple[datetime, datetime]:
    """From when until when. Raises Invalid for an empty range and for one of more than 31 days."""
    return _checked(after, before or datetime.now(UTC))


def of_buckets(after: datetime | None, before: datetime | None, bucket: str) -> tuple[datetime, datetime]:
    """The same of a summary. Where no end is told it is that of the bucket of now, and where no time is told the
    beginning is that of the bucket of a day ago: the same question, asked again a moment later, is the same, and
    its first bucket is whole. Raises Invalid for more than MOST_BUCKETS, too.
    """
    step, now = STEPS[bucket], datetime.now(UTC)
    if before is None:
        after, before = _checked(after or _start(now - USUAL, step), _start(now, step) + step, LONGEST + step)
    else:
        after, before = _checked(after, before)
    if bucket != "none" and (before - after) / step > MOST_BUCKETS:
        raise _wrong("bucket", f"makes more than {MOST_BUCKETS} of this range: take a longer one")
    return after, before


def kept_seconds(before: datetime, bucket: str) -> float:
    """How long a summary is kept."""
    return KEPT_WHEN_OVER if before < datetime.now(UTC) - OVER else SECONDS[bucket]


def _checked(after: datetime | None, before: datetime, longest: timedelta = LONGEST) -> tuple[datetime, datetime]:
    if after is None:
        after = before - USUAL if before > datetime.min.replace(tzinfo=UTC) + USUAL else before
    if after >= before:
        raise _wrong("created_before", "must be later than created_after, which is not in the future")
    if before - after > longest:
        raise _wrong("created_before", f"must be at most {LONGEST.days} days after created_after")
    return after, before


def _start(at: datetime, step: timedelta) -> datetime:
    """Of the bucket that this time is in."""
    midnight = datetime(at.year, at.month, at.day, tzinfo=UTC)
    return midnight + step * ((at - midnight) // step)


def _wrong(path: str, message: str) -> Invalid:
    return Invalid("the range is not valid; `details` say where", details=(Detail(path, message),))
