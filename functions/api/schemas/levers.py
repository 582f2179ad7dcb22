"""Levers: what is done by hand to a webhook, a delivery, an event or a project."""

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, StrictBool, StrictStr

from functions.api.schemas.base import Input, Time
from functions.api.schemas.webhooks import Webhook
from functions.domain import event_types
from functions.domain.ids import parse_uuid


def _webhook_id(value: str) -> str:
    parsed = parse_uuid(value)
    if parsed is None:
        raise ValueError("must be the id of a webhook")
    return str(parsed)


def _event_type(value: str) -> str:
    if not event_types.is_name(value):
        raise ValueError("must be the name of an event type")
    return value


def _test_type(value: str) -> str:
    if value != event_types.TEST and value.startswith(event_types.RESERVED):
        raise ValueError(f"must not begin with {event_types.RESERVED}, unless it is {event_types.TEST}")
    return _event_type(value)


WebhookId = Annotated[StrictStr, AfterValidator(_webhook_id), Field(max_length=36)]
# Of what is there already: Hookline's own types are among it.
EventTypeName = Annotated[
    StrictStr, AfterValidator(_event_type), Field(examples=["invoice.paid"], max_length=event_types.MAX_LENGTH)
]


class EmptyIn(Input):
    """Nothing is to be said."""


class RetryIn(Input):
    """Which deliveries. At least one of the fields that narrow it is to be named: `webhook_id`, `event_type`,
    `created_after`, `created_before`.
    """

    webhook_id: WebhookId | None = None
    event_type: EventTypeName | None = None
    status: Annotated[
        Literal["failed", "pending"],
        Field(description="`pending` makes those due now that wait for a later attempt"),
    ] = "failed"
    created_after: Annotated[Time, Field(description="90 days before `created_before` unless given")] | None = None
    created_before: Annotated[Time, Field(description="Now unless given")] | None = None
    dry_run: StrictBool = False


class ReplayIn(Input):
    webhook_id: Annotated[WebhookId, Field(description="Only to this one, subscribed or not")] | None = None


class ReplayedDelivery(BaseModel):
    id: str
    webhook_id: str


class Replay(BaseModel):
    event_id: str
    deliveries: list[ReplayedDelivery]


class WindowIn(Input):
    """From when until when, 90 days at most."""

    since: Time
    until: Annotated[Time, Field(description="Now unless given")] | None = None
    dry_run: StrictBool = False


class ExpungeIn(Input):
    before: Annotated[
        Time, Field(description="Only what was created earlier; a time to come counts as now. Must be given")
    ]
    dry_run: StrictBool = False


class TestEventIn(Input):
    type: Annotated[
        StrictStr,
        AfterValidator(_test_type),
        Field(max_length=event_types.MAX_LENGTH, description="What the endpoint is told that it is"),
    ] = event_types.TEST
    data: Annotated[Any, Field(description="Any JSON value of at most 256 KiB; delivered as the request body")] = (
        None
    )


class TestEvent(BaseModel):
    event_id: str
    delivery_id: str


class ReasonIn(Input):
    """Why it is paused or disabled."""

    reason: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None


class ResumedWebhook(Webhook):
    released: Annotated[int, Field(description="Deliveries that had waited and are due now")]
    job_id: Annotated[str | None, Field(description="The job that releases the others, where there are more")]
