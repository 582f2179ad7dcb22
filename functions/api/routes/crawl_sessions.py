"""Crawl sessions: the lives and totals of Firecrawl's jobs."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import archives
from functions.api.queries import crawl_sessions as queries
from functions.api.queries.crawl_sessions import Filter
from functions.api.rendering import answer
from functions.api.schemas.base import Page
from functions.api.schemas.inbound import CrawlSession

router = operation.Router()
TAGS = ["crawl sessions"]
Status = Literal["", "in_progress", "completed", "failed", "cancelled"]
Job = Annotated[paging.Text, Query(max_length=255, description="Firecrawl's id of the job")]


@router.get(
    "/v1/crawl-sessions",
    tags=TAGS,
    summary="List crawl sessions",
    description="Newest first. Where filters leave little, a page may have fewer rows than `limit`, or none, and"
    " still a `next_cursor`: only `next_cursor: null` is the end.",
    **documented("sources:read", 200, Page[CrawlSession], 401, 403, 422),
)
def list_crawl_sessions(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    source_id: paging.Id = "",
    status: Annotated[Status, Query()] = "",
    job_id: Job = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    wanted = Filter(
        source_id=source_id,
        status=status,
        job_id=job_id,
        created_after=created_after,
        created_before=created_before,
    )
    with transaction() as connection:
        return answer(200, queries.list_crawl_sessions(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/crawl-sessions/<crawl_session_id>",
    tags=TAGS,
    summary="Read a crawl session",
    **documented("sources:read", 200, CrawlSession, 401, 403, 404),
)
def read_crawl_session(crawl_session_id: str) -> Response[str]:
    caller = operation.caller(router, "sources:read")
    id = operation.key(crawl_session_id, "crawl session")
    with transaction() as connection:
        found = queries.crawl_session(connection, caller, id)
        if found is None:
            raise operation.missing("crawl session", archives.where(connection, "crawl_session", id))
    return answer(200, found)
