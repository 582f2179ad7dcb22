"""Projects and API keys."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from functions.api.schemas.base import ApplicationId, Input, Name, Time, distinct
from functions.domain.api_keys import Scope


def _future(value: datetime) -> datetime:
    if value <= datetime.now(UTC):
        raise ValueError("must be in the future")
    return value


Validation = Annotated[
    Literal["off", "warn", "enforce"],
    Field(
        description="What happens to an event whose data is not as its event type's schema says: `enforce` refuses"
        " it, `warn` takes it and says so"
    ),
]


class ProjectIn(Input):
    name: Name


class ProjectPatch(Input):
    """Only the fields that are there change."""

    # Factories: a field that may be absent has no default that a client should send.
    name: Name = Field(default_factory=str)
    validation: Validation = Field(default_factory=lambda: "off")


class ApiKeyIn(Input):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(distinct)]
    application_id: ApplicationId | None = None
    expires_at: Annotated[Time, AfterValidator(_future)] | None = None


class Project(BaseModel):
    id: str
    name: str
    validation: Validation
    created_at: datetime
    updated_at: datetime


class ApiKey(BaseModel):
    id: str
    name: str
    prefix: str
    scopes: list[str]
    application_id: Annotated[
        str | None, Field(description="The one application whose things it sees and changes")
    ]
    expires_at: datetime | None
    revoked_at: datetime | None
    created_at: datetime


class NewApiKey(ApiKey):
    key: Annotated[str | None, Field(description="Shown this once; null when an idempotent request is repeated")]


class Principal(BaseModel):
    """Whom a key authenticates."""

    admin: bool
    project_id: str | None
    application_id: str | None
    key_id: str | None
    scopes: list[str]
