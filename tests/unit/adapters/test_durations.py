import random

import pytest

from functions.adapters.durations import Durations
from functions.domain.log_buckets import BUCKETS, middle, start

TOLD = 0.06  # how far off a duration may be


def counted(values: list[int]) -> Durations:
    durations = Durations()
    for us in values:
        durations.add(us)
    return durations


def some(count: int = 5_000) -> list[int]:
    """Of every magnitude from 1 µs to a day, the ends of buckets among them."""
    chance = random.Random(1)
    ends = [start(bucket) + by for bucket in range(1, 270) for by in (-1, 0, 1)]
    return [*ends, *(int(2 ** chance.uniform(0, 36)) for _ in range(count))]


def test_every_duration_is_told_to_within_6_percent() -> None:
    for us in some():
        ((bucket, count),) = counted([us]).buckets()
        assert count == 1
        assert start(bucket) <= us < start(bucket + 1)
        assert middle(bucket) == pytest.approx(us, rel=TOLD)


def test_buckets_follow_each_other_without_a_gap_and_twelve_days_have_one() -> None:
    starts = [start(bucket) for bucket in range(BUCKETS + 1)]
    assert starts == sorted(set(starts))
    assert starts[-1] == 2**40
    assert len(counted([2**40 - 1]).counts) == BUCKETS


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1])
def test_quantiles_are_told_to_within_6_percent(share: float) -> None:
    values = sorted(some())
    exact = values[max(0, int(share * len(values) + 0.999999) - 1)]
    assert counted(values).quantile(share) == pytest.approx(exact, rel=TOLD)


def test_nothing_has_no_quantile_and_one_is_its_own() -> None:
    assert Durations().quantile(0.99) == 0
    assert counted([1_000_003]).quantile(0.5) == pytest.approx(1_000_003, rel=TOLD)
    assert counted([1_000_003]).quantile(0.99) <= 1_000_003


def test_merging_is_counting_together() -> None:
    values = some(500)
    one, other, all_ = counted(values[::2]), counted(values[1::2]), counted(values)
    one.errors, other.errors, other.slow, other.retries = 1, 2, 3, 4
    one.merge(other)
    assert (one.counts, one.total_us, one.longest_us) == (all_.counts, all_.total_us, all_.longest_us)
    assert (one.errors, one.slow, one.retries) == (3, 3, 4)
