"""Sources: who may post to `/in/{id}`, how that is known, and what becomes of it."""

from datetime import datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    model_validator,
)

from functions.api.schemas.base import ApplicationId, Description, Environment, EventType, Input, Name
from functions.api.schemas.endpoints import IpAllowlist
from functions.api.schemas.problems import problems
from functions.api.schemas.rescrapes import Credentials, RescrapePolicy
from functions.api.schemas.verification import HmacVerification, Verification, by_shape
from functions.domain.event_types import is_pattern
from functions.domain.senders import registry
from functions.domain.senders.base import Kind

MAX_EVENT_TYPES = 100
MAX_WORD_LENGTH = 255
# A function is invoked with 6 MB at most, in which a body has its quotes escaped, or is base64: what does not fit
# is refused by the gateway, with 413 as well.
MAX_BODY_BYTES = 5 << 20
USUAL_BODY_BYTES = 256 << 10  # as much as an event's data may have
SHORTENED = {"changedetection", "firecrawl"}  # whose events leave out what is too long
MAX_OVERLAP_SECONDS = 7 * 86_400
OF_KIND = ("verification", "rescrape", "credentials")
SIGNS_AS_CONFIGURED = {"generic_hmac": "header", "token": "in"}  # a field of each one's verification
VERIFIED = {"generic_hmac": "`header`, `algorithm`, `encoding` …", "token": "`in`, and `name` or `username`"}

Secret = Annotated[
    StrictStr,
    Field(
        min_length=8,
        max_length=1024,
        pattern=r"^[!-~]([ -~]*[!-~])?$",
        description="What the sender signs with, or the token that it shows, as it is written there",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    ),
]
SourceKind = Annotated[
    Kind, Field(description="How the sender signs and what it sends; docs/sources.md", examples=["github"])
]


def _words(value: dict[str, str]) -> dict[str, str]:
    found = [
        ((word,), "must be a word of the sender's, or a prefix such as `issues.*`")
        for word in value
        if not word.isprintable()
        or not 1 <= len(word) <= MAX_WORD_LENGTH
        or ("*" in word and not is_pattern(word))
    ]
    if found:
        raise problems(found)
    return value


EventTypes = Annotated[
    dict[StrictStr, EventType],
    AfterValidator(_words),
    Field(
        max_length=MAX_EVENT_TYPES,
        description="What the sender calls it, and the type of the event that it becomes. `issues.*` stands for"
        " all that begin so, `*` for all that is not named; without either an event is called as the sender does",
        examples=[{"issues.opened": "issue.created", "*": "github.other"}],
    ),
]
MaxBodyBytes = Annotated[
    StrictInt, Field(ge=1, le=MAX_BODY_BYTES, description="Larger bodies are refused with 413")
]
ReplayWindow = Annotated[
    StrictInt,
    Field(
        ge=1, le=86_400, description="How far the time that the sender signs may be from ours, where it signs one"
    ),
]
Allowed = Annotated[
    IpAllowlist,
    Field(description="Networks: what comes from another address is refused with 403"),
]


class SourceIn(Input):
    kind: SourceKind
    name: Name
    description: Description | None = None
    application_id: ApplicationId | None = None
    environment: Environment | None = None
    enabled: StrictBool = True
    secret: Annotated[
        Secret | None, Field(description="Made if it is absent, but for `firecrawl`, which shows one beforehand")
    ] = None
    verification: Annotated[Verification, BeforeValidator(by_shape)] | None = None
    event_types: EventTypes = Field(default={})
    ip_allowlist: Allowed | None = None
    max_body_bytes: Annotated[
        MaxBodyBytes | None,
        Field(
            description="Larger bodies are refused with 413. Absent: 256 KiB; for `changedetection` and"
            " `firecrawl`, whose events leave out what is too long, 5 MiB"
        ),
    ] = None
    replay_window_seconds: ReplayWindow = 300
    rescrape: RescrapePolicy | None = None
    credentials: Credentials | None = None

    @model_validator(mode="after")
    def _fitting(self) -> "SourceIn":
        given = self.model_dump(include=set(OF_KIND), by_alias=True, exclude_none=True)
        found = [*wrong_secret(self.kind, self.secret), *misfits(self.kind, {"verification": None, **given})]
        if found:
            raise problems(((path,), said) for path, said in found)
        return self


