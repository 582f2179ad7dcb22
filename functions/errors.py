"""Errors that reach a caller. Each carries its status and its sentence; the API maps them to one shape, once."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Detail:
    """One thing that is wrong: where (`data.amount`, `events.3.type`) and what."""

    path: str
    message: str


class ApiError(Exception):
    """Answers the caller `{"error": {"code", "message", "details", "request_id"}}` with `status`."""

    status = 500
    code = "internal_error"

    def __init__(self, message: str, *, details: tuple[Detail, ...] = ()) -> None:
        super().__init__(message)
        self.message = message
        self.details = details


def problem(error: ApiError, request_id: str) -> dict[str, Any]:
    """The one shape of every error that a caller or a sender is told of."""
    details = [{"path": detail.path, "message": detail.message} for detail in error.details]
    shape = {"code": error.code, "message": error.message, "details": details, "request_id": request_id}
    return {"error": shape}


class BadRequest(ApiError):
    status = 400
    code = "bad_request"


class Unauthorized(ApiError):
    status = 401
    code = "unauthorized"


class Forbidden(ApiError):
    status = 403
    code = "forbidden"


class NotFound(ApiError):
    status = 404
    code = "not_found"


class MethodNotAllowed(ApiError):
    """The path is known, but not with this method; the answer's `Allow` says which (RFC 9110, 15.5.6)."""

    status = 405
    code = "method_not_allowed"


class Conflict(ApiError):
    status = 409
    code = "conflict"


class IdempotencyMismatch(Conflict):
    code = "idempotency_key_reused"


class PreconditionFailed(ApiError):
    """`If-Match` names a version that is no longer the current one."""

    status = 412
    code = "precondition_failed"


class PayloadTooLarge(ApiError):
    status = 413
    code = "payload_too_large"


class UnsupportedMediaType(ApiError):
    status = 415
    code = "unsupported_media_type"


class Invalid(ApiError):
    """The request was understood and something in it is wrong; `details` say where."""

    status = 422
    code = "invalid_request"


class Unavailable(ApiError):
    """The database cannot be reached; nothing was stored, the caller may send the same again."""

    status = 503
    code = "unavailable"
