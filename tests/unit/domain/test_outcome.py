from datetime import UTC, datetime

import pytest

from functions.domain import retry
from functions.domain.outcome import Answer, Budget, Failure, Outcome, Reason, State, decide
from functions.settings import settings

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
LINEAR = retry.complete({"kind": "linear", "step_seconds": 100})
FIRST, LAST = Budget(1, 6, 6, LINEAR), Budget(6, 6, 6, LINEAR)
DELIVERED, RETRY, FAILED = State.DELIVERED, State.RETRY, State.FAILED


def decided(answer: Answer, budget: Budget = FIRST) -> Outcome:
    return decide(answer, budget, settings().limits, now=NOW, chance=0.5)


@pytest.mark.parametrize(
    ("status", "state", "strike", "slow"),
    [
        (200, DELIVERED, False, False),
        (204, DELIVERED, False, False),
        (299, DELIVERED, False, False),
        (199, RETRY, False, False),
        (300, RETRY, False, False),
        (301, RETRY, False, False),
        (304, RETRY, False, False),
        (308, RETRY, False, False),
        (400, RETRY, False, False),
        (401, RETRY, False, False),
        (404, RETRY, False, False),
        (408, RETRY, True, False),
        (409, RETRY, False, False),
        (413, RETRY, False, False),
        (422, RETRY, False, False),
        (425, RETRY, True, False),
        (429, RETRY, True, True),
        (500, RETRY, True, False),
        (501, RETRY, True, False),
        (502, RETRY, True, True),
        (503, RETRY, True, True),
        (504, RETRY, True, True),
        (599, RETRY, True, False),
        (999, RETRY, True, False),
    ],
)
def test_what_each_status_means(status: int, state: State, strike: bool, slow: bool) -> None:
    outcome = decided(Answer(status))
    assert (outcome.state, outcome.strike, outcome.slow) == (state, strike, slow)
    assert outcome.delay.total_seconds() == (100 if state is RETRY else 0)
    assert (outcome.failure is None) == (state is DELIVERED)
    if outcome.failure:
        assert outcome.failure == Failure("http_status", f"the endpoint answered {status}")
    after_the_last = decided(Answer(status), LAST)
    if state is RETRY:
        assert (after_the_last.state, after_the_last.reason) == (FAILED, Reason.EXHAUSTED)
        assert (after_the_last.strike, after_the_last.slow) == (strike, slow)
    else:
        assert after_the_last == outcome


@pytest.mark.parametrize("budget", [FIRST, LAST])
def test_gone_ends_it_whatever_is_left(budget: Budget) -> None:
    outcome = decided(Answer(410), budget)
    assert (outcome.state, outcome.reason, outcome.strike) == (FAILED, Reason.GONE, False)


@pytest.mark.parametrize(
    ("code", "strike", "slow"),
    [
        ("timeout", True, True),
        ("dns_error", True, False),
        ("connection_failed", True, False),
        ("tls_error", True, False),
        ("connection_closed", True, False),
        ("invalid_response", True, False),
        ("address_refused", False, False),
        ("address_not_in_allowlist", False, False),
    ],
)
def test_what_each_failure_means(code: str, strike: bool, slow: bool) -> None:
    failure = Failure(code, "a sentence")
    for status in (None, 200):
        outcome = decided(Answer(status, failure))
        assert (outcome.state, outcome.failure, outcome.strike, outcome.slow) == (RETRY, failure, strike, slow)


def test_an_answer_that_took_long_is_slow_whatever_it_says() -> None:
    assert decided(Answer(200, time_ms=1_999)).slow is False
    assert decided(Answer(200, time_ms=2_000)).slow is True
    assert decided(Answer(404, time_ms=2_000)).slow is True


@pytest.mark.parametrize(
    ("status", "value", "delay", "hold"),
    [
        (503, "5", 100, 5),  # the schedule waits longer
        (503, "100", 100, 100),
        (429, "600", 600, 600),
        (429, "3600", 3_600, 900),  # the others of the webhook wait a quarter of an hour at most
        (503, "999999", 86_400, 900),
        (503, "99999999999999999999", 100, 0),  # no time that anybody means
        (500, "600", 600, 0),  # this request only
        (404, "600", 600, 0),
        (302, "600", 600, 0),
        (503, "Sat, 21 Nov 2026 12:10:00 GMT", 600, 600),
        (503, "Saturday, 21-Nov-26 12:10:00 GMT", 600, 600),  # RFC 850
        (503, "Sat Nov 21 12:10:00 2026", 600, 600),  # asctime
        (503, "Sat, 21 Nov 2026 11:00:00 GMT", 100, 0),
        (503, "Sat, 21 Nov 99999 11:00:00 GMT", 100, 0),
        (503, "-5", 100, 0),
        (503, "1.5", 100, 0),
        (503, "٣", 100, 0),
        (503, "soon", 100, 0),
        (503, "", 100, 0),
        (503, " 600 ", 600, 600),
    ],
)
def test_retry_after_makes_the_wait_longer_within_bounds(status: int, value: str, delay: int, hold: int) -> None:
    outcome = decided(Answer(status, headers={"retry-after": value}))
    assert (outcome.delay.total_seconds(), outcome.hold.total_seconds()) == (delay, hold)


def test_retry_after_counts_for_the_webhook_when_the_delivery_has_failed_for_good_too() -> None:
    outcome = decided(Answer(429, headers={"retry-after": "60"}), LAST)
    assert (outcome.state, outcome.hold.total_seconds()) == (FAILED, 60)


def test_retry_after_of_a_success_or_of_no_answer_means_nothing() -> None:
    assert decided(Answer(200, headers={"retry-after": "60"})).hold.total_seconds() == 0
    broken = decided(Answer(503, Failure("connection_closed", "…"), {"retry-after": "600"}))
    assert (broken.delay.total_seconds(), broken.hold.total_seconds()) == (100, 0)


@pytest.mark.parametrize(
    ("attempt", "max_attempts", "at_a_time", "seconds"),
    [
        (1, 6, 6, 100),
        (5, 6, 6, 500),
        (7, 12, 6, 100),  # redriven after six: the schedule starts anew
        (11, 12, 6, 500),
        (3, 8, 6, 100),  # tried again by hand after two
        (1, 6, 20, 100),  # the webhook grants more now: this delivery was made with six
        (2, 6, 3, 200),  # the webhook grants less now
    ],
)
def test_the_schedule_starts_anew_with_every_budget(
    attempt: int, max_attempts: int, at_a_time: int, seconds: int
) -> None:
    outcome = decided(Answer(500), Budget(attempt, max_attempts, at_a_time, LINEAR))
    assert outcome.delay.total_seconds() == seconds
