"""Subscriptions: which event types a webhook gets."""

from datetime import datetime

from pydantic import BaseModel, StrictBool

from functions.api.schemas.base import Input, Pattern

SUBSCRIPTIONS_PER_WEBHOOK = 100


class SubscriptionIn(Input):
    event_type: Pattern
    enabled: StrictBool = True


class Subscription(BaseModel):
    id: str
    event_type: str
    enabled: bool
    created_at: datetime
