"""Webhooks."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictInt, model_validator

from functions.api.queries.webhook_standing import MOST_WAITING
from functions.api.schemas.base import (
    ApplicationId,
    Description,
    Environment,
    Error,
    Input,
    Name,
    Pattern,
    distinct,
)
from functions.api.schemas.endpoints import Auth, AuthShown, Headers, IpAllowlist, NoAuth, RateLimit, Url
from functions.api.schemas.retries import ExponentialRetries, RetryStrategy
from functions.api.schemas.secrets import Secret, SigningAlgorithm, check_algorithm
from functions.api.schemas.subscriptions import SUBSCRIPTIONS_PER_WEBHOOK, Filter, Subscription

TimeoutSeconds = Annotated[StrictInt, Field(ge=1, le=30, description="For the whole request")]
MaxAttempts = Annotated[StrictInt, Field(ge=1, le=20)]
Ordering = Annotated[
    Literal["none", "strict"],
    Field(
        description="`strict`: one at a time, in the order in which the deliveries were made; the next is not sent"
        " before the one ahead of it is delivered, or given up"
    ),
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


class Circuit(BaseModel):
    """Whether the endpoint is sent to. It opens when requests to it fail again and again, whatever the event."""

    state: Annotated[
        Literal["closed", "open", "half_open"],
        Field(description="`open`: nothing is sent; `half_open`: one delivery is sent to see whether it is back"),
    ]
    changed_at: datetime | None
    retry_at: Annotated[
        datetime | None,
        Field(description="When one is sent to see, or how long its answer is waited for; null while closed"),
    ]


class LineHead(BaseModel):
    """The oldest delivery that is neither delivered nor given up."""

    delivery_id: str
    event_id: str
    status: Literal["pending", "delivering"]
    attempts: int
    scheduled_at: datetime | None
    last_error: Error | None


class Line(BaseModel):
    """What a strict webhook has to get, one after another."""

    head: LineHead | None
    waiting: Annotated[
        int,
        Field(le=MOST_WAITING, description=f"How many are behind it: {MOST_WAITING} says that many or more"),
    ]
    since: Annotated[datetime | None, Field(description="When the head was made")]


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
    circuit: Circuit
    held_until: Annotated[
        datetime | None, Field(description="Nothing is sent before: the endpoint asked for it by `Retry-After`")
    ]
    slow_until: Annotated[
        datetime | None,
        Field(description="It answered slowly, or that it has too much to do: until then few at a time are sent"),
    ]
    failing_since: Annotated[datetime | None, Field(description="The first failure since the last success")]
    failure_count: Annotated[int, Field(description="Failed attempts in a row")]
    last_success_at: datetime | None
    last_failure_at: datetime | None
    line: Annotated[
        Line | None, Field(description="Of a strict webhook, and only where that one alone is read; else null")
    ]
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None
    subscriptions: list[Subscription]
