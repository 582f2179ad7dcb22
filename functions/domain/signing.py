"""Standard Webhooks signatures (https://www.standardwebhooks.com, "Signature scheme").

`v1` is HMAC-SHA256 with a key that both sides have, `v1a` ed25519 with a key pair of which the endpoint has the
public half. A webhook signs with every secret it has live; the header lists the signatures side by side.
"""

import hmac
import secrets
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Algorithm = Literal["hmac", "ed25519"]
Signer = Callable[[bytes], str]  # the text that is signed → `v1,…` or `v1a,…`

SECRET, PRIVATE, PUBLIC = "whsec_", "whsk_", "whpk_"
MIN_BYTES, MAX_BYTES = 24, 64  # the specification's bounds of a symmetric key
NEW_BYTES = 32
SEED_BYTES = 32  # RFC 8032, 5.1.5; the libraries exchange a seed with its public key behind it


def new_key(algorithm: Algorithm = "hmac") -> bytes:
    """A new symmetric key, or the seed of a new ed25519 key pair: 32 random bytes either way."""
    return secrets.token_bytes(NEW_BYTES if algorithm == "hmac" else SEED_BYTES)


def parse(secret: str) -> tuple[Algorithm, bytes]:
    """What a `whsec_…` or `whsk_…` text holds. Raises ValueError saying what is wrong with it."""
    if secret.startswith(PRIVATE):
        return "ed25519", _seed(_decoded(secret, PRIVATE))
    if not secret.startswith(SECRET):
        raise ValueError(f"must begin with {SECRET} or {PRIVATE}")
    key = _decoded(secret, SECRET)
    if not MIN_BYTES <= len(key) <= MAX_BYTES:
        raise ValueError(f"must hold {MIN_BYTES} to {MAX_BYTES} bytes, this one holds {len(key)}")
    return "hmac", key


def shown(algorithm: Algorithm, key: bytes) -> str | None:
    """A symmetric key as people and libraries exchange it; None for ed25519, whose private key stays here."""
    return SECRET + b64encode(key).decode() if algorithm == "hmac" else None


def public_key(algorithm: Algorithm, key: bytes) -> str | None:
    """What an endpoint verifies ed25519 signatures with; None for a symmetric key."""
    return None if algorithm == "hmac" else PUBLIC + b64encode(_public(key)).decode()


def signer(algorithm: Algorithm, key: bytes) -> Signer:
    """What signs with this key; to be made once, where many are signed."""
    if algorithm == "hmac":
        return lambda signed: "v1," + b64encode(hmac.digest(key, signed, "sha256")).decode()
    private = _private(key)
    return lambda signed: "v1a," + b64encode(private.sign(signed)).decode()


def signature(signers: Iterable[Signer], message_id: str, timestamp: int, body: bytes) -> str:
    """The value of `webhook-signature` for these very bytes; `timestamp` in Unix seconds."""
    signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
    return " ".join([sign(signed) for sign in signers])


def _decoded(secret: str, prefix: str) -> bytes:
    try:
        return b64decode(secret[len(prefix) :], validate=True)
    except ValueError:
        raise ValueError(f"must be base64 after {prefix}") from None


def _seed(key: bytes) -> bytes:
    """The seed alone, or followed by its public key as the specification's libraries write it."""
    if len(key) not in {SEED_BYTES, 2 * SEED_BYTES}:
        raise ValueError(f"must hold a seed of {SEED_BYTES} bytes, alone or with its public key")
    seed, public = key[:SEED_BYTES], key[SEED_BYTES:]
    if public and public != _public(seed):
        raise ValueError("must hold a seed with its own public key, these two do not belong together")
    return seed


def _public(seed: bytes) -> bytes:
    return _private(seed).public_key().public_bytes_raw()


def _private(seed: bytes) -> "Ed25519PrivateKey":
    from cryptography.hazmat.primitives.asymmetric import ed25519  # noqa: PLC0415 - 4 ms, only where one is used

    return ed25519.Ed25519PrivateKey.from_private_bytes(seed)
