"""What a lever reaches: bounded in time, and narrowed, so that a slip of the pen does not send a year again."""

from datetime import UTC, datetime, timedelta

from functions.api.schemas.base import Input
from functions.errors import Detail, Invalid

LONGEST = timedelta(days=90)  # as long as deliveries are kept (D11)
SKEW = timedelta(minutes=5)  # so that `since` may be 90 days ago by the caller's clock
NARROWING = ("webhook_id", "event_type", "created_after", "created_before")


def window(since: datetime | None, until: datetime | None, names: tuple[str, str]) -> tuple[datetime, datetime]:
    """From when until when: now and 90 days before it where nothing is said. `names` are those of the fields.

    Raises Invalid: a time to come, an empty range, more than 90 days.
    """
    until = until_now(since, until, names)
    since = since or until - LONGEST
    if until - since > LONGEST + SKEW:
        raise _wrong(names[0], f"must be at most {LONGEST.days} days before {names[1]}")
    return since, until


def until_now(since: datetime | None, until: datetime | None, names: tuple[str, str]) -> datetime:
    """Until when, which is not later than now. Raises Invalid: a time to come, an empty range."""
    now = datetime.now(UTC)
    if since is not None and since >= now:
        raise _wrong(names[0], "must be in the past")
    until = min(until or now, now)
    if since is not None and until <= since:
        raise _wrong(names[1], f"must be later than {names[0]}")
    return until


def require_narrowing(wanted: Input) -> None:
    """Raises Invalid when none of the fields is given that would say less than everything."""
    if all(getattr(wanted, name) is None for name in NARROWING):
        message = f"is missing: name at least one of {', '.join(NARROWING)}"
        raise Invalid("it would reach everything", details=(Detail(NARROWING[0], message),))


def _wrong(path: str, message: str) -> Invalid:
    return Invalid("the range is not valid; `details` say where", details=(Detail(path, message),))
