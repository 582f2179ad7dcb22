"""The audit log."""

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field


class Actor(BaseModel):
    type: Annotated[
        Literal["api_key", "admin", "hookline"],
        Field(description="`hookline`: it did so by itself, such as disabling a webhook whose endpoint is gone"),
    ]
    id: Annotated[str | None, Field(description="The id of the API key; null for any other actor")]


class Resource(BaseModel):
    type: str
    id: str


class AuditEntry(BaseModel):
    id: str
    event: Annotated[str, Field(examples=["webhook.updated"])]
    level: Annotated[
        Literal["info", "warning"],
        Field(description="`warning`: something was taken away, shown or sent again"),
    ]
    actor: Actor
    resource: Resource
    application_id: Annotated[str | None, Field(description="The application that the resource is bound to")]
    before: Annotated[Any, Field(description="What the API showed of the resource; null when it was made")]
    after: Annotated[Any, Field(description="What the API shows of the resource; null when it was taken away")]
    correlation_id: str
    request_id: str
    source_ip: str | None
    created_at: datetime
