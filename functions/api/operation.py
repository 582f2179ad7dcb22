"""What every route needs of its request, in one place: the caller, the body, the idempotent transaction."""

from collections.abc import Callable, Mapping
from typing import Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.router import APIGatewayHttpRouter
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import caller as callers
from functions.api import rendering
from functions.api.caller import Caller
from functions.api.idempotency import Answer, Guard, once
from functions.api.rendering import JSON
from functions.domain.api_keys import Scope
from functions.domain.ids import parse_uuid
from functions.errors import NotFound, PreconditionFailed

Router = APIGatewayHttpRouter
PROBLEM = {"$ref": "#/components/schemas/Problem"}
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


def anybody(router: Router) -> Caller:
    """The caller of this request, whatever its key may do. Raises Unauthorized."""
    return callers.caller_of(router.current_event.raw_event)


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
    response = rendering.answer(answer.status, answer.body, version=answer.version)
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


def missing(what: str, archived: str = "") -> NotFound:
    """`archived` is what queries/archives.py has to say of it."""
    return NotFound(f"there is no such {what}{archived}")


def documented(
    scope: Scope | str,
    status: int,
    model: type | None,
    *errors: int,
    others: Mapping[int, type | None] | None = None,
    admin: bool = False,
) -> dict[str, Any]:
    """The OpenAPI side of a route: its success, its errors, its scope.

    `admin` says that the admin key may call it, too; the scope "admin" that only it may, "" that any key may.
    `others` are further successes with their models: what a known event id (200) or a dry run answers. What every
    route of a kind may answer (503; 413 to a body) and the headers are added when the document is written
    (functions/api/openapi): 412 among the errors says that the route honours `If-Match`.
    """
    successes = {code: _answered(model) for code, model in {status: model, **(others or {})}.items()}
    # By reference, not by model: a route's first request would wait for the models of all its errors.
    failures = {code: {"description": ERRORS[code], "content": {JSON: {"schema": PROBLEM}}} for code in errors}
    keys = {} if scope == "admin" else {"api_key": [scope] if scope else []}
    security = [{name: scopes} for name, scopes in keys.items()]
    security += [{"admin_key": []}] if admin or scope in {"admin", ""} else []
    return {"responses": {**successes, **failures}, "security": security}


def _answered(model: type | None) -> dict[str, Any]:
    return {"description": "done", "content": {JSON: {"model": model}} if model else {}}
