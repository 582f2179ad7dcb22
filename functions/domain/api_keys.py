"""API keys: shown once, stored as a hash, found by a prefix that is no secret."""

import hmac
import secrets
import string
from dataclasses import dataclass
from hashlib import sha256
from typing import Literal

ALPHABET = string.ascii_letters + string.digits
PREFIX_LENGTH, SECRET_LENGTH = 12, 40  # 71 bits to find the row by, 238 bits to prove it
Scope = Literal[
    "*",
    "events:write",
    "events:read",
    "webhooks:write",
    "webhooks:read",
    "deliveries:write",
    "deliveries:read",
    "sources:write",
    "sources:read",
    "audit:read",
    "metrics:read",
]


@dataclass(frozen=True)
class NewKey:
    key: str
    prefix: str
    hash: bytes


def new_key() -> NewKey:
    """A key `hl_<prefix>_<secret>`. A plain SHA-256 is enough for a secret nobody can guess or choose."""
    prefix = "".join(secrets.choice(ALPHABET) for _ in range(PREFIX_LENGTH))
    key = f"hl_{prefix}_" + "".join(secrets.choice(ALPHABET) for _ in range(SECRET_LENGTH))
    return NewKey(key, prefix, digest(key))


def prefix_of(key: str) -> str | None:
    """The prefix of something that has the shape of a key, else None."""
    parts = key.split("_")
    if len(parts) == 3 and parts[0] == "hl" and len(parts[1]) == PREFIX_LENGTH and key.isascii():
        return parts[1]
    return None


def digest(key: str) -> bytes:
    return sha256(key.encode()).digest()


def matches(key: str, key_hash: bytes) -> bool:
    """In constant time, whatever the key."""
    return hmac.compare_digest(digest(key), key_hash)


def permits(scopes: frozenset[str], wanted: Scope) -> bool:
    return "*" in scopes or wanted in scopes
