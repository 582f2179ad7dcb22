"""Entry point of the receive function: one request of an inbound sender, payload format 2.0."""

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from functions.adapters import gateway, measuring, timing
from functions.adapters.database import is_transient, sqlstate
from functions.adapters.gateway import CORRELATION_HEADER
from functions.adapters.vault import KmsUnavailableError
from functions.domain.senders.base import Received
from functions.errors import ApiError, Invalid, MethodNotAllowed, Unavailable, problem
from functions.receive.acceptance import Post, accept
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ROUTE = "/in/{source_id}"
SEND_AGAIN = "it cannot be stored at the moment; send the same again"
RETRY_AFTER_SECONDS = "5"
JSON = {"content-type": "application/json"}

Result = dict[str, Any]


@logger.inject_lambda_context(clear_state=True)
@timing.reported
@measuring.requests
def handler(event: dict[str, Any], _context: "LambdaContext") -> Result:
    """202 for what is new and 200 for what was known, both with the event's id; errors in the API's shape."""
    correlation_id, request_id = gateway.correlation_id(event), gateway.request_id(event)
    logger.set_correlation_id(correlation_id)
    logger.append_keys(request_id=request_id)
    measuring.route(ROUTE)
    result = _answered(event, correlation_id, request_id)
    result["headers"][CORRELATION_HEADER] = correlation_id
    return result


def _answered(event: dict[str, Any], correlation_id: str, request_id: str) -> Result:
    method = event["requestContext"]["http"]["method"]
    if method != "POST":
        return _refused_method(method, request_id)
    try:
        published = accept(_post(event, correlation_id))
    except ApiError as error:
        return _problem(error, request_id)
    except DBAPIError as error:
        return _problem(_of_database(error), request_id)
    except KmsUnavailableError as error:
        logger.warning("kms unavailable", error=str(error))
        return _problem(Unavailable(SEND_AGAIN), request_id)
    except Exception as error:  # noqa: BLE001 - the sender gets an answer, and the log what happened
        return _problem(_our_fault(error), request_id)
    logger.info("received", event_id=published.event_id, known=not published.new)
    body = json.dumps({"id": published.event_id})
    return {"statusCode": 202 if published.new else 200, "headers": {**JSON}, "body": body}


def _post(event: dict[str, Any], correlation_id: str) -> Post:
    received = Received(
        headers=event["headers"],  # their names come in lower case
        body=gateway.raw_body(event),
        at=datetime.now(UTC),
        query=event.get("queryStringParameters") or {},
    )
    source_id = event["pathParameters"]["source_id"]
    return Post(source_id, received, gateway.source_ip(event), correlation_id)


def _refused_method(method: str, request_id: str) -> Result:
    """405, and to OPTIONS what there is (RFC 9110, 9.3.7 and 15.5.6). A HEAD has no body."""
    allow = {"allow": "OPTIONS, POST"}
    if method == "OPTIONS":
        return {"statusCode": 204, "headers": allow, "body": ""}
    answer = _problem(MethodNotAllowed("a source takes POST"), request_id)
    body = "" if method == "HEAD" else answer["body"]
    return {**answer, "headers": {**answer["headers"], **allow}, "body": body}


def _of_database(error: DBAPIError) -> ApiError:
    """A database that is away is 503; data that only Postgres found fault with is 422; the rest is ours."""
    if is_transient(error):
        logger.warning("database unavailable", error=str(error.orig))
        return Unavailable(SEND_AGAIN)
    if sqlstate(error).startswith("22"):
        logger.warning("data refused by the database", error=str(error.orig))
        return Invalid("the database cannot store something in the body")
    return _our_fault(error)


def _our_fault(error: Exception) -> ApiError:
    """What happened goes to the log under the request's id; the sender gets only that id."""
    logger.exception("request failed", error=str(error))
    return ApiError("something went wrong on our side; it is logged under the request_id")


def _problem(error: ApiError, request_id: str) -> Result:
    again = {"retry-after": RETRY_AFTER_SECONDS} if error.status == Unavailable.status else {}
    return {
        "statusCode": error.status,
        "headers": {**JSON, **again},
        "body": json.dumps(problem(error, request_id), ensure_ascii=False),
    }
