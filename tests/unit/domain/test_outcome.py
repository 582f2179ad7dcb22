import pytest

from functions.domain import retry
from functions.domain.outcome import Budget, Failure, State, decide

TIMEOUT = Failure("timeout", "too slow")
LINEAR = retry.complete({"kind": "linear", "step_seconds": 100})


@pytest.mark.parametrize(
    ("attempt", "status", "failure", "state", "code"),
    [
        (1, 200, None, State.DELIVERED, None),
        (6, 204, None, State.DELIVERED, None),
        (1, 299, None, State.DELIVERED, None),
        (1, 199, None, State.RETRY, "http_status"),
        (1, 301, None, State.RETRY, "http_status"),
        (1, 404, None, State.RETRY, "http_status"),
        (5, 500, None, State.RETRY, "http_status"),
        (6, 500, None, State.EXHAUSTED, "http_status"),
        (1, None, TIMEOUT, State.RETRY, "timeout"),
        (1, 200, TIMEOUT, State.RETRY, "timeout"),
        (6, None, TIMEOUT, State.EXHAUSTED, "timeout"),
    ],
)
def test_outcomes(
    attempt: int, status: int | None, failure: Failure | None, state: State, code: str | None
) -> None:
    outcome = decide(Budget(attempt, 6, 6, retry.DEFAULT), status=status, failure=failure, chance=0.5)
    assert outcome.state is state
    assert (outcome.failure.code if outcome.failure else None) == code
    assert (outcome.delay.total_seconds() > 0) == (state is State.RETRY)


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
    outcome = decide(Budget(attempt, max_attempts, at_a_time, LINEAR), status=500, failure=None, chance=0.5)
    assert outcome.delay.total_seconds() == seconds
