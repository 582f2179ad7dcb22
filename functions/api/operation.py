"""What every route needs of its request, in one place: the caller, the body, the idempotent transaction."""

from collections.abc import Callable
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import caller as callers
from functions.api import rendering
from functions.api.caller import Caller
from functions.api.idempotency import Answer, Guard, once
from functions.api.schemas.base import Problem
from functions.domain.api_keys import Scope
from functions.domain.ids import parse_uuid
from functions.errors import NotFound, PreconditionFailed

Router = APIGatewayHttpRouter
ERRORS = {
    400: "the request is malformed",
    401: "the API key is missing, unknown, expired or revoked",
    403: "the API key lacks the scope",
    404: "there is no such thing in the project",
    409: "it conflicts with what is there",
    413: "the body, or an event's data, is too large",
    412: "it was changed since the version that `If-Match` names",
    415: "the body is not plain JSON",
    422: "something in the request is wrong; `details` say where",
    503: "the database cannot be reached; send the same again, under the same id or Idempotency-Key",
}


def caller(router: Router, scope: Scope) -> Caller:
    """The caller of this request, whose key has the scope. Raises Unauthorized or Forbidden."""
    return callers.require(callers.caller_of(router.current_event.raw_event), scope)


def admin(router: Router) -> Caller:
    """The caller of this request, which used the admin key. Raises Unauthorized or Forbidden."""
    return callers.require_admin(callers.caller_of(router.current_event.raw_event))


def body_of(router: Router) -> str:
    """The request's body as it came."""
    return router.current_event.body or ""


def post(router: Router, who: Caller, produce: Callable[[Connection], Answer]) -> Response[str]:
    """Run `produce` in a transaction, once for an Idempotency-Key, and answer what it answers.

    Every POST goes through here. `produce` also writes the audit log (functions/api/audit.py); what is to happen
    after the commit follows the call, and happens again when the request is repeated.
    """
    event = router.current_event.raw_event
    http = event["requestContext"]["http"]
    guard = Guard.of(who, callers.idempotency_key(event), http["method"], event["rawPath"], body_of(router))
    with transaction() as connection:
        answer = once(connection, guard, lambda: produce(connection))
    response = rendering.answer(answer.status, answer.body)
    if answer.repeated:
        response.headers["idempotency-replayed"] = "true"
    return response


def expected_version(router: Router) -> int | None:
    """The version that the request's `If-Match` asks for; None when any will do."""
    return callers.if_match(router.current_event.raw_event)


def check_version(expected: int | None, current: int) -> None:
    """Raises PreconditionFailed unless `current`, read in the transaction that writes, is what was expected."""
    if expected is not None and expected != current:
        raise PreconditionFailed(callers.CHANGED_MEANWHILE)


def key(id: str, what: str) -> str:
    """The id of a path. One that is no UUID names nothing: raises NotFound."""
    parsed = parse_uuid(id)
    if parsed is None:
        raise missing(what)
    return str(parsed)


def missing(what: str) -> NotFound:
    return NotFound(f"there is no such {what}")


def documented(scope: Scope | str, status: int, model: type | None, *errors: int) -> dict[str, Any]:
    """The OpenAPI side of a route: its success, its errors, its scope."""
    content = {"content": {"application/json": {"model": model}}} if model else {}
    success = {"description": "done", **content}
    problem = {"application/json": {"model": Problem}}
    failures = {code: {"description": ERRORS[code], "content": problem} for code in (*errors, 503)}
    return {"responses": {status: success, **failures}, "security": [{"api_key": [scope]}]}
