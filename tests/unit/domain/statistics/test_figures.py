import random

from functions.domain.log_buckets import bucket_of
from functions.domain.statistics.figures import COUNTS, Figures, merged
from functions.domain.statistics.outcomes import OUTCOMES


def row(times: list[int], **counts: int) -> list[object]:
    """Of a table, as Postgres gives it."""
    buckets = sorted({bucket_of(ms) for ms in times})
    numbers = [sum(bucket_of(ms) == bucket for ms in times) for bucket in buckets]
    return [*(counts.get(name, 0) for name in COUNTS), sum(times), max(times, default=0), buckets, numbers]


def figures(*rows: list[object]) -> Figures:
    return merged(Figures(one) for one in rows)


def test_buckets_merged_are_one_histogram_of_all_response_times() -> None:
    chance = random.Random(1)
    parts = [[int(2 ** chance.uniform(0, 15)) for _ in range(chance.randrange(30))] for _ in range(20)]
    whole = figures(row([ms for part in parts for ms in part], succeeded=sum(map(len, parts))))
    one_by_one = [figures(row(part, succeeded=len(part))) for part in parts]
    assert merged(one_by_one).shown() == whole.shown()
    assert figures(*(row(part, succeeded=len(part)) for part in parts)).shown() == whole.shown()


def test_availability_leaves_out_what_was_not_sent_and_success_does_not() -> None:
    shown = figures(row([], succeeded=6, rejected=1, throttled=1, server_error=1, timed_out=1, refused=10)).shown()
    assert (shown["attempts"], shown["success_rate"], shown["availability"]) == (20, 0.3, 0.8)


def test_what_is_not_all_is_less_than_all() -> None:
    shown = figures(row([], succeeded=9_999_999, server_error=1)).shown()
    assert shown["success_rate"] == 0.999999
    assert figures(row([], succeeded=9_999_999)).shown()["success_rate"] == 1


def test_rates_of_nothing_are_none_and_counts_are_zero() -> None:
    shown = Figures().shown()
    assert shown["outcomes"] == dict.fromkeys(OUTCOMES, 0)
    assert shown["deliveries"] == {"delivered": 0, "failed": 0, "success_rate": None}
    assert [shown[name] for name in ("success_rate", "availability", "first_attempt_success_rate")] == [None] * 3
    assert figures(row([], refused=3)).shown()["availability"] is None


def test_retries_are_the_attempts_that_were_not_the_first() -> None:
    shown = figures(row([1, 2], succeeded=5, server_error=3, first_attempts=6, first_succeeded=3)).shown()
    assert (shown["retries"], shown["first_attempt_success_rate"]) == (2, 0.5)
