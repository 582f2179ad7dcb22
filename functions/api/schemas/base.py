"""What the schemas of all resources share."""

import re
from datetime import UTC, datetime
from typing import Annotated, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, StrictStr

from functions.domain import event_types
from functions.domain.times import rfc3339


def _event_type(value: str) -> str:
    if not event_types.is_name(value):
        raise ValueError("must be dot-separated parts of letters, digits, _ and -, at most 255 characters")
    if value.startswith(event_types.RESERVED):
        raise ValueError(f"must not begin with {event_types.RESERVED}, which is Hookline's own")
    return value


def _pattern(value: str) -> str:
    if not event_types.is_pattern(value):
        raise ValueError("must be an event type, a prefix such as `invoice.*`, or `*`")
    return value


def distinct(values: list[str]) -> list[str]:
    if len(set(values)) != len(values):
        raise ValueError("must not name the same twice")
    return values


def _aware(value: datetime) -> datetime:
    if value.tzinfo is None:
        raise ValueError("must carry its UTC offset, such as 2026-01-31T12:00:00Z")
    if not 1900 < value.year < 9999:
        raise ValueError("must be in the years 1901 to 9998")
    return value.astimezone(UTC)


def _documented(pattern: re.Pattern[str]) -> dict[str, JsonValue]:
    """For the document alone: the validators say in words what is wrong."""
    return {"pattern": f"^({pattern.pattern})$"}


Name = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"\S", examples=["orders"])]
Description = Annotated[StrictStr, Field(max_length=4096)]
EventType = Annotated[
    StrictStr,
    AfterValidator(_event_type),
    Field(examples=["invoice.paid"], max_length=255, json_schema_extra=_documented(event_types.NAME)),
]
Pattern = Annotated[
    StrictStr,
    AfterValidator(_pattern),
    Field(examples=["invoice.*"], max_length=255, json_schema_extra=_documented(event_types.PATTERN)),
]
Environment = Annotated[
    StrictStr, Field(pattern=r"^[A-Za-z0-9._-]+$", min_length=1, max_length=64, examples=["production"])
]
ApplicationId = Annotated[
    StrictStr,
    Field(min_length=1, max_length=255, description="The application's id or uid", examples=["acme"]),
]
Time = Annotated[datetime, BeforeValidator(rfc3339), AfterValidator(_aware)]


class Input(BaseModel):
    """A request body: unknown fields are refused, so that a misspelt one is not silently without effect."""

    model_config = ConfigDict(extra="forbid")


Item = TypeVar("Item", bound=BaseModel)


class Page(BaseModel, Generic[Item]):
    data: list[Item]
    next_cursor: str | None


class Error(BaseModel):
    code: str
    message: str


class ErrorDetail(BaseModel):
    path: str
    message: str


class ErrorBody(BaseModel):
    code: str
    message: str
    details: list[ErrorDetail]
    request_id: str


class Problem(BaseModel):
    """The one shape of every error."""

    error: ErrorBody
