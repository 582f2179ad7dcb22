"""Projects and API keys."""

from datetime import UTC, datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field

from functions.api.schemas.base import Input, Name, Time, distinct
from functions.domain.api_keys import Scope


def _future(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return value


class ProjectIn(Input):
    name: Name


class ApiKeyIn(Input):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(distinct)]
    expires_at: Annotated[Time, AfterValidator(_future)] | None = None


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
