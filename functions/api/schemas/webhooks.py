"""Webhooks and their secrets."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictInt, StrictStr

from functions.api.schemas.base import Description, Input, Name, Pattern, distinct
from functions.api.schemas.subscriptions import SUBSCRIPTIONS_PER_WEBHOOK, Subscription
from functions.domain import egress, signing


def _url(value: str) -> str:
    egress.check_url(value)
    return value


def _secret(value: str) -> str:
    signing.secret_bytes(value)
    return value


Url = Annotated[StrictStr, AfterValidator(_url), Field(examples=["https://example.com/hooks"], max_length=2048)]
Secret = Annotated[StrictStr, AfterValidator(_secret), Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]
TimeoutSeconds = Annotated[StrictInt, Field(ge=1, le=30)]
MaxAttempts = Annotated[StrictInt, Field(ge=1, le=20)]


class WebhookIn(Input):
    name: Name
    url: Url
    event_types: Annotated[
        list[Pattern], Field(min_length=1, max_length=SUBSCRIPTIONS_PER_WEBHOOK), AfterValidator(distinct)
    ] = Field(default=["*"])
    description: Description | None = None
    timeout_seconds: TimeoutSeconds = 15
    max_attempts: MaxAttempts = 6
    secret: Secret | None = None


class WebhookPatch(Input):
    """Only the fields that are there change. `null` clears a description and is refused elsewhere."""

    # Factories: a field that may be absent has no default that a client should send.
    name: Name = Field(default_factory=str)
    url: Url = Field(default_factory=str)
    description: Description | None = None
    timeout_seconds: TimeoutSeconds = Field(default_factory=int)
    max_attempts: MaxAttempts = Field(default_factory=int)


class Webhook(BaseModel):
    id: str
    name: str
    url: str
    description: str | None
    status: Literal["active", "paused", "disabled"]
    timeout_seconds: int
    max_attempts: int
    failure_count: Annotated[int, Field(description="Failed attempts in a row")]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None
    subscriptions: list[Subscription]


class WebhookSecret(BaseModel):
    secret: str
    expiring: Annotated[list[str], Field(description="Older secrets that still sign beside this one")]
