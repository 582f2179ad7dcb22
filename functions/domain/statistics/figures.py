"""Figures of attempts and deliveries: added up from rows of webhook.delivery_statistics, and shown as rates."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from functions.domain.log_buckets import percentiles
from functions.domain.statistics.outcomes import AVAILABLE, OUTCOMES

# Columns that are added up, in the order in which rows have them.
COUNTS = (*OUTCOMES, "first_attempts", "first_succeeded", "deliveries_delivered", "deliveries_failed")
PERCENTILES = (50, 95, 99)
NOTHING = (*(0 for _ in COUNTS), 0, 0, (), ())


class Figures:
    """What was counted in some buckets of time. A graph has hundreds of these, so they are made in a few steps."""

    __slots__ = ("counts", "times", "times_longest_ms", "times_total_ms")

    def __init__(self, row: Sequence[Any] = NOTHING) -> None:
        """`row`: COUNTS, then the sum and the longest of the response times in ms, and their histogram."""
        *counts, self.times_total_ms, self.times_longest_ms, buckets, numbers = row
        self.counts: dict[str, int] = dict(zip(COUNTS, counts, strict=True))
        # Response times, by logarithmic bucket of ms.
        self.times: Counter[int] = Counter(dict(zip(buckets, numbers, strict=True)))

    def add(self, other: "Figures") -> None:
        """Take in what was counted elsewhere: response times become one histogram of all of them."""
        for name, count in other.counts.items():
            self.counts[name] += count
        self.times.update(other.times)
        self.times_total_ms += other.times_total_ms
        self.times_longest_ms = max(self.times_longest_ms, other.times_longest_ms)

    def shown(self) -> dict[str, Any]:
        """As the API answers it. A rate of nothing is None."""
        counts = self.counts
        outcomes = {name: counts[name] for name in OUTCOMES}
        attempts, first = sum(outcomes.values()), counts["first_attempts"]
        delivered, failed = counts["deliveries_delivered"], counts["deliveries_failed"]
        return {
            "attempts": attempts,
            "outcomes": outcomes,
            "success_rate": _rate(counts["succeeded"], attempts),
            "availability": _rate(sum(counts[name] for name in AVAILABLE), attempts - counts["refused"]),
            "retries": attempts - first,
            "first_attempt_success_rate": _rate(counts["first_succeeded"], first),
            "deliveries": {
                "delivered": delivered,
                "failed": failed,
                "success_rate": _rate(delivered, delivered + failed),
            },
            "response_time_ms": self._response_time(),
        }

    def _response_time(self) -> dict[str, Any]:
        count, longest = self.times.total(), self.times_longest_ms
        found = percentiles(self.times, PERCENTILES, longest) if count else [None] * len(PERCENTILES)
        return {
            "count": count,
            "average": round(self.times_total_ms / count, 1) if count else None,
            "longest": longest if count else None,
            **{
                f"p{one}": None if ms is None else round(ms, 1) for one, ms in zip(PERCENTILES, found, strict=True)
            },
        }


def merged(parts: Iterable[Figures]) -> Figures:
    """The figures of all these together."""
    whole = Figures()
    for part in parts:
        whole.add(part)
    return whole


def _rate(part: int, whole: int) -> float | None:
    """Never rounded up to 1: what is not all is told as less than all."""
    return int(1_000_000 * part / whole) / 1_000_000 if whole else None
