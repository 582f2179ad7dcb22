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
    ("bucket", "start", "end"),
    [
        ("none", datetime(2026, 11, 20, 12, 30, tzinfo=UTC), datetime(2026, 11, 21, 12, 31, tzinfo=UTC)),
        ("1m", datetime(2026, 11, 20, 12, 30, tzinfo=UTC), datetime(2026, 11, 21, 12, 31, tzinfo=UTC)),
        ("1h", datetime(2026, 11, 20, 12, tzinfo=UTC), datetime(2026, 11, 21, 13, tzinfo=UTC)),
        ("1d", datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 22, tzinfo=UTC)),
    ],
)
def test_a_summary_covers_the_buckets_of_now_and_of_a_day_ago(bucket: str, start: datetime, end: datetime) -> None:
    assert of_buckets(None, None, bucket) == (start, end)


def test_a_month_until_now_may_end_with_the_bucket_of_now() -> None:
    assert of_buckets(NOON - MONTH, None, "1d") == (NOON - MONTH, datetime(2026, 11, 22, tzinfo=UTC))


@pytest.mark.parametrize(
    ("after", "before", "bucket"),
    [
        (NOON, NOON, "none"),
        (NOON + DAY, None, "none"),
        (NOON - MONTH - DAY, NOON, "none"),
        (NOON - 2 * DAY, NOON, "1m"),
        (None, datetime(1, 1, 1, tzinfo=UTC), "none"),
    ],
)
def test_what_is_empty_or_too_much_is_refused(
    after: datetime | None, before: datetime | None, bucket: str
) -> None:
    with pytest.raises(Invalid):
        of_buckets(after, before, bucket)


def test_what_is_over_is_kept_for_longer() -> None:
    assert kept_seconds(NOON - 2 * DAY, "1m") == 300
    assert kept_seconds(NOON, "1m") == 15
    assert kept_seconds(NOON, "1d") == 300
