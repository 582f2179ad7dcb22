"""What an attempt means for its delivery: a pure decision; the write is elsewhere (P2)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum

from functions.domain import retry


class State(StrEnum):
    """What the delivery becomes."""

    DELIVERED = "delivered"
    RETRY = "pending"
    EXHAUSTED = "failed"


@dataclass(frozen=True)
class Failure:
    """Why there was no usable response: a stable code for machines, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """The next state, why, and for a retry how long from now."""

    state: State
    failure: Failure | None = None
    delay: timedelta = timedelta()


def decide(
    *, attempt: int, max_attempts: int, status: int | None, failure: Failure | None, chance: float
) -> Outcome:
    """2xx is delivered; everything else, redirects included, is a failure and tried again while it may be."""
    if failure is None and status is not None and 200 <= status <= 299:
        return Outcome(State.DELIVERED)
    failed = failure or Failure("http_status", f"the endpoint answered {status}")
    if attempt >= max_attempts:
        return Outcome(State.EXHAUSTED, failed)
    return Outcome(State.RETRY, failed, retry.delay(attempt, chance))
