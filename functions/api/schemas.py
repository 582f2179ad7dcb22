"""What the API takes and gives, field by field: the validation and the OpenAPI document come from here."""

from datetime import UTC, datetime
from typing import Annotated, Any, Generic, Literal, TypeVar

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
)

from functions.domain import egress, event_types, signing
from functions.domain.api_keys import Scope

EVENTS_PER_BATCH = 500
SUBSCRIPTIONS_PER_WEBHOOK = 100


def _event_type(value: str) -> str:
    if not event_types.is_name(value):
        raise ValueError("must be dot-separated parts of letters, digits, _ and -, at most 255 characters")
    if value.startswith(event_types.RESERVED):
        raise ValueError(f"must not begin with {event_types.RESERVED}, which is Hookline's own")
    return value


def _pattern(value: str) -> str:
    if not event_types.is_pattern(value):
        raise ValueError("must be an event type, a prefix such as `invoice.*`, or `*`")
    return value


def _url(value: str) -> str:
    egress.check_url(value)
    return value


def _secret(value: str) -> str:
    signing.secret_bytes(value)
    return value


def _distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not name the same twice")
    return values


def _text(value: object) -> object:
    if not isinstance(value, str):
        raise ValueError("must be a text such as 2026-01-31T12:00:00Z")  # noqa: TRY004 - pydantic's way
    return value


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry its UTC offset, such as 2026-01-31T12:00:00Z")
    if not 1900 < value.year < 9999:
        raise ValueError("must be in the years 1901 to 9998")
    return value.astimezone(UTC)


def _future(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return value


Name = Annotated[StrictStr, Field(min_length=1, max_length=255)]
Description = Annotated[StrictStr, Field(max_length=4096)]
EventType = Annotated[StrictStr, AfterValidator(_event_type), Field(examples=["invoice.paid"], max_length=255)]
Pattern = Annotated[StrictStr, AfterValidator(_pattern), Field(examples=["invoice.*"], max_length=255)]
Url = Annotated[StrictStr, AfterValidator(_url), Field(examples=["https://example.com/hooks"], max_length=2048)]
Secret = Annotated[StrictStr, AfterValidator(_secret), Field(examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"])]
Time = Annotated[datetime, BeforeValidator(_text), AfterValidator(_aware)]
TimeoutSeconds = Annotated[StrictInt, Field(ge=1, le=30)]
MaxAttempts = Annotated[StrictInt, Field(ge=1, le=20)]


class Input(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid")


class ProjectIn(Input):
    name: Name


class ApiKeyIn(Input):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(_distinct)]
    expires_at: Annotated[Time, AfterValidator(_future)] | None = None


class WebhookIn(Input):
    name: Name
    url: Url
    event_types: Annotated[
        list[Pattern], Field(min_length=1, max_length=SUBSCRIPTIONS_PER_WEBHOOK), AfterValidator(_distinct)
    ] = ["*"]
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


class SubscriptionIn(Input):
    event_type: Pattern
    enabled: StrictBool = True


class EventIn(Input):
    type: EventType
    data: Annotated[Any, Field(description="Any JSON value of at most 256 KiB; delivered as the request body")]
    id: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    occurred_at: Time | None = None


class EventBatchIn(Input):
    events: Annotated[list[EventIn], Field(min_length=1, max_length=EVENTS_PER_BATCH)]


class Project(BaseModel):
    id: str
    name: str
    created_at: datetime
    updated_at: datetime


class ApiKey(BaseModel):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class NewApiKey(ApiKey):
    key: Annotated[str | None, Field(description="Shown this once; null when an idempotent request is repeated")]


class Subscription(BaseModel):
    id: str
    event_type: str
    enabled: bool
    created_at: datetime


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


class AcceptedEvent(BaseModel):
    id: str
    external_id: Annotated[str | None, Field(description="The caller's own id, where it is not the key itself")]
    type: str
    webhooks_matched: int
    created_at: datetime


class AcceptedEvents(BaseModel):
    data: list[AcceptedEvent]


class Event(AcceptedEvent):
    data: Any
    occurred_at: datetime | None
    correlation_id: str


class Error(BaseModel):
    code: str
    message: str


class Delivery(BaseModel):
    id: str
    event_id: str
    event_type: str
    webhook_id: str
    status: Literal["pending", "delivering", "delivered", "failed"]
    attempts: int
    max_attempts: int
    scheduled_at: datetime | None
    last_attempt_at: datetime | None
    last_response_status: int | None
    last_error: Error | None
    delivered_at: datetime | None
    created_at: datetime


class Attempt(BaseModel):
    id: str
    attempt_number: int
    request_url: str
    request_headers: dict[str, str]
    request_sent_at: datetime
    response_status: int | None
    response_headers: dict[str, str] | None
    response_body: str | None
    response_time_ms: int | None
    remote_address: str | None
    error: Error | None


Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    data: list[Item]
    next_cursor: str | None


class Health(BaseModel):
    status: Literal["healthy", "unhealthy"]


class ErrorDetail(BaseModel):
    path: str
    message: str


class ErrorBody(BaseModel):
    code: str
    message: str
    details: list[ErrorDetail]
    request_id: str


class Problem(BaseModel):
    """The one shape of every error."""

    error: ErrorBody
