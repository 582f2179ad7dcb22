"""Subscriptions: which events a webhook gets."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StrictBool

from functions.api.schemas.base import Input, Pattern
from functions.api.schemas.problems import problems
from functions.domain.filters import FilterError, compile_filter

SUBSCRIPTIONS_PER_WEBHOOK = 100


def _filter(value: dict[str, Any]) -> dict[str, Any]:
    """A filter that compiles. What is wrong is said under its path: `filter.amount.gt`."""
    try:
        compile_filter(value)
    except FilterError as error:
        raise problems([(error.where, error.message)]) from None
    return value


Filter = Annotated[
    dict[str, Any],
    AfterValidator(_filter),
    Field(
        description="What an event's data must be like; see docs/filters.md",
        examples=[{"amount": {"gt": 100}, "customer.country": {"in": ["DE", "FR"]}}],
    ),
]


class SubscriptionIn(Input):
    event_type: Pattern
    filter: Filter | None = None
    enabled: StrictBool = True


class SubscriptionPatch(Input):
    """Only the fields that are there change. `null` clears the filter and is refused elsewhere."""

    # Factories: a field that may be absent has no default that a client should send.
    event_type: Pattern = Field(default_factory=str)
    filter: Filter | None = None
    enabled: StrictBool = Field(default_factory=bool)


class Subscription(BaseModel):
    id: str
    event_type: str
    filter: dict[str, Any] | None
    enabled: bool
    created_at: datetime
