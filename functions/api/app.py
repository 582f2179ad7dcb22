"""The resolver: routes are registered on it, errors leave it in one shape."""

from aws_lambda_powertools.event_handler import APIGatewayHttpResolver, Response
from aws_lambda_powertools.event_handler.exceptions import NotFoundError
from aws_lambda_powertools.event_handler.openapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import is_transient, sqlstate
from functions.adapters.gateway import request_id
from functions.adapters.vault import KmsUnavailableError
from functions.api import methods, rendering
from functions.api.document import describe
from functions.api.routes import (
    api_keys,
    applications,
    audit_log,
    change_events,
    crawl_sessions,
    dead_letters,
    deliveries,
    documents,
    erasure,
    event_types,
    events,
    jobs,
    levers,
    meta,
    metrics,
    operations,
    projects,
    replays,
    rescrapes,
    secrets,
    skips,
    source_secrets,
    sources,
    statistics,
    subscription_tests,
    subscriptions,
    webhooks,
)
from functions.domain import payload
from functions.errors import ApiError, Detail, Invalid, NotFound, Unavailable
from functions.telemetry import logger

SEND_AGAIN = "the database cannot be reached; send the same again, under the same id or Idempotency-Key"

app = APIGatewayHttpResolver(enable_validation=True, json_body_deserializer=payload.parse)
ROUTES = (
    *(
        projects,
        api_keys,
        applications,
        event_types,
        webhooks,
        secrets,
        subscriptions,
        subscription_tests,
        levers,
        events,
        deliveries,
        replays,
        skips,
        dead_letters,
        sources,
        source_secrets,
        rescrapes,
        documents,
        statistics,
    ),
    *(change_events, crawl_sessions, jobs, erasure, audit_log, metrics, operations, meta),
)
for module in ROUTES:
    app.include_router(module.router)
describe(app)


def _answer(error: ApiError) -> Response[str]:
    event = app.current_event.raw_event
    return rendering.answer(error.status, rendering.error_body(error, request_id(event)))


@app.exception_handler(ApiError)
def on_api_error(error: ApiError) -> Response[str]:
    return _answer(error)


@app.exception_handler(NotFoundError)
def on_unknown_route(_error: NotFoundError) -> Response[str]:
    event = app.current_event.raw_event
    if known := methods.allowed(app, app.current_event.path):
        return methods.refusal(event, known)
    http = event["requestContext"]["http"]
    return _answer(NotFound(f"there is no operation {http['method']} {http['path']}; see /docs"))


@app.exception_handler(RequestValidationError)
def on_invalid_request(error: RequestValidationError) -> Response[str]:
    details = tuple(Detail(_path(one["loc"]), _sentence(one)) for one in error.errors())
    return _answer(Invalid("the request is not valid; `details` say where", details=details))


@app.exception_handler(DBAPIError)
def on_database_error(error: DBAPIError) -> Response[str]:
    """A database that is away is 503; data that only Postgres found fault with is 422; the rest is ours."""
    if is_transient(error):
        logger.warning("database unavailable", error=str(error.orig))
        return _answer(Unavailable(SEND_AGAIN))
    if sqlstate(error).startswith("22"):
        logger.warning("data refused by the database", error=str(error.orig))
        return _answer(Invalid("the database cannot store something in the body"))
    return _our_fault(error)


@app.exception_handler(KmsUnavailableError)
def on_kms_error(error: KmsUnavailableError) -> Response[str]:
    logger.warning("kms unavailable", error=str(error))
    return _answer(Unavailable("the key service cannot be reached; send the same again"))


@app.exception_handler(Exception)
def on_any_error(error: Exception) -> Response[str]:
    return _our_fault(error)


def _our_fault(error: Exception) -> Response[str]:
    """What happened goes to the log under the request's id; the caller gets only that id."""
    logger.exception("request failed", error=str(error))
    return _answer(ApiError("something went wrong on our side; it is logged under the request_id"))


def _path(location: tuple[str | int, ...]) -> str:
    """`("body", "events", 3, "type")` → `events.3.type`; query and path parameters by their name."""
    return ".".join(str(part) for part in location[1:] or location)


def _sentence(error: dict[str, object]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")
