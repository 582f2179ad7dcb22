import pytest

from functions.domain.outcome import Failure, State, decide

TIMEOUT = Failure("timeout", "too slow")


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
    outcome = decide(attempt=attempt, max_attempts=6, status=status, failure=failure, chance=0.5)
    assert outcome.state is state
    assert (outcome.failure.code if outcome.failure else None) == code
    assert (outcome.delay.total_seconds() > 0) == (state is State.RETRY)
