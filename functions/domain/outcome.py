"""What an attempt means for its delivery: a pure decision; the write is elsewhere (P2)."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import NamedTuple

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


def decide(budget: Budget, *, status: int | None, failure: Failure | None, chance: float) -> Outcome:
    """2xx is delivered; everything else, redirects included, is a failure and tried again while it may be."""
    if failure is None and status is not None and 200 <= status <= 299:
        return Outcome(State.DELIVERED)
    failed = failure or Failure("http_status", f"the endpoint answered {status}")
    if budget.attempt >= budget.max_attempts:
        return Outcome(State.EXHAUSTED, failed)
    return Outcome(State.RETRY, failed, retry.delay(budget.strategy, budget.step, chance))
