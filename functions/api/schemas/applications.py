"""Applications: the project's own customers."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictStr

from functions.api.schemas.base import Input, Name
from functions.domain import ids


def _uid(value: str) -> str:
    if not ids.is_uid(value):
        raise ValueError("must be 1 to 255 letters, digits, `.`, `_` or `-`, and no UUID")
    return value


Uid = Annotated[
    StrictStr,
    AfterValidator(_uid),
    Field(
        max_length=255,
        examples=["acme"],
        json_schema_extra={"pattern": "^[A-Za-z0-9._-]+$"},
        description="The project's own name for it, accepted wherever an `application_id` is. Letters, digits,"
        " `.`, `_` and `-`, unique in the project; nothing of the shape of a UUID, which means the id.",
    ),
]


class ApplicationIn(Input):
    name: Name
    uid: Uid | None = None


class ApplicationPatch(Input):
    """Only the fields that are there change. `null` clears the uid and is refused for the name."""

    # A factory: a field that may be absent has no default that a client should send.
    name: Name = Field(default_factory=str)
    uid: Uid | None = None


class Application(BaseModel):
    id: str
    uid: str | None
    name: str
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None
