"""Hookline's own metrics: each request, each timed operation, and both added up (A8)."""

from collections.abc import Callable, Hashable
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query

from functions.adapters.database import transaction
from functions.api import metric_ranges, operation, paging
from functions.api.caller import require, require_unbound
from functions.api.kept_answers import KeptAnswers
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import metric_summaries as summaries
from functions.api.queries import metrics as queries
from functions.api.queries.metric_summaries import Shape, Summary
from functions.api.queries.metrics import OperationFilter, Range, RequestFilter
from functions.api.rendering import answer, to_json
from functions.api.routes.deliveries import SEARCHED
from functions.api.schemas.base import Page
from functions.api.schemas.metrics import OperationMetric, OperationSummary, RequestMetric, RequestSummary
from functions.errors import Detail, Invalid

router = operation.Router()
TAGS = ["metrics"]
WHOSE = (
    " A project's key reads what concerns its project; the admin key reads everything, or one project with"
    " `project_id`. Without times it is the last 24 hours; a range has at most 31 days."
)
ADDED = (
    " At most 500,000 rows are read, the newest of the range; `complete` says whether those were all, and"
    " `covered_from` since when they are. It is kept for some seconds: `cached_at` says since when."
)
Path = Annotated[paging.Text, Query(max_length=500, description="The route, such as `/v1/events/{event_id}`")]
Method = Annotated[str, Query(pattern="^$|^[A-Z]{1,10}$", description="Such as `POST`")]
Status = Annotated[
    str,
    Query(pattern="^$|^[1-5][0-9]{2}$|^[1-5]xx$", description="A status such as `404`, or `5xx` for 500 to 599"),
]
Type = Annotated[paging.Text, Query(max_length=50, description="Such as `ingest`, `claim` or `query`")]
Name = Annotated[paging.Text, Query(max_length=100, description="Such as `deliver.claim`")]
RequestId = Annotated[
    paging.Text, Query(max_length=100, description="Only what was part of this request or invocation")
]
JobId = Annotated[paging.Text, Query(max_length=100, description="Only what this background job did")]
Success = Annotated[paging.Flag, Query(description="Only what went well, or only what did not")]
Slow = Annotated[float | None, Query(ge=0, description="Only what took so many milliseconds or longer")]
Bucket = Annotated[Literal["none", "1m", "1h", "1d"], Query(description="By time as well; a day is that of UTC")]
kept = KeptAnswers()


@router.get(
    "/v1/metrics/requests",
    tags=TAGS,
    summary="List requests",
    description="Every request to the API, as it was answered." + WHOSE + " " + SEARCHED,
    **documented("metrics:read", 200, Page[RequestMetric], 401, 403, 422, admin=True),
)
def list_requests(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    path: Path = "",
    method: Method = "",
    status: Status = "",
    request_id: RequestId = "",
    min_duration_ms: Slow = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
    project_id: paging.Id = "",
) -> Response[str]:
    of = _range(project_id, metric_ranges.of_rows(created_after, created_before))
    wanted = RequestFilter(path, method, status, request_id, min_duration_ms)
    with transaction() as connection:
        return answer(200, queries.list_requests(connection, of, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/metrics/requests/summary",
    tags=TAGS,
    summary="Add up requests",
    description="How many, how many of them did not fail on our side (5xx), and how long they took."
    + WHOSE
    + ADDED,
    **documented("metrics:read", 200, RequestSummary, 401, 403, 422, admin=True),
)
def summarize_requests(
    bucket: Bucket = "none",
    group_by: Annotated[
        Literal["", "path", "method", "status_class"], Query(description="A row for each of these")
    ] = "",
    path: Path = "",
    method: Method = "",
    status: Status = "",
    request_id: RequestId = "",
    min_duration_ms: Slow = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
    project_id: paging.Id = "",
) -> Response[str]:
    of = _range(project_id, metric_ranges.of_buckets(created_after, created_before, bucket))
    wanted, shape = RequestFilter(path, method, status, request_id, min_duration_ms), Shape(bucket, group_by)

    def make() -> Summary:
        with transaction() as connection:
            return summaries.requests(connection, of, wanted, shape)

    return _summary(of, wanted, shape, make)


@router.get(
    "/v1/metrics/operations",
    tags=TAGS,
    summary="List timed operations",
    description="What Hookline did and how long it took: accepting, claiming, sending, recording, statements."
    + WHOSE
    + " "
    + SEARCHED,
    **documented("metrics:read", 200, Page[OperationMetric], 401, 403, 422, admin=True),
)
def list_operations(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    operation_type: Type = "",
    operation_name: Name = "",
    success: Success = None,
    request_id: RequestId = "",
    job_id: JobId = "",
    min_duration_ms: Slow = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
    project_id: paging.Id = "",
) -> Response[str]:
    of = _range(project_id, metric_ranges.of_rows(created_after, created_before))
    wanted = OperationFilter(operation_type, operation_name, success, request_id, job_id, min_duration_ms)
    with transaction() as connection:
        return answer(200, queries.list_operations(connection, of, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/metrics/operations/summary",
    tags=TAGS,
    summary="Add up timed operations",
    description="How many, how many of them went well, and how long they took. Of `query` each call counts, and a"
    " percentile is that of its processes' own, minute by minute." + WHOSE + ADDED,
    **documented("metrics:read", 200, OperationSummary, 401, 403, 422, admin=True),
)
def summarize_operations(
    bucket: Bucket = "none",
    group_by: Annotated[
        Literal["", "operation_type", "operation_name"], Query(description="A row for each of these")
    ] = "",
    operation_type: Type = "",
    operation_name: Name = "",
    success: Success = None,
    request_id: RequestId = "",
    job_id: JobId = "",
    min_duration_ms: Slow = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
    project_id: paging.Id = "",
) -> Response[str]:
    of = _range(project_id, metric_ranges.of_buckets(created_after, created_before, bucket))
    wanted = OperationFilter(operation_type, operation_name, success, request_id, job_id, min_duration_ms)
    shape = Shape(bucket, group_by)

    def make() -> Summary:
        with transaction() as connection:
            return summaries.operations(connection, of, wanted, shape)

    return _summary(of, wanted, shape, make)


def _range(project_id: str, times: tuple[datetime, datetime]) -> Range:
    """Whose rows may be read. To a project's key another's project is as unknown as one that is not there."""
    caller = operation.anybody(router)
    if caller.admin:
        return Range(project_id.lower(), *times)
    require_unbound(require(caller, "metrics:read"))
    if project_id.lower() not in {"", caller.project_id}:
        wrong = Detail("project_id", "names no project")
        raise Invalid("a project's key reads its own metrics", details=(wrong,))
    return Range(caller.project_id, *times)


def _summary(of: Range, wanted: Hashable, shape: Shape, make: Callable[[], Summary]) -> Response[str]:
    def text() -> str:
        made = make()
        told: dict[str, Any] = {
            "created_after": of.after,
            "created_before": of.before,
            "bucket": None if shape.bucket == "none" else shape.bucket,
            "group_by": shape.group_by or None,
            "complete": made.complete,
            "covered_from": made.covered_from,
            "cached_at": datetime.now(UTC),
            "data": made.rows,
        }
        return to_json(told)

    asked = (of, wanted, shape)
    return answer(200, kept.get(asked, metric_ranges.kept_seconds(of.before, shape.bucket), text))
