"""How a source knows its sender, where that is not fixed by its kind."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StrictStr, model_validator

from functions.api.schemas.base import Input
from functions.api.schemas.problems import problems
from functions.domain import headers
from functions.domain.senders.generic_hmac import BODY_ALONE, PLACE

# What nobody's id or type is read from: it is shown with the event.
PRIVATE = {"authorization", "cookie", "proxy-authorization", "set-cookie"}
MAX_TEMPLATE_LENGTH = 200


def _readable(name: str) -> str:
    if name.lower() in PRIVATE or headers.is_secret(name, ""):
        raise ValueError("must be a header that holds no secret: what it says is shown with the event")
    return name


def _template(value: str) -> str:
    if PLACE.findall(value).count("body") != 1:
        raise ValueError(f"must have {BODY_ALONE} in it, once")
    return value


Header = Annotated[
    StrictStr,
    Field(
        pattern=headers.NAME_PATTERN, min_length=1, max_length=headers.MAX_NAME_LENGTH, examples=["x-signature"]
    ),
]
PlainHeader = Annotated[Header, AfterValidator(_readable)]
FieldName = Annotated[StrictStr, Field(min_length=1, max_length=255, pattern=r"^[^\x00-\x1f\x7f]+$")]
Prefix = Annotated[StrictStr, Field(max_length=64, pattern=r"^[ -~]*$", description="What stands before it")]
IdHeader = Annotated[
    PlainHeader, Field(description="Where the sender's own id of the message is; the same is taken once")
]
TypeHeader = Annotated[PlainHeader, Field(description="Where the sender's word for it is, before `type_field`")]
IdField = Annotated[FieldName, Field(description="The same as a field of the body, where there is no `id_header`")]
TypeField = Annotated[FieldName, Field(description="The field of the body that has it", examples=["event"])]


class _Naming(Input):
    id_header: IdHeader | None = None
    id_field: IdField | None = None
    type_header: TypeHeader | None = None
    type_field: TypeField = "type"

    def _reads(self, header: str | None, *others: str | None) -> bool:
        """Whether the header of the signature or token would also be read for what is shown with the event."""
        named = [one.lower() for one in (self.id_header, self.type_header, *others) if one]
        return header is not None and header.lower() in named


class HmacVerification(_Naming):
    """Of `generic_hmac`: the header has `prefix` and the HMAC of `signed` under the secret."""

    header: Header
    algorithm: Literal["sha1", "sha256", "sha512"] = "sha256"
    encoding: Literal["hex", "base64"] = "hex"
    prefix: Prefix = ""
    timestamp_header: (
        Annotated[
            PlainHeader, Field(description="Where the time is that is signed, in Unix seconds or milliseconds")
        ]
        | None
    ) = None
    signed: Annotated[
        StrictStr,
        AfterValidator(_template),
        Field(
            max_length=MAX_TEMPLATE_LENGTH,
            pattern=r"^[ -~\n]*$",
            description="What is signed: text with `{body}`, and `{timestamp}` and `{id}` as headers have them",
            examples=["v0:{timestamp}:{body}"],
        ),
    ] = BODY_ALONE

    @model_validator(mode="after")
    def _whole(self) -> "HmacVerification":
        found = []
        for name, header in (("timestamp", self.timestamp_header), ("id", self.id_header)):
            if "{" + name + "}" in self.signed and header is None:
                found.append((("signed",), f"has {{{name}}}, and there is no {name}_header"))
        if self.timestamp_header is not None and "{timestamp}" not in self.signed:
            found.append((("timestamp_header",), "is a time that nobody signs: put {timestamp} into `signed`"))
        if self._reads(self.header, self.timestamp_header):
            found.append((("header",), "holds the signature and nothing else"))
        if found:
            raise problems(found)
        return self


class TokenVerification(_Naming):
    """Of `token`: where the secret is shown."""

    in_: Annotated[
        Literal["header", "query", "basic"],
        Field(
            alias="in",
            description="`header`: the header `name` has `prefix` and the token; `query`: the parameter `name` of"
            " the URL; `basic`: it is the password of `username` (RFC 7617)",
        ),
    ]
    name: (
        Annotated[StrictStr, Field(pattern=headers.NAME_PATTERN, max_length=128, examples=["x-gitlab-token"])]
        | None
    ) = None
    prefix: Annotated[Prefix, Field(examples=["Bearer "])] = ""
    username: Annotated[StrictStr, Field(pattern=r"^[^\x00-\x1f\x7f:]*$", max_length=255)] | None = None

    @model_validator(mode="after")
    def _whole(self) -> "TokenVerification":
        found = []
        if (self.name is None) != (self.in_ == "basic"):
            found.append((("name",), "must name the header or parameter, and is not for `basic`"))
        if (self.username is not None) != (self.in_ == "basic"):
            found.append((("username",), "must be given for `basic`, and only there"))
        if self.prefix and self.in_ != "header":
            found.append((("prefix",), "is for a header alone"))
        if self.in_ == "header" and self._reads(self.name):
            found.append((("name",), "holds the token and nothing else"))
        if found:
            raise problems(found)
        return self


Verification = HmacVerification | TokenVerification


def by_shape(value: object) -> object:
    """By the one of the two that is meant, so that what is wrong is found at its own path. Raises ValueError."""
    if not isinstance(value, dict):
        raise ValueError("must be an object")  # noqa: TRY004 - of a validator
    return (TokenVerification if "in" in value else HmacVerification).model_validate(value)
