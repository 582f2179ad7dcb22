"""Signing secrets of webhooks."""

from datetime import datetime
from typing import Annotated

from pydantic import AfterValidator, BaseModel, Field, StrictInt, StrictStr, model_validator

from functions.api.schemas.base import Input
from functions.api.schemas.problems import problems
from functions.domain import signing
from functions.domain.signing import Algorithm

MAX_OVERLAP_SECONDS = 7 * 86_400


def _secret(value: str) -> str:
    signing.parse(value)
    return value


Secret = Annotated[
    StrictStr,
    AfterValidator(_secret),
    Field(
        description="`whsec_` and the base64 of 24 to 64 bytes; or `whsk_` and that of an ed25519 seed, alone or"
        " followed by its public key",
        examples=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
        max_length=100,
        json_schema_extra={"pattern": "^wh(sec|sk)_[A-Za-z0-9+/]{32,86}={0,2}$"},
    ),
]
SigningAlgorithm = Annotated[
    Algorithm,
    Field(description="`hmac`: both sides hold the secret; `ed25519`: the endpoint holds a public key"),
]


def check_algorithm(secret: str | None, algorithm: Algorithm | None, path: str) -> None:
    """Raises ValidationError at `path` when the secret is of another algorithm than the one that is asked for."""
    if secret is not None and algorithm not in {None, signing.parse(secret)[0]}:
        raise problems([((path,), "is not the algorithm of the secret that is given")])


class RotateSecret(Input):
    """Both may be left out: a new secret of the present algorithm is made."""

    secret: Secret | None = None
    algorithm: SigningAlgorithm | None = None
    overlap_seconds: Annotated[
        StrictInt,
        Field(
            ge=0,
            le=MAX_OVERLAP_SECONDS,
            description="How long the secret so far goes on signing beside the new one. With 0 only the new one"
            " signs from now on, whatever was live",
        ),
    ] = 86_400

    @model_validator(mode="after")
    def _fitting(self) -> "RotateSecret":
        check_algorithm(self.secret, self.algorithm, "algorithm")
        return self


class SigningSecret(BaseModel):
    algorithm: SigningAlgorithm
    secret: Annotated[str | None, Field(description="`whsec_…`; null for ed25519, whose private key is not shown")]
    public_key: Annotated[str | None, Field(description="`whpk_…`, what ed25519 signatures are verified with")]


class ExpiringSecret(SigningSecret):
    expires_at: datetime


class WebhookSecret(SigningSecret):
    expiring: Annotated[
        list[ExpiringSecret], Field(description="Those that were rotated out and still sign, the youngest first")
    ]
