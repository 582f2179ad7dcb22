"""Event types: names with a description, a JSON Schema and examples."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, Field, StrictBool

from functions.api.schemas.base import Description, Input
from functions.api.schemas.base import EventType as EventTypeName
from functions.domain import payload

EXAMPLES_PER_TYPE = 20
MAX_EXAMPLES_BYTES = 64 << 10  # together


def _schema(value: Any) -> Any:
    if value is not None and not isinstance(value, dict | bool):
        raise ValueError("must be a JSON Schema: an object, true or false")
    return value


def _examples(value: list[Any]) -> list[Any]:
    size = payload.size(value)
    if size > MAX_EXAMPLES_BYTES:
        raise ValueError(f"are {size} bytes together, more than {MAX_EXAMPLES_BYTES}")
    return value


# `Any` with its shape beside it: of a union, pydantic would name its branches in the paths of what is wrong.
JsonSchema = Annotated[
    Any,
    AfterValidator(_schema),
    Field(
        description="A JSON Schema of draft 2020-12, at most 64 KiB. `$ref` names what is in it: nothing is"
        " fetched. `format` is not checked, and regular expressions have no look-around or back-references",
        json_schema_extra={"anyOf": [{"type": "object"}, {"type": "boolean"}, {"type": "null"}]},
        examples=[{"type": "object", "required": ["amount"], "properties": {"amount": {"type": "number"}}}],
    ),
]
Examples = Annotated[
    list[Any],
    AfterValidator(_examples),
    Field(
        max_length=EXAMPLES_PER_TYPE,
        description="Data of such events; each fits the schema",
        examples=[[{"amount": 129.90}]],
    ),
]


class EventTypeIn(Input):
    name: EventTypeName
    description: Description | None = None
    schema_: Annotated[JsonSchema, Field(alias="schema")] = None
    examples: Examples = Field(default=[])


class EventTypePatch(Input):
    """Only the fields that are there change. `null` clears description and schema; elsewhere it is refused."""

    # Factories: a field that may be absent has no default that a client should send.
    description: Description | None = None
    schema_: Annotated[JsonSchema, Field(alias="schema")] = None
    examples: Examples = Field(default_factory=list)
    archived: StrictBool = Field(default_factory=bool)


class EventTypeSummary(BaseModel):
    id: str
    name: str
    description: str | None
    schema_version: Annotated[int, Field(description="The latest of its versions; 0 while there is none")]
    has_schema: bool
    archived: bool
    archived_at: datetime | None
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None


class EventType(EventTypeSummary):
    schema_: Annotated[JsonSchema, Field(alias="schema")]
    examples: Examples


class EventTypeVersion(BaseModel):
    version: int
    schema_: Annotated[JsonSchema, Field(alias="schema")]
    examples: Examples
    created_at: datetime
    created_by: str | None
