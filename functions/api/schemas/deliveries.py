"""Deliveries and attempts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, Field

from functions.api.schemas.base import Error

WaitingFor = Literal[
    "retry", "webhook_resumed", "webhook_circuit", "webhook_held", "webhook_slow", "line", "rate_limit"
]


class Delivery(BaseModel):
    id: str
    event_id: str
    event_type: str
    webhook_id: str
    application_id: str | None
    status: Literal["pending", "delivering", "delivered", "failed"]
    attempts: int
    max_attempts: int
    scheduled_at: datetime | None
    waiting_for: Annotated[
        WaitingFor | None,
        Field(
            description="What keeps one that is pending. `retry`: the time of its next attempt; `webhook_resumed`:"
            " its webhook is paused or disabled; `webhook_circuit`: the webhook's circuit is not closed;"
            " `webhook_held`: the endpoint sent `Retry-After`; `webhook_slow`: the endpoint is slow, and gets a"
            " few at a time; `line`: one ahead of it, of a strict webhook; `rate_limit`: room in the webhook's."
            " Null where it only waits for its turn"
        ),
    ]
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
    expunged_at: datetime | None
