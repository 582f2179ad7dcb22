"""Entry point of the API function."""

from typing import TYPE_CHECKING, Any

from functions.adapters import measuring, timing
from functions.adapters.gateway import CORRELATION_HEADER, correlation_id, request_id
from functions.api import methods, rendering
from functions.api.app import app
from functions.api.caller import body_text, caller_of
from functions.errors import ApiError
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@timing.reported
@measuring.requests
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """One HTTP request, payload format 2.0."""
    logger.set_correlation_id(correlation_id(event))
    logger.append_keys(request_id=request_id(event))
    if settings().metrics:
        measuring.route(methods.route_of(app, event["rawPath"]) or measuring.UNKNOWN_ROUTE)
    if methods.is_head(event):
        answered = {**_admitted(methods.as_get(event), context), "body": "", "isBase64Encoded": False}
    else:
        answered = _admitted(event, context)
    answered.setdefault("headers", {})[CORRELATION_HEADER] = correlation_id(event)
    return answered


def _admitted(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Who calls and whether the body can be read is settled first: a stranger learns nothing of the rest."""
    try:
        if event["rawPath"].startswith("/v1/"):
            caller_of(event)
        read = event["requestContext"]["http"]["method"] in methods.WITH_BODY
        event = {**event, "body": body_text(event) if read else "", "isBase64Encoded": False}
    except ApiError as error:
        body = rendering.error_body(error, request_id(event))
        return {"statusCode": error.status, "headers": {"Content-Type": rendering.JSON}, "body": body}
    if methods.is_refused(app, event):
        return rendering.result(methods.refusal(event, methods.allowed(app, event["rawPath"])))
    return app.resolve(event, context)
