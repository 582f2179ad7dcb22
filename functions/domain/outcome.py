"""What an attempt means for its delivery and its webhook: a pure decision; the write is elsewhere (P2)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from functions.domain import retry, retry_after
from functions.settings import Limits

GONE = 410
NOT_NOW = (429, 503)  # their Retry-After is for all that goes to the endpoint
STRAINED = (429, 502, 503, 504)  # the endpoint, or what stands in front of it, has too much to do
MAY_PASS = (408, 425, 429)  # the only 4xx that speak of the moment and not of the request
TIMED_OUT = "timeout"
# Ours to refuse: they say nothing of how the endpoint is doing.
REFUSALS = ("address_refused", "address_not_in_allowlist")


class State(StrEnum):
    """What the delivery becomes."""

    DELIVERED = "delivered"
    RETRY = "pending"
    FAILED = "failed"


class Reason(StrEnum):
    """Why a delivery failed for good: what its dead letter says."""

    EXHAUSTED = "attempts_exhausted"
    GONE = "endpoint_gone"


@dataclass(frozen=True)
class Failure:
    """Why there was no usable response: a stable code for machines, a sentence for people."""

    code: str
    message: str


@dataclass(frozen=True)
class Outcome:
    """The delivery's next state, why, and for a retry how long from now; and what its webhook is to make of it."""

    state: State
    failure: Failure | None = None
    delay: timedelta = timedelta()
    reason: Reason | None = None  # of a failed one
    strike: bool = False  # speaks of the endpoint, not of this event: ten in a row open the circuit
    slow: bool = False  # the webhook goes to the slow lane
    hold: timedelta = timedelta()  # nothing is sent to the webhook for so long


class Budget(NamedTuple):
    """What a delivery may still use up, and how it waits in between.

    `attempt` and `max_attempts` count all that were ever made of the delivery; `at_a_time` is what its webhook
    grants it at once, and again with every redrive or retry by hand.
    """

    attempt: int
    max_attempts: int
    at_a_time: int
    strategy: retry.Strategy

    @property
    def step(self) -> int:
        """The number of this attempt since the delivery last started anew: its waits do, too."""
        before = self.max_attempts - self.at_a_time
        return self.attempt - before if 0 < before < self.attempt else self.attempt


class Answer(NamedTuple):
    """What an attempt met: a status, or a failure when there was no usable response, and how long it took."""

    status: int | None
    failure: Failure | None = None
    headers: Mapping[str, str] = {}  # with names in lower case
    time_ms: int = 0


def decide(answer: Answer, budget: Budget, limits: Limits, *, now: datetime, chance: float) -> Outcome:
    """2xx is delivered, 410 ends it; all else, redirects included, is a failure and tried again while it may be.

    `Retry-After` makes the wait longer than the schedule's, never shorter. `chance` in [0, 1) is for the jitter.
    """
    status, failure = answer.status, answer.failure
    slow = answer.time_ms >= limits.slow_after_ms or _is_strained(answer)
    if failure is None and status is not None and 200 <= status <= 299:
        return Outcome(State.DELIVERED, slow=slow)
    failed = failure or Failure("http_status", f"the endpoint answered {status}")
    if failure is None and status == GONE:
        return Outcome(State.FAILED, failed, reason=Reason.GONE)
    wanted = _retry_after(answer, now)
    hold = min(wanted, timedelta(seconds=limits.hold_most_seconds)) if status in NOT_NOW else timedelta()
    strike = _is_strike(answer)
    if budget.attempt >= budget.max_attempts:
        return Outcome(State.FAILED, failed, reason=Reason.EXHAUSTED, strike=strike, slow=slow, hold=hold)
    scheduled = retry.delay(budget.strategy, budget.step, chance)
    delay = max(scheduled, min(wanted, timedelta(seconds=limits.retry_after_most_seconds)))
    return Outcome(State.RETRY, failed, delay, strike=strike, slow=slow, hold=hold)


def _retry_after(answer: Answer, now: datetime) -> timedelta:
    value = answer.headers.get("retry-after") if answer.failure is None else None
    return (retry_after.parse(value, now) if value else None) or timedelta()


def _is_strained(answer: Answer) -> bool:
    if answer.failure is not None:
        return answer.failure.code == TIMED_OUT
    return answer.status in STRAINED


def _is_strike(answer: Answer) -> bool:
    if answer.failure is not None:
        return answer.failure.code not in REFUSALS
    return answer.status is not None and (answer.status >= 500 or answer.status in MAY_PASS)
