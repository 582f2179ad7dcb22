"""Whole numbers in buckets that grow with them: a histogram's size is bounded, and two are merged by adding.

Below 16 there is a bucket for each number, from there on eight to a power of two. A bucket is told as the value
that is as far from both of its ends, in proportion: that is off by less than 6 % (ERROR) for anything in it.
"""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

BUCKETS = 304  # the last ends at 2^40
ERROR = 0.06  # of the lower end of a bucket, its middle is a seventeenth off at most; below 16 nothing is


def bucket_of(number: int) -> int:
    """The number of the bucket that a whole number from 0 is in."""
    shift = number.bit_length() - 4
    return number if shift <= 0 else (shift << 3) + (number >> shift)


def start(bucket: int) -> int:
    """The smallest number in a bucket."""
    if bucket < 16:
        return bucket
    shift = (bucket >> 3) - 1
    return (bucket - (shift << 3)) << shift


def middle(bucket: int) -> float:
    """What a bucket stands for: below 16 its only value, else as far from one end as from the other."""
    if bucket < 16:
        return bucket
    low, high = start(bucket), start(bucket + 1)
    return 2 * low * high / (low + high)


def percentiles(counts: Mapping[int, int], percents: Iterable[int], longest: int) -> list[float]:
    """Of numbers counted by bucket, for each percentage the one that this many percent of them are not above.

    That is the number whose rank is the percentage of their count, rounded up: it is off by less than ERROR, and
    exact below 16. `longest` is the largest of them. Raises IndexError where there are none.
    """
    buckets = sorted(counts)
    running = list(accumulate(map(counts.__getitem__, buckets)))
    ranks = [-(-percent * running[-1] // 100) for percent in percents]
    return [min(middle(buckets[bisect_left(running, rank)]), longest) for rank in ranks]
