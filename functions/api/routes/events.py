"""Events: accepting them is what everything else is for."""

from collections.abc import Callable, Sequence
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import caller as callers
from functions.api import ingest, operation, paging
from functions.api.idempotency import Answer
from functions.api.ingest import Ingested
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import deliveries as delivery_queries
from functions.api.queries import events as queries
from functions.api.queries.deliveries import Filter
from functions.api.rendering import answer, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.deliveries import Delivery
from functions.api.schemas.events import AcceptedEvent, AcceptedEvents, Event, EventBatchIn, EventIn
from functions.models import webhook_events

router = operation.Router()
TAGS = ["events"]
IDEMPOTENT = (
    "Answers once the event and its deliveries are stored; they are sent a moment later. The same `id` again is"
    " answered as the first time and delivered once; so is the same `Idempotency-Key` with the same body, for"
    " 24 hours."
)
TypeFilter = Annotated[str, Query(alias="type", max_length=255, description="Only events of this type")]


@router.post(
    "/v1/events",
    tags=TAGS,
    summary="Send an event",
    description=IDEMPOTENT + " Status 200 instead of 202 says that the `id` was known.",
    **documented("events:write", 202, AcceptedEvent, 400, 401, 403, 409, 413, 415, 422),
)
def send_event(event: Annotated[EventIn, Body()]) -> Response[str]:
    body = '{"events":[' + operation.body_of(router) + "]}"
    return _accept(
        [event],
        body,
        lambda ingested: Answer(202 if ingested.new else 200, to_json(ingested.answers[0])),
    )


@router.post(
    "/v1/events/batch",
    tags=TAGS,
    summary="Send up to 500 events",
    description="All are stored or none. Answers come in the order of the events. " + IDEMPOTENT,
    **documented("events:write", 202, AcceptedEvents, 400, 401, 403, 409, 413, 415, 422),
)
def send_events(batch: Annotated[EventBatchIn, Body()]) -> Response[str]:
    return _accept(
        batch.events,
        operation.body_of(router),
        lambda ingested: Answer(202, to_json({"data": ingested.answers})),
    )


@router.get(
    "/v1/events",
    tags=TAGS,
    summary="List events",
    **documented("events:read", 200, Page[AcceptedEvent], 401, 403, 422),
)
def list_events(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    type_: TypeFilter = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "events:read")
    bounds = paging.created_between(
        webhook_events.c.id, webhook_events.c.created_at, created_after, created_before
    )
    with transaction() as connection:
        rows = queries.list_events(
            connection, caller.project_id, limit=limit, cursor=cursor, type=type_, bounds=bounds
        )
    return answer(200, paging.page(rows, limit))


@router.get(
    "/v1/events/<event_id>",
    tags=TAGS,
    summary="Read an event",
    description="By its key or by the caller's own id.",
    **documented("events:read", 200, Event, 401, 403, 404),
)
def read_event(event_id: str) -> Response[str]:
    caller = operation.caller(router, "events:read")
    with transaction() as connection:
        event = queries.event(connection, caller.project_id, event_id)
    if event is None:
        raise operation.missing("event")
    return answer(200, event)


@router.get(
    "/v1/events/<event_id>/deliveries",
    tags=TAGS,
    summary="List an event's deliveries",
    **documented("deliveries:read", 200, Page[Delivery], 401, 403, 404, 422),
)
def list_event_deliveries(
    event_id: str, limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = ""
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        known = queries.known_events(connection, caller.project_id, [event_id])
        if not known:
            raise operation.missing("event")
        wanted = Filter(event_id=str(known[0]["id"]))
        page = delivery_queries.list_deliveries(connection, caller, wanted, limit=limit, cursor=cursor)
    return answer(200, page)


def _accept(events: Sequence[EventIn], body: str, respond: Callable[[Ingested], Answer]) -> Response[str]:
    """Store, commit, and only then send: a message never runs ahead of its rows."""
    caller = operation.caller(router, "events:write")
    ingest.check_sizes(events, body)
    stored: list[str] = []

    def produce(connection: Connection) -> Answer:
        correlation_id = callers.correlation_id(router.current_event.raw_event)
        ingested = ingest.ingest(connection, caller.project_id, events, body, correlation_id)
        stored.extend(ingested.deliveries)
        return respond(ingested)

    response = operation.post(router, caller, produce)
    ingest.send(caller.project_id, stored)
    return response
