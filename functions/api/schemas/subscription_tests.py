"""Testing what subscriptions and filters make of a sample event."""

from typing import Annotated, Any

from pydantic import BaseModel, Field, RootModel, StrictBool, StrictStr, model_validator

from functions.api.schemas.base import ApplicationId, Environment, EventType, Input
from functions.api.schemas.problems import problems
from functions.api.schemas.subscriptions import Filter

OF_SUBSCRIPTIONS = {"type", "application_id", "environment", "webhook_id", "matches"}


class SubscriptionTestIn(Input):
    """Either `type` and `data`, to try the subscriptions on them; or `filter` and `data`, to try a filter."""

    data: Annotated[Any, Field(description="The event's data: any JSON value of at most 256 KiB")]
    type: Annotated[EventType, Field(description="The event's type. Required unless there is a `filter`")] = Field(
        default_factory=str
    )
    application_id: ApplicationId | None = None
    environment: Environment | None = None
    webhook_id: Annotated[StrictStr, Field(description="Only this webhook's subscriptions")] | None = None
    matches: Annotated[StrictBool, Field(description="Only those that match, or only the others")] | None = None
    filter: Annotated[Filter, Field(description="A filter to try that no subscription has; alone with `data`")] = (
        Field(default_factory=dict)
    )

    @model_validator(mode="after")
    def _one_or_the_other(self) -> "SubscriptionTestIn":
        if not self.of_filter and "type" not in self.model_fields_set:
            raise problems([(("type",), "is required, unless a filter is to be tried")])
        if self.of_filter and (besides := sorted(OF_SUBSCRIPTIONS & self.model_fields_set)):
            raise problems([((field,), "cannot stand beside filter, which is tried alone") for field in besides])
        return self

    @property
    def of_filter(self) -> bool:
        return "filter" in self.model_fields_set


class Reason(BaseModel):
    path: Annotated[
        str,
        Field(
            description="`type`, `application_id`, `environment` or a place in `data` of the sample;"
            " `subscription.enabled`; `webhook.status`",
            examples=["data.amount"],
        ),
    ]
    message: Annotated[str, Field(examples=["amount is 50, wanted > 100"])]


class TestedSubscription(BaseModel):
    webhook_id: str
    webhook_name: str
    subscription_id: str
    event_type: str
    filter: dict[str, Any] | None
    matches: bool
    reasons: Annotated[list[Reason], Field(description="Why it does not match; empty when it does")]


class SubscriptionTests(BaseModel):
    data: list[TestedSubscription]
    webhooks_matched: Annotated[int, Field(description="Webhooks that would get the event, over all pages")]
    next_cursor: str | None


class FilterTest(BaseModel):
    matches: bool
    reasons: Annotated[list[Reason], Field(description="Why it does not match; empty when it does")]


class SubscriptionTest(RootModel[SubscriptionTests | FilterTest]):
    """What subscriptions make of a sample event; or, of one filter alone, whether it matches."""
