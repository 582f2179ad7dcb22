"""Projects and API keys."""

from datetime import UTC, datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictInt, model_validator

from functions.api.schemas.base import ApplicationId, Input, Name, Time, distinct
from functions.domain.api_keys import Scope
from functions.settings import settings


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


def _of_events(days: int) -> int:
    return _no_longer(days, settings().retention.events_days)


def _of_deliveries(days: int) -> int:
    return _no_longer(days, settings().retention.deliveries_days)


def _no_longer(days: int, most: int) -> int:
    if days > most:
        raise ValueError(f"must be at most {most}: nothing is kept for longer")
    return days


Days = Annotated[StrictInt, Field(ge=1, examples=[7])]


class Retention(Input):
    """How many days finished rows are kept, where that is less than for all other projects; one at least."""

    model_config = ConfigDict(json_schema_extra={"minProperties": 1})

    # Factories: a field that may be absent has no default that a client should send.
    events: Annotated[Days, AfterValidator(_of_events)] = Field(
        default_factory=int, description="With their payloads"
    )
    deliveries: Annotated[Days, AfterValidator(_of_deliveries)] = Field(
        default_factory=int, description="With their attempts and dead letters"
    )

    @model_validator(mode="after")
    def _names_one(self) -> "Retention":
        if not self.model_fields_set:
            raise ValueError("must name `events`, `deliveries` or both")
        return self


class ProjectIn(Input):
    name: Name


class ProjectPatch(Input):
    """Only the fields that are there change."""

    # Factories: a field that may be absent has no default that a client should send.
    name: Name = Field(default_factory=str)
    validation: Validation = Field(default_factory=lambda: "off")
    retention: Retention | None = None


class ApiKeyIn(Input):
    name: Name
    scopes: Annotated[list[Scope], Field(min_length=1), AfterValidator(distinct)]
    application_id: ApplicationId | None = None
    expires_at: Annotated[Time, AfterValidator(_future)] | None = None


class RetentionShown(BaseModel):
    events: Annotated[int | None, Field(description="Days; null: as long as those of all other projects")]
    deliveries: Annotated[int | None, Field(description="The same, of deliveries, attempts and dead letters")]


class Project(BaseModel):
    id: str
    name: str
    validation: Validation
    retention: Annotated[
        RetentionShown | None,
        Field(description="How long its finished rows are kept, where that is less than for all other projects"),
    ]
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
