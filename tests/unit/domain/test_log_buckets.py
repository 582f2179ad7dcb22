from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from functions.domain.log_buckets import BUCKETS, ERROR, bucket_of, middle, percentiles, start

NUMBERS = st.one_of(st.integers(0, 40), st.integers(0, 30_000), st.integers(0, 2**40 - 1))


@given(NUMBERS)
def test_a_number_is_told_to_within_the_stated_error(number: int) -> None:
    bucket = bucket_of(number)
    assert 0 <= bucket < BUCKETS
    assert start(bucket) <= number < start(bucket + 1)
    assert abs(middle(bucket) - number) <= ERROR * number


def test_buckets_follow_each_other_without_a_gap() -> None:
    starts = [start(bucket) for bucket in range(BUCKETS + 1)]
    assert starts == sorted(set(starts))
    assert [bucket_of(one) for one in starts[:-1]] == list(range(BUCKETS))
    assert [bucket_of(one - 1) for one in starts[1:]] == list(range(BUCKETS))


@given(st.lists(NUMBERS, min_size=1, max_size=300), st.integers(1, 100))
def test_a_percentile_is_that_of_the_rank_to_within_the_stated_error(numbers: list[int], percent: int) -> None:
    ordered, rank = sorted(numbers), -(-percent * len(numbers) // 100)
    (told,) = percentiles(Counter(map(bucket_of, numbers)), [percent], max(numbers))
    exact = ordered[rank - 1]
    assert abs(told - exact) <= ERROR * exact
    assert told <= max(numbers)


@given(st.lists(NUMBERS, max_size=100), st.lists(NUMBERS, max_size=100))
def test_two_histograms_added_are_that_of_all_their_numbers(one: list[int], other: list[int]) -> None:
    added = Counter(map(bucket_of, one)) + Counter(map(bucket_of, other))
    assert added == Counter(map(bucket_of, one + other))


def test_what_takes_no_time_is_told_as_that() -> None:
    assert percentiles({0: 3}, [1, 50, 100], 0) == [0, 0, 0]
