"""Webhooks."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictInt, model_validator

from functions.api.schemas.base import ApplicationId, Description, Environment, Input, Name, Pattern, distinct
from functions.api.schemas.endpoints import Auth, AuthShown, Headers, IpAllowlist, NoAuth, RateLimit, Url
from functions.api.schemas.retries import ExponentialRetries, RetryStrategy
from functions.api.schemas.secrets import Secret, SigningAlgorithm, check_algorithm
from functions.api.schemas.subscriptions import SUBSCRIPTIONS_PER_WEBHOOK, Filter, Subscription

TimeoutSeconds = Annotated[StrictInt, Field(ge=1, le=30, description="For the whole request")]
MaxAttempts = Annotated[StrictInt, Field(ge=1, le=20)]
Ordering = Annotated[
    Literal["none", "strict"],
    Field(description="`strict`: no event before the one ahead of it is done with. Stored; not enforced yet"),
]
Status = Literal["active", "paused", "disabled"]


class WebhookIn(Input):
    name: Name
    url: Url
    event_types: Annotated[
        list[Pattern], Field(min_length=1, max_length=SUBSCRIPTIONS_PER_WEBHOOK), AfterValidator(distinct)
    ] = Field(default=["*"])
    filter: Filter | None = None
    description: Description | None = None
    application_id: ApplicationId | None = None
    environment: Environment | None = None
    headers: Headers = Field(default={})
    auth: Auth = Field(default=NoAuth(type="none"))
    timeout_seconds: TimeoutSeconds = 15
    max_attempts: MaxAttempts = 6
    retry_strategy: RetryStrategy = Field(default=ExponentialRetries(kind="exponential"))
    ip_allowlist: IpAllowlist | None = None
    rate_limit: RateLimit | None = None
    ordering: Ordering = "none"
    secret: Secret | None = None
    signing_algorithm: SigningAlgorithm | None = None

    @model_validator(mode="after")
    def _fitting(self) -> "WebhookIn":
        check_algorithm(self.secret, self.signing_algorithm, "signing_algorithm")
        return self


class WebhookPatch(Input):
    """Only the fields that are there change. `null` clears what may be empty and is refused elsewhere."""

    # Factories: a field that may be absent has no default that a client should send.
    name: Name = Field(default_factory=str)
    url: Url = Field(default_factory=str)
    description: Description | None = None
    environment: Environment | None = None
    headers: Headers | None = None
    auth: Auth | None = None
    timeout_seconds: TimeoutSeconds = Field(default_factory=int)
    max_attempts: MaxAttempts = Field(default_factory=int)
    retry_strategy: RetryStrategy = Field(default_factory=lambda: ExponentialRetries(kind="exponential"))
    ip_allowlist: IpAllowlist | None = None
    rate_limit: RateLimit | None = None
    ordering: Ordering = Field(default_factory=lambda: "none")


class Webhook(BaseModel):
    id: str
    application_id: Annotated[str | None, Field(description="It gets this application's events only")]
    name: str
    url: str
    description: str | None
    environment: Annotated[str | None, Field(description="It gets this environment's events only")]
    status: Status
    status_reason: Annotated[str | None, Field(description="Why it is as it is")]
    status_changed_at: datetime
    headers: Annotated[dict[str, str], Field(description="Values that look like credentials are not shown")]
    auth: AuthShown
    timeout_seconds: int
    max_attempts: int
    retry_strategy: RetryStrategy
    ip_allowlist: list[str] | None
    rate_limit: RateLimit | None
    ordering: Ordering
    signing_algorithm: SigningAlgorithm
    failure_count: Annotated[int, Field(description="Failed attempts in a row")]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None
    subscriptions: list[Subscription]
