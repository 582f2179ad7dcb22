from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.statistics.times import DAY, FIVE_MINUTES, HOUR, RESOLUTIONS, Resolution, covering, fitting

NOW = datetime(2026, 11, 21, 12, 3, 7, 1, tzinfo=UTC)
TIMES = st.datetimes(datetime(1970, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001 - UTC is added


@given(TIMES, st.sampled_from(RESOLUTIONS))
def test_a_time_is_in_the_bucket_that_begins_before_it_and_ends_after_it(at: datetime, of: Resolution) -> None:
    floor = of.floor(at)
    assert floor <= at < floor + of.length
    assert of.ceiling(at) - of.length < at <= of.ceiling(at)
    assert of.floor(floor) == of.ceiling(floor) == floor
    assert (floor.second, floor.microsecond, floor.minute % 5) == (0, 0, 0)
    assert of is FIVE_MINUTES or floor.minute == 0
    assert of is not DAY or floor.hour == 0


@given(TIMES, st.timedeltas(timedelta(seconds=1), timedelta(days=3)), st.sampled_from(RESOLUTIONS))
def test_a_range_has_all_that_is_asked_for_and_no_bucket_without_any_of_it(
    since: datetime, length: timedelta, of: Resolution
) -> None:
    until = since + length
    buckets = list(covering(since, until, of).buckets())
    assert buckets[0] <= since < buckets[0] + of.length
    assert buckets[-1] < until <= buckets[-1] + of.length
    assert all(after - before == of.length for before, after in pairwise(buckets))


@pytest.mark.parametrize(
    ("ago", "length", "expected"),
    [
        (timedelta(hours=1), timedelta(hours=1), FIVE_MINUTES),
        (timedelta(hours=6), timedelta(hours=6), FIVE_MINUTES),
        (timedelta(hours=24), timedelta(hours=24), HOUR),
        (timedelta(days=3), timedelta(hours=1), HOUR),  # five minutes are kept no more
        (timedelta(days=7), timedelta(days=7), HOUR),
        (timedelta(days=30), timedelta(days=30), DAY),
        (timedelta(days=36), timedelta(hours=1), DAY),
        (timedelta(days=399), timedelta(days=399), DAY),
    ],
)
def test_a_range_is_drawn_with_the_finest_buckets_that_suit_it(
    ago: timedelta, length: timedelta, expected: Resolution
) -> None:
    assert fitting(NOW - ago, NOW - ago + length, NOW) is expected
