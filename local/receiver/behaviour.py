"""How an endpoint answers what it could verify."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Any


class BehaviourError(ValueError):
    """What was asked for is no behaviour."""


class Mode(StrEnum):
    """`fail-first` refuses the first attempt of every k-th event, `always-fail` every attempt."""

    OK = "ok"
    FAIL_FIRST = "fail-first"
    ALWAYS_FAIL = "always-fail"
    SLOW = "slow"


@dataclass(frozen=True)
class Behaviour:
    """`every` is the k of `fail-first`; `delay_seconds` is what `slow` waits before it answers.

    `status` is what a refusal answers.
    """

    mode: Mode = Mode.OK
    every: int = 1
    delay_seconds: float = 1.0
    status: int = HTTPStatus.SERVICE_UNAVAILABLE.value

    @classmethod
    def parse(cls, fields: Mapping[str, Any]) -> "Behaviour":
        """Raises BehaviourError, saying what is wrong."""
        try:
            made = cls(**{**fields, "mode": Mode(fields.get("mode", Mode.OK))})
        except (TypeError, ValueError) as error:
            raise BehaviourError(str(error)) from None
        if type(made.every) is not int or made.every < 1:
            raise BehaviourError("every must be a whole number from 1")
        if not isinstance(made.delay_seconds, int | float) or not 0 <= made.delay_seconds <= 60:
            raise BehaviourError("delay_seconds must be a number from 0 to 60")
        if type(made.status) is not int or not 300 <= made.status <= 599:
            raise BehaviourError("status must be a whole number from 300 to 599")
        return made

    def refuses(self, *, event_number: int, first_attempt: bool) -> bool:
        """`event_number` counts the endpoint's events from 1."""
        if self.mode is Mode.FAIL_FIRST:
            return first_attempt and event_number % self.every == 0
        return self.mode is Mode.ALWAYS_FAIL

    @property
    def pause_seconds(self) -> float:
        return self.delay_seconds if self.mode is Mode.SLOW else 0.0
