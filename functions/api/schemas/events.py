"""Events: what is accepted and what is answered."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import BaseModel, Field, StrictStr

from functions.api.schemas.base import EventType, Input, Time

EVENTS_PER_BATCH = 500


class EventIn(Input):
    type: EventType
    data: Annotated[Any, Field(description="Any JSON value of at most 256 KiB; delivered as the request body")]
    id: Annotated[StrictStr, Field(min_length=1, max_length=255)] | None = None
    occurred_at: Time | None = None


class EventBatchIn(Input):
    events: Annotated[list[EventIn], Field(min_length=1, max_length=EVENTS_PER_BATCH)]


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
