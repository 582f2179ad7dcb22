"""What a webhook authenticates to its endpoint with (D3): one encrypted JSON beside the webhook's row.

It holds the values of custom headers that look like credentials, and those of `auth`: none is ever shown again.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field

from functions.domain.headers import HIDDEN, authorization, find, is_reserved, is_secret

Auth = Mapping[str, str]  # {"type": "bearer", "token"} or {"type": "basic", "username", "password"}


class NothingHiddenError(ValueError):
    """A header is to keep its hidden value and has none."""

    def __init__(self, name: str) -> None:
        super().__init__(f"{HIDDEN} stands for a hidden value, and {name} has none: send the value")
        self.name = name


@dataclass(frozen=True)
class Credentials:
    headers: dict[str, str] = field(default_factory=dict)  # hidden values by name
    auth: Auth | None = None

    def __bool__(self) -> bool:
        return bool(self.headers or self.auth)


def dump(credentials: Credentials) -> bytes:
    return json.dumps({"headers": credentials.headers, "auth": credentials.auth}, separators=(",", ":")).encode()


def load(stored: bytes) -> Credentials:
    """Raises ValueError for what `dump` does not write."""
    try:
        parsed = json.loads(stored)
    except ValueError:
        parsed = None
    match parsed:
        case {"headers": dict() as headers, "auth": None | dict() as auth}:
            return Credentials(headers, auth)
    raise ValueError("these are no credentials")


def split(wanted: Mapping[str, str], kept: Mapping[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    """Custom headers as they are stored: all of them, the hidden ones without a value; and the hidden values.

    `kept` are the hidden values so far: a header that is sent as HIDDEN keeps its own. Raises NothingHiddenError.
    """
    hidden = {name: _value(name, value, kept) for name, value in wanted.items() if _hides(name, value)}
    return {name: None if name in hidden else value for name, value in wanted.items()}, hidden


def sent(headers: Mapping[str, str | None], credentials: Credentials) -> dict[str, str]:
    """The headers of a request that are the webhook's own: custom ones, then `authorization`.

    None of them can stand for one that Hookline sets itself. Raises KeyError when a hidden value is missing.
    """
    whole = {name: credentials.headers[name] if value is None else value for name, value in headers.items()}
    own = {name: value for name, value in whole.items() if not is_reserved(name)}
    return own if credentials.auth is None else own | {"authorization": authorization(credentials.auth)}


def _hides(name: str, value: str) -> bool:
    return value == HIDDEN or is_secret(name, value)


def _value(name: str, value: str, kept: Mapping[str, str]) -> str:
    if value != HIDDEN:
        return value
    known = find(kept, name)
    if known is None:
        raise NothingHiddenError(name)
    return kept[known]
