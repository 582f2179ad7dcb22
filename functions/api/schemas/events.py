"""Events: what is accepted and what is answered."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictStr

from functions.api.schemas.base import ApplicationId, Environment, ErrorDetail, EventType, Input, Time

EVENTS_PER_BATCH = 500

Warnings = Annotated[
    list[ErrorDetail],
    Field(
        description="Where the data does not fit the schema of its event type: only if it does not, in a project"
        " whose `validation` is `warn`"
    ),
]


class EventIn(Input):
    type: EventType
    data: Annotated[Any, Field(description="Any JSON value of at most 256 KiB; delivered as the request body")]
    id: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    application_id: ApplicationId | None = None
    environment: Environment | None = None
    occurred_at: Time | None = None


class EventBatchIn(Input):
    events: Annotated[list[EventIn], Field(min_length=1, max_length=EVENTS_PER_BATCH)]


class StoredEvent(BaseModel):
    id: str
    external_id: Annotated[str | None, Field(description="The caller's own id, where it is not the key itself")]
    type: str
    application_id: str | None
    environment: str | None
    webhooks_matched: Annotated[
        int, Field(description="Webhooks that wanted it when it came, paused ones included")
    ]
    created_at: datetime


class AcceptedEvent(StoredEvent):
    warnings: Warnings = Field(default=[])


class AcceptedEvents(BaseModel):
    data: list[StoredEvent]
    warnings: Warnings = Field(default=[])


class DeliveryCounts(BaseModel):
    pending: Annotated[int, Field(description="Those waiting, and those being sent this moment")]
    delivered: int
    failed: int


class EventSummary(StoredEvent):
    deliveries: Annotated[
        DeliveryCounts,
        Field(description="How its deliveries stand: those that the key can see, replays included"),
    ]
    occurred_at: datetime | None
    expunged_at: Annotated[datetime | None, Field(description="When the payload was erased on request")]


class ReceivedRequest(BaseModel):
    """What is kept of the request that a source took an event from."""

    source_id: str
    message_id: Annotated[str, Field(description="The sender's own id of it, or a digest where it gives none")]
    type: Annotated[str, Field(description="The sender's word for it")]
    headers: Annotated[
        dict[str, str], Field(description="A chosen few of the request's; none that authenticates anybody")
    ]


class Event(EventSummary):
    data: Annotated[Any, Field(description="null too when it was expunged")]
    correlation_id: str
    received: Annotated[
        ReceivedRequest | None, Field(description="Of an event that came through a source; else null")
    ]


class ExpungedEvent(BaseModel):
    id: str
    external_id: str | None
    type: str
    application_id: str | None
    expunged_at: datetime
    created_at: datetime
