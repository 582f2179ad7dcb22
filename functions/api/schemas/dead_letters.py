"""Dead letters."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field, StrictBool, StrictStr

from functions.api.schemas.base import Error, Input, Time
from functions.api.schemas.levers import EventTypeName, WebhookId

Notes = Annotated[StrictStr, Field(max_length=4096, description="Why, for whoever looks at it later")]
Status = Literal["pending", "resolved", "discarded"]


class DeadLetter(BaseModel):
    id: str
    delivery_id: str
    event_id: str
    event_type: str | None
    webhook_id: str
    application_id: str | None
    reason: Annotated[
        str,
        Field(
            description="`attempts_exhausted`; `endpoint_gone`: it was answered with 410; `skipped`: it was given"
            " up by hand"
        ),
    ]
    attempts: int
    last_error: Error | None
    last_response_status: int | None
    status: Status
    resolved_at: datetime | None
    resolved_by: Annotated[
        str | None, Field(description="The id of the API key; `queue` when it was redriven from the queue")
    ]
    notes: str | None
    created_at: datetime


class ResolutionIn(Input):
    notes: Notes | None = None


class ResolutionsIn(Input):
    """Which pending dead letters. At least one of the first four is to be named."""

    webhook_id: WebhookId | None = None
    event_type: EventTypeName | None = None
    created_after: Time | None = None
    created_before: Time | None = None
    notes: Notes | None = None
    dry_run: StrictBool = False
