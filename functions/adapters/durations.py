"""Durations in µs, counted in logarithmic buckets, of which the last ends after twelve days."""

from collections.abc import Iterator

from functions.domain.log_buckets import BUCKETS, middle


class Durations:
    """How long something took, each time it was done, and how often it failed."""

    __slots__ = ("counts", "errors", "longest_us", "retries", "slow", "total_us")

    def __init__(self) -> None:
        self.counts = [0] * BUCKETS
        self.total_us = 0
        self.longest_us = 0
        self.slow = 0
        self.errors = 0
        self.retries = 0

    def add(self, us: int) -> None:
        """One more that took `us` µs."""
        shift = us.bit_length() - 4
        self.counts[us if shift <= 0 else (shift << 3) + (us >> shift)] += 1
        self.total_us += us
        if us > self.longest_us:  # noqa: PLR1730 - a third of what max() takes
            self.longest_us = us

    def merge(self, other: "Durations") -> None:
        """Take in what another counted."""
        self.counts = [one + more for one, more in zip(self.counts, other.counts, strict=True)]
        self.total_us += other.total_us
        self.longest_us = max(self.longest_us, other.longest_us)
        self.slow += other.slow
        self.errors += other.errors
        self.retries += other.retries

    def buckets(self) -> Iterator[tuple[int, int]]:
        """(number of the bucket, how many are in it) of those that are not empty, the shortest durations first."""
        return ((bucket, count) for bucket, count in enumerate(self.counts) if count)

    def quantile(self, share: float) -> float:
        """The µs that this share of them (0 to 1) took at most; 0 while there are none. Off by less than 6 %."""
        behind = share * sum(self.counts)
        for bucket, count in self.buckets():
            behind -= count
            if behind <= 0:
                return min(middle(bucket), self.longest_us)
        return 0
