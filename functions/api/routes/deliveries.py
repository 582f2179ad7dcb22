"""Deliveries and attempts: the evidence."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import deliveries as queries
from functions.api.queries import events as event_queries
from functions.api.queries.deliveries import Filter
from functions.api.rendering import answer
from functions.api.schemas.base import Page
from functions.api.schemas.deliveries import Attempt, Delivery

router = operation.Router()
TAGS = ["deliveries"]
Status = Literal["", "pending", "delivering", "delivered", "failed"]


@router.get(
    "/v1/deliveries",
    tags=TAGS,
    summary="List deliveries",
    **documented("deliveries:read", 200, Page[Delivery], 401, 403, 422),
)
def list_deliveries(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    webhook_id: paging.Id = "",
    event_id: Annotated[str, Query(max_length=255, description="The event's key or the caller's own id")] = "",
    status: Annotated[Status, Query()] = "",
    event_type: Annotated[str, Query(max_length=255)] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        if event_id:
            known = event_queries.known_events(connection, caller.project_id, [event_id])
            if not known:
                return answer(200, paging.page([], limit))
            event_id = str(known[0]["id"])
        wanted = Filter(webhook_id, event_id, event_type, status, created_after, created_before)
        rows = queries.list_deliveries(connection, caller.project_id, wanted, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    "/v1/deliveries/<delivery_id>",
    tags=TAGS,
    summary="Read a delivery",
    **documented("deliveries:read", 200, Delivery, 401, 403, 404),
)
def read_delivery(delivery_id: str) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        row = queries.delivery(connection, caller.project_id, operation.key(delivery_id, "delivery"))
    if row is None:
        raise operation.missing("delivery")
    return answer(200, dict(row))


@router.get(
    "/v1/deliveries/<delivery_id>/attempts",
    tags=TAGS,
    summary="List a delivery's attempts",
    description="Each with what was sent and what came back, the body as far as it is kept (16 KiB).",
    **documented("deliveries:read", 200, Page[Attempt], 401, 403, 404, 422),
)
def list_attempts(delivery_id: str, limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    id = operation.key(delivery_id, "delivery")
    with transaction() as connection:
        if queries.delivery(connection, caller.project_id, id) is None:
            raise operation.missing("delivery")
        rows = queries.list_attempts(connection, caller.project_id, id, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))
