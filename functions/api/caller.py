"""Who calls: what the authorizer found out, and what the request says of itself."""

import re
from dataclasses import dataclass, replace
from typing import Any

from functions.adapters.gateway import correlation_id, raw_body, request_id, source_ip
from functions.domain.api_keys import Scope, permits
from functions.domain.payload import MAX_BODY_BYTES
from functions.errors import (
    BadRequest,
    Forbidden,
    PayloadTooLarge,
    PreconditionFailed,
    Unauthorized,
    UnsupportedMediaType,
)

IDEMPOTENCY_KEY = re.compile(r"[!-~]{1,255}")
ETAG = re.compile(r'(W/)?"[!#-~]*"')
MAX_VERSION_DIGITS = 9  # the column is a 32-bit integer
CHANGED_MEANWHILE = "it was changed since you read it; read it again and apply your change to what is there"
ADMIN_OWNER = "00000000-0000-0000-0000-000000000000"  # whose idempotency keys are the admin key's


@dataclass(frozen=True)
class Caller:
    """The key behind a request: a project's with its scopes, or the admin's; and how the request is known.

    A key that is bound to an application sees and changes nothing else (C1); else `application_id` is empty.
    """

    admin: bool
    project_id: str
    application_id: str
    key_id: str
    scopes: frozenset[str]
    correlation_id: str
    request_id: str
    source_ip: str

    @property
    def owner_id(self) -> str:
        """Whose idempotency keys it uses: an application's keys never meet the answers of another's."""
        return self.application_id or self.project_id or ADMIN_OWNER

    def within(self, project_id: str) -> "Caller":
        """The admin key's caller, for queries and the audit log of one project."""
        return replace(self, project_id=project_id)


def caller_of(event: dict[str, Any]) -> Caller:
    """Raises Unauthorized when the authorizer found nobody behind the key, or did not run at all."""
    found = event["requestContext"].get("authorizer", {}).get("lambda") or {}
    caller = Caller(
        admin=found.get("admin") == "true",
        project_id=found.get("project_id", ""),
        application_id=found.get("application_id", ""),
        key_id=found.get("key_id", ""),
        scopes=frozenset(found.get("scopes", "").split()),
        correlation_id=correlation_id(event),
        request_id=request_id(event),
        source_ip=source_ip(event),
    )
    if not caller.admin and not caller.project_id:
        raise Unauthorized("the API key is unknown, expired or revoked: send `Authorization: Bearer <key>`")
    return caller


def require(caller: Caller, scope: Scope) -> Caller:
    """The caller, if its key belongs to a project and has the scope; else raises Forbidden."""
    if caller.admin:
        raise Forbidden("the admin key manages projects and their API keys; use a project's API key here")
    if not permits(caller.scopes, scope):
        raise Forbidden(f"the API key lacks the scope {scope}")
    return caller


def require_unbound(caller: Caller) -> Caller:
    """The caller, unless its key is bound to an application; then raises Forbidden."""
    if caller.application_id:
        raise Forbidden("this concerns the whole project, and the API key is bound to one application")
    return caller


def require_admin(caller: Caller) -> Caller:
    if not caller.admin:
        raise Forbidden("this takes the admin key")
    return caller


def idempotency_key(event: dict[str, Any]) -> str | None:
    """Raises BadRequest when the header is there and cannot be a key."""
    sent: str | None = event["headers"].get("idempotency-key")
    if sent is not None and IDEMPOTENCY_KEY.fullmatch(sent) is None:
        raise BadRequest("Idempotency-Key must be 1 to 255 printable ASCII characters without spaces")
    return sent


def if_match(event: dict[str, Any]) -> int | None:
    """The version that `If-Match` asks for; None when it is absent or `*`.

    Raises BadRequest when it is no ETag at all, PreconditionFailed when it is none of ours.
    """
    sent: str | None = event["headers"].get("if-match")
    if sent is None or sent.strip() == "*":
        return None
    if ETAG.fullmatch(sent.strip()) is None:
        raise BadRequest('If-Match must be one ETag as it was answered, such as "3", or *')
    version = sent.strip().strip('"')
    if not version.isdecimal() or len(version) > MAX_VERSION_DIGITS:
        raise PreconditionFailed(CHANGED_MEANWHILE)
    return int(version)


def body_text(event: dict[str, Any]) -> str:
    """The body as text, checked for what can be checked before it is parsed.

    Raises PayloadTooLarge, UnsupportedMediaType or BadRequest.
    """
    headers, body = event["headers"], event.get("body") or ""
    if len(body) > MAX_BODY_BYTES * 4 // 3 + 4:
        raise _too_large()
    if not body:
        return ""
    if headers.get("content-encoding", "identity") != "identity":
        raise UnsupportedMediaType("the body must not be compressed: send it without content-encoding")
    if headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise UnsupportedMediaType("the body must be JSON: send `content-type: application/json`")
    raw = raw_body(event)
    if len(raw) > MAX_BODY_BYTES:
        raise _too_large()
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadRequest(f"the body is not UTF-8: byte {error.start}") from None


def _too_large() -> PayloadTooLarge:
    return PayloadTooLarge(f"the body is larger than {MAX_BODY_BYTES} bytes")
