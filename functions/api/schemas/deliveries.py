"""Deliveries and attempts."""

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from functions.api.schemas.base import Error


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
