"""Change events: what changedetection.io reported."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import archives
from functions.api.queries import change_events as queries
from functions.api.queries.change_events import Filter
from functions.api.rendering import answer
from functions.api.schemas.base import Page
from functions.api.schemas.inbound import ChangeEvent

router = operation.Router()
TAGS = ["change events"]
Status = Literal["", "queued", "in_progress", "completed", "failed"]
Watch = Annotated[paging.Text, Query(max_length=255, description="The watch's id: the list is its history")]


@router.get(
    "/v1/change-events",
    tags=TAGS,
    summary="List change events",
    description="Newest first; with `watch_id`, a watch's history. Where filters leave little, a page may have"
    " fewer rows than `limit`, or none, and still a `next_cursor`: only `next_cursor: null` is the end.",
    **documented("sources:read", 200, Page[ChangeEvent], 401, 403, 422),
)
def list_change_events(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    source_id: paging.Id = "",
    watch_id: Watch = "",
    rescrape_status: Annotated[Status, Query()] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    wanted = Filter(
        source_id=source_id,
        watch_id=watch_id,
        rescrape_status=rescrape_status,
        created_after=created_after,
        created_before=created_before,
    )
    with transaction() as connection:
        return answer(200, queries.list_change_events(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/change-events/<change_event_id>",
    tags=TAGS,
    summary="Read a change event",
    **documented("sources:read", 200, ChangeEvent, 401, 403, 404),
)
def read_change_event(change_event_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    id = operation.key(change_event_id, "change event")
    with transaction() as connection:
        found = queries.change_event(connection, caller, id)
        if found is None:
            raise operation.missing("change event", archives.where(connection, "change_event", id))
    return answer(200, found)
