"""Deliveries and attempts: the evidence."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, archives
from functions.api.queries import deliveries as queries
from functions.api.queries.deliveries import Filter
from functions.api.rendering import answer
from functions.api.schemas.base import Page
from functions.api.schemas.deliveries import Attempt, Delivery

router = operation.Router()
TAGS = ["deliveries"]
SEARCHED = (
    "Newest first. A call answers soon, however rare it is what you look for: where filters leave little, a page"
    " may have fewer rows than `limit`, or none, and still a `next_cursor`. Only `next_cursor: null` is the end."
)
Status = Literal["", "pending", "delivering", "delivered", "failed"]
EventId = Annotated[paging.Text, Query(max_length=255, description="The event's key or the caller's own id")]
TypePattern = Annotated[
    str,
    Query(
        max_length=255,
        pattern=r"^$|^\*$|^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$",
        description="An event type, or a prefix such as `invoice.*`",
    ),
]
Application = Annotated[paging.Text, Query(max_length=255, description="The application's id or uid")]
Answered = Annotated[
    str,
    Query(
        pattern="^$|^[1-9][0-9]{2}$|^[1-9]xx$",
        description="What the endpoint answered last: a status such as `503`, or `5xx` for 500 to 599",
    ),
]


@router.get(
    "/v1/deliveries",
    tags=TAGS,
    summary="List deliveries",
    description=SEARCHED,
    **documented("deliveries:read", 200, Page[Delivery], 401, 403, 404, 422),
)
def list_deliveries(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    webhook_id: paging.Id = "",
    event_id: EventId = "",
    status: Annotated[Status, Query()] = "",
    event_type: TypePattern = "",
    application_id: Application = "",
    response_status: Answered = "",
    has_error: Annotated[paging.Flag, Query(description="Whether the last attempt went wrong")] = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        if application_id:
            application_id = applications.resolve_for_reading(connection, caller, application_id)
        event_key = queries.event_key(connection, caller, event_id) if event_id else ""
        if event_key is None:
            return answer(200, paging.page([], limit))
        wanted = Filter(
            webhook_id=webhook_id,
            event_id=event_key,
            event_type="" if event_type == "*" else event_type,
            application_id=application_id,
            status=status,
            response_status=response_status,
            has_error=has_error,
            created_after=created_after,
            created_before=created_before,
        )
        return answer(200, queries.list_deliveries(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/deliveries/<delivery_id>",
    tags=TAGS,
    summary="Read a delivery",
    **documented("deliveries:read", 200, Delivery, 401, 403, 404),
)
def read_delivery(delivery_id: str) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    id = operation.key(delivery_id, "delivery")
    with transaction() as connection:
        found = queries.delivery(connection, caller, id)
        if found is None:
            raise operation.missing("delivery", archives.where(connection, "delivery", id))
    return answer(200, found)


@router.get(
    "/v1/deliveries/<delivery_id>/attempts",
    tags=TAGS,
    summary="List a delivery's attempts",
    description="Each with what was sent and what came back, the body as far as it is kept (16 KiB).",
    **documented("deliveries:read", 200, Page[Attempt], 401, 403, 404, 422),
)
def list_attempts(
    delivery_id: str,
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    has_error: Annotated[paging.Flag, Query(description="Whether the attempt went wrong")] = None,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    id = operation.key(delivery_id, "delivery")
    with transaction() as connection:
        page = queries.list_attempts(connection, caller, id, has_error=has_error, limit=limit, cursor=cursor)
        if page is None:
            raise operation.missing("delivery", archives.where(connection, "delivery", id))
    return answer(200, page)
