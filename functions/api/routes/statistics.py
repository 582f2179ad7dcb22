"""Delivery statistics: how deliveries fared in a range of time, and which endpoints fare worst (D10)."""

from datetime import datetime
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import drawn, operation, paging
from functions.api.operation import documented
from functions.api.paging import Cursor
from functions.api.queries import applications
from functions.api.queries import statistics as queries
from functions.api.rendering import answer
from functions.api.schemas.statistics import EndpointStatistics, Statistics
from functions.domain.log_buckets import ERROR
from functions.domain.statistics.figures import Figures, merged
from functions.domain.statistics.times import Range

router = operation.Router()
TAGS = ["statistics"]
MOST_ENDPOINTS = 40  # a page, each with up to 91 buckets to be added up: a millisecond of work
DRAWN = (
    " Of a `window` until now, 24 hours unless given, or of a range `from` … `to`; in whole buckets of UTC time."
    " They are 5 minutes, an hour or a day long (kept for 2, 35 and 400 days), as fits the range unless `bucket`"
    f" says, {drawn.MOST_BUCKETS} at most; `none` answers the totals alone. Test events are not counted."
)
Window = Annotated[Literal["", "1h", "24h", "7d", "30d", "90d"], Query(description="Until now")]
From = Annotated[
    paging.Time | None, Query(alias="from", description="From then on, instead of a window (RFC 3339)")
]
To = Annotated[paging.Time | None, Query(description="Until then; now unless given (RFC 3339)")]
BucketLength = Annotated[Literal["", "5m", "1h", "1d", "none"], Query(description="How long a bucket is")]


@router.get(
    "/v1/stats/deliveries",
    tags=TAGS,
    summary="Read delivery statistics",
    description="How the project's deliveries fared, or its application's to a key that is bound to one." + DRAWN,
    **documented("deliveries:read", 200, Statistics, 401, 403, 404, 422),
)
def read_delivery_statistics(
    window: Window = "",
    since: From = None,
    to: To = None,
    bucket: BucketLength = "",
    application_id: Annotated[
        paging.Text, Query(max_length=255, description="Only this application's webhooks: its id or uid")
    ] = "",
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    of = drawn.asked(window, since, to, bucket)
    with transaction() as connection:
        subject = caller.application_id or caller.project_id
        if application_id:
            subject = applications.resolve_for_reading(connection, caller, application_id)
        return answer(200, _drawn(connection, subject, of, bucket))


@router.get(
    "/v1/webhooks/<webhook_id>/stats",
    tags=TAGS,
    summary="Read a webhook's delivery statistics",
    description="How its deliveries fared." + DRAWN,
    **documented("deliveries:read", 200, Statistics, 401, 403, 404, 422),
)
def read_webhook_statistics(
    webhook_id: str, window: Window = "", since: From = None, to: To = None, bucket: BucketLength = ""
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    id = operation.key(webhook_id, "webhook")
    of = drawn.asked(window, since, to, bucket)
    with transaction() as connection:
        if not queries.is_there(connection, caller, id):
            raise operation.missing("webhook")
        return answer(200, _drawn(connection, id, of, bucket))


@router.get(
    "/v1/stats/endpoints",
    tags=TAGS,
    summary="List endpoints by how they fare",
    description="The webhooks that had attempts in the window, the worst success rate or the most attempts first,"
    " each with its figures. The order is that of `ranked_until`: up to 5 minutes older than the figures for"
    " windows of 1 and 24 hours, up to an hour for the others. Deleted webhooks are not in it.",
    **documented("deliveries:read", 200, EndpointStatistics, 401, 403, 422),
)
def list_endpoint_statistics(
    limit: Annotated[int, Query(ge=1, le=MOST_ENDPOINTS, description="Rows a page")] = 25,
    cursor: Cursor = "",
    window: Annotated[Literal["1h", "24h", "7d", "30d", "90d"], Query(description="Until now")] = "24h",
    sort: Annotated[
        Literal["success_rate", "attempts"], Query(description="The worst rate first, or the most attempts")
    ] = "success_rate",
    min_attempts: Annotated[
        int, Query(ge=1, le=1_000_000_000, description="Only those that had so many in the window")
    ] = 1,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    of = drawn.of_window(window)
    with transaction() as connection:
        rows = queries.endpoints(connection, caller, window, sort, min_attempts, limit=limit, cursor=cursor)
        figures = queries.totals(connection, [str(row["id"]) for row in rows[:limit]], of)
        counted, ranked = queries.until(connection, window)
    page = paging.page(
        [{**row, **figures.get(str(row["id"]), Figures()).shown()} for row in rows],
        limit,
    )
    return answer(200, {**_spanned(of, counted), "window": window, "ranked_until": ranked, **page})


def _drawn(connection: Connection, subject: str, of: Range, bucket: str) -> dict[str, Any]:
    found = queries.series(connection, subject, of)
    counted, _ = queries.until(connection)
    nothing = Figures().shown()
    buckets = [{"start": start, **(found[start].shown() if start in found else nothing)} for start in of.buckets()]
    return {
        **_spanned(of, counted),
        "bucket": None if bucket == "none" else of.resolution.name,
        "totals": merged(found.values()).shown(),
        "data": [] if bucket == "none" else buckets,
    }


def _spanned(of: Range, until: datetime | None) -> dict[str, Any]:
    return {"from": of.start, "to": of.end, "until": until, "percentile_error": ERROR}
