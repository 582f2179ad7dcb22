"""Events: accepting them is what everything else is for."""

from collections.abc import Callable
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection

from functions.adapters import measuring
from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, archives
from functions.api.queries import deliveries as delivery_queries
from functions.api.queries import events as queries
from functions.api.queries.deliveries import Filter as DeliveryFilter
from functions.api.queries.events import Filter
from functions.api.rendering import answer, to_json
from functions.api.routes.deliveries import SEARCHED
from functions.api.schemas.base import Page
from functions.api.schemas.deliveries import Delivery
from functions.api.schemas.events import (
    AcceptedEvent,
    AcceptedEvents,
    Event,
    EventBatchIn,
    EventIn,
    EventSummary,
    ExpungedEvent,
)
from functions.errors import NotFound
from functions.ingest import ingesting
from functions.ingest.ingesting import Ingested, Sent

router = operation.Router()
TAGS = ["events"]
IDEMPOTENT = (
    "Answers once the event and its deliveries are stored; they are sent a moment later. The same `id` again is"
    " answered as the first time and delivered once; so is the same `Idempotency-Key` with the same body, for"
    " 24 hours."
)
CHECKED = (
    " In a project whose `validation` is `enforce`, data that does not fit the schema of its event type is refused"
    " with 422 and each failing path; with `warn` it is accepted and `warnings` say so."
)
OfType = Annotated[
    str,
    Query(
        alias="type",
        max_length=255,
        pattern=r"^$|^\*$|^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$",
        description="Only events of this type, or with a prefix such as `invoice.*`",
    ),
]
Application = Annotated[
    paging.Text, Query(max_length=255, description="Only this application's events: its id or uid")
]
OfEnvironment = Annotated[
    str, Query(max_length=64, pattern=r"^$|^[A-Za-z0-9._-]+$", description="Only events of this environment")
]
ExternalId = Annotated[paging.Text, Query(max_length=255, description="Only the one that its sender calls so")]


@router.post(
    "/v1/events",
    tags=TAGS,
    summary="Send an event",
    description=IDEMPOTENT + " Status 200 instead of 202 says that the `id` was known." + CHECKED,
    **documented(
        "events:write",
        202,
        AcceptedEvent,
        *(400, 401, 403, 404, 409, 413, 415, 422),
        others={200: AcceptedEvent},
    ),
)
def send_event(event: Annotated[EventIn, Body()]) -> Response[str]:
    body = '{"events":[' + operation.body_of(router) + "]}"

    def respond(ingested: Ingested) -> Answer:
        return _with_warnings(202 if ingested.new else 200, ingested.answers[0], ingested)

    return _accept(Sent([event], body, batch=False), respond)


@router.post(
    "/v1/events/batch",
    tags=TAGS,
    summary="Send up to 500 events",
    description="All are stored or none. Answers come in the order of the events. " + IDEMPOTENT + CHECKED,
    **documented("events:write", 202, AcceptedEvents, 400, 401, 403, 404, 409, 413, 415, 422),
)
def send_events(batch: Annotated[EventBatchIn, Body()]) -> Response[str]:
    def respond(ingested: Ingested) -> Answer:
        return _with_warnings(202, {"data": ingested.answers}, ingested)

    return _accept(Sent(batch.events, operation.body_of(router), batch=True), respond)


@router.get(
    "/v1/events",
    tags=TAGS,
    summary="List events",
    description=SEARCHED,
    **documented("events:read", 200, Page[EventSummary], 401, 403, 404, 422),
)
def list_events(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    type_: OfType = "",
    application_id: Application = "",
    environment: OfEnvironment = "",
    external_id: ExternalId = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "events:read")
    with transaction() as connection:
        if application_id:
            application_id = applications.resolve_for_reading(connection, caller, application_id)
        key = queries.key_of(connection, caller, external_id) if external_id else ""
        if key is None:
            return answer(200, paging.page([], limit))
        wanted = Filter(
            key=key,
            type="" if type_ == "*" else type_,
            application_id=application_id,
            environment=environment,
            created_after=created_after,
            created_before=created_before,
        )
        return answer(200, queries.list_events(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/events/<event_id>",
    tags=TAGS,
    summary="Read an event",
    description="By its key or by the sender's own id.",
    **documented("events:read", 200, Event, 401, 403, 404),
)
def read_event(event_id: str) -> Response[str]:
    caller = operation.caller(router, "events:read")
    with transaction() as connection:
        event = queries.event(connection, caller, event_id)
        if event is None:
            raise _missing(connection, event_id)
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
        key = queries.key_of(connection, caller, event_id)
        if key is None:
            raise _missing(connection, event_id)
        wanted = DeliveryFilter(event_id=key)
        page = delivery_queries.list_deliveries(connection, caller, wanted, limit=limit, cursor=cursor)
    return answer(200, page)


@router.delete(
    "/v1/events/<event_id>/payload",
    tags=TAGS,
    summary="Erase an event's payload",
    description="Its data, what its change event has of it, and what endpoints answered to it, are gone; that it"
    " happened and was sent stays. Deliveries that are not finished fail with `payload_expunged`; one that is"
    " being sent this moment may still arrive, and its answer is not kept. The id stays known: sent again, the"
    " event is not stored again. Doing it twice changes nothing.",
    **documented("events:write", 200, ExpungedEvent, 401, 403, 404),
)
def expunge_event(event_id: str) -> Response[str]:
    caller = operation.caller(router, "events:write")
    with transaction() as connection:
        erased = queries.erase(connection, caller, event_id)
        if erased is None:
            raise _missing(connection, event_id)
        event, changed = erased
        if changed:
            audit.record(
                connection,
                caller,
                "event.expunged",
                str(event["id"]),
                before={**event, "expunged_at": None},
                after=event,
                level="warning",
                application_id=event["application_id"],
            )
    return answer(200, event)


def _missing(connection: Connection, id: str) -> NotFound:
    return operation.missing("event", archives.where(connection, "event", id))


def _with_warnings(status: int, body: dict[str, object], ingested: Ingested) -> Answer:
    """A repeated Idempotency-Key is answered without the warnings: they name what is in the data, and what was
    answered is kept where erasing the payload does not reach.
    """
    if not ingested.warnings:
        return Answer(status, to_json(body))
    warnings = [{"path": detail.path, "message": detail.message} for detail in ingested.warnings]
    return Answer(status, to_json({**body, "warnings": warnings}), kept=to_json(body))


def _accept(sent: Sent, respond: Callable[[Ingested], Answer]) -> Response[str]:
    """Store, commit, and only then send: a message never runs ahead of its rows."""
    caller = operation.caller(router, "events:write")
    ingesting.check_sizes(sent)
    stored: list[Ingested] = []  # none where an Idempotency-Key is answered again

    def produce(connection: Connection) -> Answer:
        ingested = ingesting.ingest(connection, caller, sent)
        stored.append(ingested)
        return respond(ingested)

    with measuring.measured("ingest", "ingest.events", project_id=caller.project_id) as taking:
        response = operation.post(router, caller, produce)
        deliveries = [id for ingested in stored for id in ingested.deliveries]
        taking.count(events=sum(ingested.new for ingested in stored), deliveries=len(deliveries))
    ingesting.send(caller.project_id, deliveries)
    return response
