"""What a webhook's requests carry and where they may go: custom headers, credentials, networks, limits."""

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, Field, StrictInt, StrictStr, WithJsonSchema

from functions.api.schemas.base import Input
from functions.api.schemas.problems import problems
from functions.api.schemas.retries import by_tag
from functions.domain import allowlist, urls
from functions.domain import headers as rules

HEADERS_SCHEMA = {
    "type": "object",
    "maxProperties": rules.MAX_HEADERS,
    "propertyNames": {"pattern": rules.NAME_PATTERN, "maxLength": rules.MAX_NAME_LENGTH},
    "additionalProperties": {
        "type": "string",
        "pattern": rules.VALUE_PATTERN,
        "maxLength": rules.MAX_VALUE_LENGTH,
    },
    "description": "Sent with every request. Names that Hookline, HTTP or the connection itself needs are refused."
    f" A value that looks like a credential is encrypted, and shown as `{rules.HIDDEN}`; sent in a change, that"
    " keeps it",
    "examples": [{"x-tenant": "acme", "x-api-key": "k-1"}],
}


def _headers(value: dict[str, str]) -> dict[str, str]:
    found = [((name,), said) for name, held in value.items() if (said := _wrong(name, held))]
    if twice := rules.named_twice(value):
        found.append(((twice,), "is there twice: the case of a header's name makes no difference"))
    if found:
        raise problems(found)
    return value


def _wrong(name: str, value: str) -> str | None:
    try:
        rules.check_name(name)
        rules.check_value(value)
    except ValueError as error:
        return str(error)
    return None


def _networks(value: list[str]) -> list[str]:
    """In the order they came, each once."""
    return list(dict.fromkeys(value))


Url = Annotated[
    StrictStr,
    AfterValidator(urls.stored),
    Field(
        examples=["https://example.com/hooks"],
        max_length=2048,
        json_schema_extra={"format": "uri", "pattern": "^[Hh][Tt][Tt][Pp][Ss]?://"},
    ),
]
Headers = Annotated[
    dict[StrictStr, StrictStr],
    Field(max_length=rules.MAX_HEADERS),
    AfterValidator(_headers),
    WithJsonSchema(HEADERS_SCHEMA),
]
IpAllowlist = Annotated[
    list[Annotated[StrictStr, AfterValidator(allowlist.normalised), Field(examples=["198.51.100.0/24"])]],
    Field(
        min_length=1,
        max_length=allowlist.MAX_NETWORKS,
        description="Networks: nothing is sent unless the very address that is connected to is in one of them",
    ),
    AfterValidator(_networks),
]


class RateLimit(Input):
    """A bucket of `requests` tokens that is refilled over `per_seconds`: each request takes one.

    So there are never more than `requests` at once, and in the long run no more than that many in `per_seconds`.
    """

    requests: Annotated[StrictInt, Field(ge=1, le=1_000_000)]
    per_seconds: Annotated[StrictInt, Field(ge=1, le=3_600)]


class NoAuth(Input):
    type: Literal["none"]


class BearerAuth(Input):
    """`authorization: Bearer <token>` (RFC 6750)."""

    type: Literal["bearer"]
    token: Annotated[StrictStr, Field(pattern=r"^[!-~]+$", min_length=1, max_length=4096)]


class BasicAuth(Input):
    """`authorization: Basic …` (RFC 7617), as UTF-8."""

    type: Literal["basic"]
    username: Annotated[StrictStr, Field(pattern=r"^[^\x00-\x1f\x7f:]*$", max_length=255)]
    password: Annotated[StrictStr, Field(pattern=r"^[^\x00-\x1f\x7f]*$", max_length=1024)]


Auth = Annotated[
    NoAuth | BearerAuth | BasicAuth,
    Field(discriminator="type"),
    BeforeValidator(by_tag("type", {"none": NoAuth, "bearer": BearerAuth, "basic": BasicAuth})),
]


class AuthShown(BaseModel):
    """What authenticates is never shown again."""

    type: Literal["none", "bearer", "basic"]
