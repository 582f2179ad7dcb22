"""Standard Webhooks signatures (https://www.standardwebhooks.com, "Signature scheme"): `v1`, HMAC-SHA256."""

import binascii
import hmac
import secrets
from base64 import b64decode, b64encode

PREFIX = "whsec_"
MIN_BYTES, MAX_BYTES = 24, 64  # the specification's bounds of a symmetric key
NEW_BYTES = 32


def new_key() -> bytes:
    """A new symmetric key: 32 random bytes."""
    return secrets.token_bytes(NEW_BYTES)


def shown(key: bytes) -> str:
    """A key as people and libraries exchange it: `whsec_` and its base64."""
    return PREFIX + b64encode(key).decode()


def secret_bytes(secret: str) -> bytes:
    """The key behind a `whsec_…` text. Raises ValueError saying what is wrong with it."""
    if not secret.startswith(PREFIX):
        raise ValueError(f"must begin with {PREFIX}")
    try:
        key = b64decode(secret[len(PREFIX) :], validate=True)
    except binascii.Error:
        raise ValueError(f"must be base64 after {PREFIX}") from None
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"must hold {MIN_BYTES} to {MAX_BYTES} bytes, this one holds {len(key)}")
    return key


def signature(key: bytes, message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for these very bytes; `timestamp` in Unix seconds."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()
