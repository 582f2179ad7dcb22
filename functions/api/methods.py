"""Methods beside those that routes are registered for: HEAD is GET without its body, others are refused."""

from functools import cache
from typing import Any

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response

from functions.api import rendering
from functions.errors import MethodNotAllowed

WITH_BODY = {"POST", "PATCH", "PUT"}  # a body of any other method has no meaning (RFC 9110, 9.3) and is not read


def allowed(app: APIGatewayHttpResolver, path: str) -> frozenset[str]:
    """The methods of the routes that have the path; none when no route has it.

    A path that is written out wins over one with an id in its place, as OpenAPI has it: GET of /v1/events/batch
    does not read the event `batch`.
    """
    written_out = _written_out(app).get(path)
    return written_out or frozenset(route.method for route in app._dynamic_routes if route.rule.match(path))


def route_of(app: APIGatewayHttpResolver, path: str) -> str | None:
    """The route that has the path, as the document writes it: `/v1/events/{event_id}`."""
    if path in _written_out(app):
        return path
    found = next((route.path for route in app._dynamic_routes if route.rule.match(path)), None)
    return found and found.replace("<", "{").replace(">", "}")


def refusal(event: dict[str, Any], known: frozenset[str]) -> Response[str]:
    """405, and to OPTIONS what there is, which is the whole answer (RFC 9110, 9.3.7 and 15.5.6)."""
    http = event["requestContext"]["http"]
    methods = ", ".join(sorted({*known, "OPTIONS", *({"HEAD"} if "GET" in known else ())}))
    if http["method"] == "OPTIONS":
        response = rendering.no_content()
    else:
        error = MethodNotAllowed(f"{http['path']} takes {methods}; see /docs")
        body = rendering.error_body(error, str(event["requestContext"]["requestId"]))
        response = rendering.answer(error.status, body)
    response.headers["allow"] = methods
    return response


def is_refused(app: APIGatewayHttpResolver, event: dict[str, Any]) -> bool:
    """Whether the path is written out and lacks the method: no route with an id in its place is to take it."""
    known = _written_out(app).get(event["rawPath"])
    return known is not None and event["requestContext"]["http"]["method"] not in known


def is_head(event: dict[str, Any]) -> bool:
    return bool(event["requestContext"]["http"]["method"] == "HEAD")


def as_get(event: dict[str, Any]) -> dict[str, Any]:
    """The GET whose headers a HEAD asks for (RFC 9110, 9.3.2)."""
    context = event["requestContext"]
    return {**event, "requestContext": {**context, "http": {**context["http"], "method": "GET"}}}


@cache
def _written_out(app: APIGatewayHttpResolver) -> dict[str, frozenset[str]]:
    found: dict[str, set[str]] = {}
    for route in app._static_routes:
        found.setdefault(route.path, set()).add(route.method)
    return {path: frozenset(methods) for path, methods in found.items()}