class SourcePatch(Input):
    """Only the fields that are there change. `null` clears what may be empty and is refused elsewhere."""

    name: Name = Field(default_factory=str)
    description: Description | None = None
    environment: Environment | None = None
    enabled: StrictBool = Field(default_factory=bool)
    verification: Annotated[Verification, BeforeValidator(by_shape)] = Field(
        default_factory=lambda: HmacVerification(header="x")
    )
    event_types: EventTypes | None = None
    ip_allowlist: Allowed | None = None
    max_body_bytes: MaxBodyBytes = Field(default_factory=int)
    replay_window_seconds: ReplayWindow = Field(default_factory=int)
    rescrape: RescrapePolicy | None = None
    credentials: Credentials | None = None


class RotateSourceSecret(Input):
    """A new secret is made unless it is given."""

    secret: Secret | None = None
    overlap_seconds: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=MAX_OVERLAP_SECONDS,
            description="How long the secret so far is still taken beside the new one. With 0 only the new one is"
            " from now on, whatever was live",
        ),
    ] = 86_400


class Source(BaseModel):
    id: str
    kind: SourceKind
    name: str
    description: str | None
    url: Annotated[str, Field(description="Where the sender is to post to")]
    application_id: Annotated[str | None, Field(description="Its events are this application's")]
    environment: Annotated[str | None, Field(description="Its events are this environment's")]
    enabled: Annotated[bool, Field(description="What is posted to one that is not gets 404")]
    verification: Annotated[dict[str, Any], Field(description="Of `generic_hmac` and `token`; else empty")]
    event_types: dict[str, str]
    ip_allowlist: list[str] | None
    max_body_bytes: int
    replay_window_seconds: int
    rescrape: RescrapePolicy | None
    has_credentials: Annotated[bool, Field(description="Credentials are never shown again")]
    received_at: Annotated[
        datetime | None, Field(description="About when something verified last came, within a minute")
    ]
    created_at: datetime
    updated_at: datetime
    created_by: Annotated[str | None, Field(description="The id of the API key")]
    updated_by: str | None


class SourceSecretShown(BaseModel):
    secret: str


class ExpiringSourceSecret(SourceSecretShown):
    expires_at: datetime


class SourceSecret(SourceSecretShown):
    expiring: Annotated[
        list[ExpiringSourceSecret],
        Field(description="Those that were rotated out and are still taken, the youngest first"),
    ]


def wrong_secret(kind: Kind, secret: str | None) -> list[tuple[str, str]]:
    """(path, sentence), if a source of this kind cannot begin with the secret, or with one that is made."""
    if secret is None:
        needed = f"must be given: {kind} shows it before it sends anything"
        return [("secret", needed)] if kind in registry.GIVEN else []
    try:
        registry.check_secret(kind, secret)
    except ValueError as error:
        return [("secret", str(error))]
    return []


def misfits(kind: Kind, given: dict[str, Any]) -> list[tuple[str, str]]:
    """(path, sentence) for each of these fields that a source of this kind has no use for, or needs otherwise."""
    found = []
    if "verification" in given:
        mark, verification = SIGNS_AS_CONFIGURED.get(kind), given["verification"]
        if mark is None and verification is not None:
            found.append(("verification", f"is not for {kind}, which signs in one way only"))
        elif mark is not None and mark not in (verification or {}):
            found.append(("verification", f"must say how {kind} is verified: {VERIFIED[kind]}"))
    return found + [
        (name, "is for changedetection alone: what changed there is scraped again")
        for name in ("rescrape", "credentials")
        if given.get(name) is not None and kind != "changedetection"
    ]


def usual_body_bytes(kind: Kind) -> int:
    return MAX_BODY_BYTES if kind in SHORTENED else USUAL_BODY_BYTES
