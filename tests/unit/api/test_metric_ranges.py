"""From when until when metrics are read."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.api import metric_ranges
from functions.api.metric_ranges import kept_seconds, of_buckets, of_rows
from functions.errors import Invalid

NOON = datetime(2026, 11, 21, 12, 30, 15, 500, tzinfo=UTC)
DAY, MONTH = timedelta(days=1), timedelta(days=31)


@pytest.fixture(autouse=True)
def at_noon(monkeypatch: pytest.MonkeyPatch) -> None:
    class Frozen(datetime):
        @classmethod
        def now(cls, tz: object = None) -> datetime:  # type: ignore[override]
            return NOON

    monkeypatch.setattr(metric_ranges, "datetime", Frozen)


def test_without_times_it_is_the_last_day() -> None:
    assert of_rows(None, None) == (NOON - DAY, NOON)
    assert of_rows(None, NOON - MONTH) == (NOON - MONTH - DAY, NOON - MONTH)
    assert of_rows(NOON - MONTH, None) == (NOON - MONTH, NOON)


@pytest.mark.parametrize(
    ("bucket", "end"),
    [
        ("", datetime(2026, 11, 21, 12, 31, tzinfo=UTC)),
        ("minute", datetime(2026, 11, 21, 12, 31, tzinfo=UTC)),
        ("hour", datetime(2026, 11, 21, 13, tzinfo=UTC)),
        ("day", datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_a_summary_ends_with_the_bucket_of_now(bucket: str, end: datetime) -> None:
    assert of_buckets(None, None, bucket) == (end - DAY, end)


@pytest.mark.parametrize(
    ("after", "before", "bucket"),
    [
        (NOON, NOON, ""),
        (NOON + DAY, None, ""),
        (NOON - MONTH - DAY, NOON, ""),
        (NOON - 2 * DAY, NOON, "minute"),
        (None, datetime(1, 1, 1, tzinfo=UTC), ""),
    ],
)
def test_what_is_empty_or_too_much_is_refused(
    after: datetime | None, before: datetime | None, bucket: str
) -> None:
    with pytest.raises(Invalid):
        of_buckets(after, before, bucket)


def test_what_is_over_is_kept_for_longer() -> None:
    assert kept_seconds(NOON - 2 * DAY, "minute") == 300
    assert kept_seconds(NOON, "minute") == 15
    assert kept_seconds(NOON, "day") == 300
