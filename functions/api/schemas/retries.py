"""Retry strategies of webhooks."""

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, StrictBool, StrictFloat, StrictInt

from functions.api.schemas.base import Input
from functions.domain.retry import DEFAULTS, MAX_DELAYS, MAX_FACTOR, MAX_SECONDS, MIN_SECONDS


def by_tag(tag: str, models: dict[str, type[Input]]) -> Callable[[object], object]:
    """What validates by the model that `tag` names, so that what is wrong is found at its own path.

    (Pydantic's discriminated unions put the tag into the path.) A value without a known tag is left to the union.
    """

    def validate(value: object) -> object:
        model = models.get(str(value.get(tag))) if isinstance(value, dict) else None
        return model.model_validate(value) if model else value

    return validate


def _whole(value: float) -> float:
    """10.0 is shown as 10."""
    return int(value) if value == int(value) else value


Seconds = Annotated[StrictInt, Field(ge=MIN_SECONDS, le=MAX_SECONDS)]
Jitter = Annotated[
    StrictBool,
    Field(description="Spread over the second half of each delay, so that what failed together comes back apart"),
]


class ExponentialRetries(Input):
    """`initial_seconds`, then `factor` times as long each time, never longer than `max_seconds`."""

    kind: Literal["exponential"]
    initial_seconds: Seconds = DEFAULTS["exponential"]["initial_seconds"]
    factor: Annotated[StrictFloat, Field(ge=1, le=MAX_FACTOR), AfterValidator(_whole)] = DEFAULTS["exponential"][
        "factor"
    ]
    max_seconds: Seconds = DEFAULTS["exponential"]["max_seconds"]
    jitter: Jitter = DEFAULTS["exponential"]["jitter"]


class LinearRetries(Input):
    """`step_seconds`, then as much longer each time, never longer than `max_seconds`."""

    kind: Literal["linear"]
    step_seconds: Seconds = DEFAULTS["linear"]["step_seconds"]
    max_seconds: Seconds = DEFAULTS["linear"]["max_seconds"]
    jitter: Jitter = DEFAULTS["linear"]["jitter"]


class FixedRetries(Input):
    """`delay_seconds` each time."""

    kind: Literal["fixed"]
    delay_seconds: Seconds = DEFAULTS["fixed"]["delay_seconds"]
    jitter: Jitter = DEFAULTS["fixed"]["jitter"]


class CustomRetries(Input):
    """Each of `delays_seconds` in turn; the last one repeats."""

    kind: Literal["custom"]
    delays_seconds: Annotated[list[Seconds], Field(min_length=1, max_length=MAX_DELAYS, examples=[[5, 60, 3600]])]
    jitter: Jitter = DEFAULTS["custom"]["jitter"]


RetryStrategy = Annotated[
    ExponentialRetries | LinearRetries | FixedRetries | CustomRetries,
    Field(discriminator="kind"),
    BeforeValidator(
        by_tag(
            "kind",
            {
                "exponential": ExponentialRetries,
                "linear": LinearRetries,
                "fixed": FixedRetries,
                "custom": CustomRetries,
            },
        )
    ),
]
