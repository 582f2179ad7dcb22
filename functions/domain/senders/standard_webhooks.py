"""Senders that follow Standard Webhooks, Svix's own header names included.

https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md, "Signature scheme":
`v1` is HMAC-SHA256 of `id.timestamp.body` under what a `whsec_` holds, `v1a` ed25519, verified by what a `whpk_`
holds. https://docs.svix.com/receiving/verifying-payloads/how-manual has the headers `svix-…`.
"""

from base64 import b64decode, b64encode
from collections.abc import Sequence

from functions.domain import signing
from functions.domain.senders.base import Message, NothingToRecord, NotVerified, Received, Source
from functions.domain.senders.reading import NO_TYPE, body, field, when
from functions.domain.senders.signatures import check_any, check_fresh, header

FAMILIES = ("webhook", "svix")
PUBLIC_KEY_BYTES = 32


class StandardWebhooks(NothingToRecord):
    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        family = _family(received)
        id, timestamp = header(received, f"{family}-id"), header(received, f"{family}-timestamp")
        given = header(received, f"{family}-signature").split(" ")
        check_fresh(timestamp, received, source.replay_window_seconds)
        signed = f"{id}.{timestamp}.".encode("utf-8", "surrogatepass") + received.body
        texts = [secret.decode() for secret in secrets]
        public = [public_key(text) for text in texts if text.startswith(signing.PUBLIC)]
        found = [_is_signed(signed, one, key) for one in given for key in public]
        if any(found):
            return
        own = [signing.parse(text) for text in texts if not text.startswith(signing.PUBLIC)]
        check_any(given, [signing.signer(algorithm, key)(signed) for algorithm, key in own])

    def read(self, received: Received, source: Source) -> Message:
        read = body(received)
        return Message(
            id=received.headers[f"{_family(received)}-id"],
            type=field(read.value, "type") or NO_TYPE,
            data=read.text,
            occurred_at=when(read.value, "timestamp"),
        )


def public_key(text: str) -> bytes:
    """What a `whpk_…` holds. Raises ValueError."""
    try:
        key = b64decode(text.removeprefix(signing.PUBLIC), validate=True)
    except ValueError:
        raise ValueError(f"must be base64 after {signing.PUBLIC}") from None
    if len(key) != PUBLIC_KEY_BYTES:
        raise ValueError(f"must hold a public key of {PUBLIC_KEY_BYTES} bytes, this one holds {len(key)}")
    return key


def _family(received: Received) -> str:
    """By what the three headers begin with. Raises NotVerified."""
    for family in FAMILIES:
        if f"{family}-signature" in received.headers:
            return family
    raise NotVerified("there is no webhook-signature")


def _is_signed(signed: bytes, given: str, key: bytes) -> bool:
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - 4 ms, only where ed25519 is used
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415

    version, _, text = given.partition(",")
    try:
        signature = b64decode(text, validate=True)
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed)
    except (InvalidSignature, ValueError):
        return False
    return version == "v1a" and b64encode(signature).decode() == text


SENDER = StandardWebhooks()
