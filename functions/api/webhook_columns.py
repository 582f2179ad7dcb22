"""A webhook's fields by the columns they are stored in; what authenticates it to its endpoint, encrypted."""

from collections.abc import Mapping
from typing import Any

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import RowMapping

from functions.adapters import vault
from functions.domain import credentials, retry
from functions.domain.credentials import Credentials, NothingHiddenError
from functions.domain.headers import HIDDEN, find
from functions.errors import Detail, Invalid

ENCRYPTED = {"headers", "auth"}  # wholly or in part


def plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """The columns of all fields of `given` but the encrypted ones."""
    values = {name: value for name, value in given.items() if name not in {*ENCRYPTED, "rate_limit"}}
    if "rate_limit" in given:
        limit = given["rate_limit"] or {"requests": None, "per_seconds": None}
        values |= {"rate_limit_requests": limit["requests"], "rate_limit_per_seconds": limit["per_seconds"]}
    if "retry_strategy" in given:
        values["retry_strategy"] = retry.brief(given["retry_strategy"])
    return values


def encrypted(
    key: AESGCM, bound_to: bytes, given: Mapping[str, Any], stored: RowMapping | None = None
) -> dict[str, Any]:
    """The columns for what `given` says of headers and auth; what it does not name stays as it is `stored`.

    Raises Invalid: two things for one `authorization`, or a hidden value kept where there is none.
    """
    so_far = Credentials() if _replaces_all(given) else _load(key, bound_to, stored)
    headers = dict(stored["headers"]) if stored else {}
    hidden = so_far.headers
    if "headers" in given:
        headers, hidden = _split(given["headers"] or {}, hidden)
    auth = _auth(given["auth"]) if "auth" in given else so_far.auth
    _check_authorization(given, headers, auth)
    made = Credentials(hidden, auth)
    return {
        "headers": headers,
        "auth_type": auth["type"] if auth else "none",
        "credentials": vault.encrypt(key, bound_to, credentials.dump(made)) if made else None,
    }


def _replaces_all(given: Mapping[str, Any]) -> bool:
    """Whether nothing of what is stored stays; then it need not even be readable."""
    return given.keys() >= ENCRYPTED and HIDDEN not in (given["headers"] or {}).values()


def _load(key: AESGCM, bound_to: bytes, stored: RowMapping | None) -> Credentials:
    if stored is None or stored["credentials"] is None:
        return Credentials()
    return credentials.load(vault.decrypt(key, bound_to, bytes(stored["credentials"])))


def _split(wanted: dict[str, str], kept: dict[str, str]) -> tuple[dict[str, str | None], dict[str, str]]:
    try:
        return credentials.split(wanted, kept)
    except NothingHiddenError as error:
        raise _invalid(f"headers.{error.name}", str(error)) from None


def _auth(given: dict[str, str] | None) -> dict[str, str] | None:
    return None if given is None or given["type"] == "none" else given


def _check_authorization(given: Mapping[str, Any], headers: Mapping[str, Any], auth: object) -> None:
    name = find(headers, "authorization")
    if auth is not None and name is not None:
        path = f"headers.{name}" if "headers" in given else "auth"
        raise _invalid(path, "a webhook has either auth or an authorization header of its own, not both")


def _invalid(path: str, message: str) -> Invalid:
    return Invalid("the request is not valid; `details` say where", details=(Detail(path, message),))
