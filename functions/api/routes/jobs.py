"""Background jobs: what takes longer than a request."""

import json
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.caller import Caller, require
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import jobs as queries
from functions.api.queries.jobs import Filter
from functions.api.rendering import answer
from functions.api.schemas.base import Page
from functions.api.schemas.jobs import Job
from functions.api.schemas.levers import EmptyIn
from functions.domain.api_keys import Scope
from functions.domain.jobs import Kind, Status
from functions.errors import Conflict

router = operation.Router()
TAGS = ["jobs"]
FINISHED = ("completed", "failed")


@router.get(
    "/v1/jobs",
    tags=TAGS,
    summary="List background jobs",
    **documented("deliveries:read", 200, Page[Job], 401, 403, 422),
)
def list_jobs(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    kind: Annotated[Kind | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    wanted = Filter(kind or "", status or "", created_after, created_before)
    with transaction() as connection:
        return answer(200, queries.list_jobs(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    "/v1/jobs/<job_id>",
    tags=TAGS,
    summary="Read a background job",
    description="How far it is: `processed` of `total` were looked at, `changed` of them were changed.",
    **documented("deliveries:read", 200, Job, 401, 403, 404, admin=True),
)
def read_job(job_id: str) -> Response[str]:
    caller = _caller("deliveries:read")
    with transaction() as connection:
        found = queries.job(connection, caller, operation.key(job_id, "job"))
    if found is None:
        raise operation.missing("job")
    return answer(200, found)


@router.post(
    "/v1/jobs/<job_id>/cancel",
    tags=TAGS,
    summary="Cancel a background job",
    description="It ends before its next batch; what was done stays done. A release is not cancelled: pause its"
    " webhook, and what is not released yet waits on.",
    **documented("deliveries:write", 200, Job, 400, 401, 403, 404, 409, 415, 422, admin=True),
)
def cancel_job(job_id: str, _nothing: Annotated[EmptyIn | None, Body()] = None) -> Response[str]:
    caller = _caller("deliveries:write")
    id = operation.key(job_id, "job")

    def produce(connection: Connection) -> Answer:
        job = queries.lock(connection, caller, id)
        if job is None:
            raise operation.missing("job")
        if job["kind"] == "release":
            raise Conflict("a release is not cancelled: pause the webhook, and what is left waits on")
        if job["status"] in FINISHED:
            raise Conflict(f"the job has {job['status']} already")
        if job["status"] == "cancelled":
            return Answer(200, job["shown"])
        queries.cancel(connection, id)
        shown = str(queries.job(connection, caller, id))
        audit.record(
            connection,
            caller,
            "job.cancelled",
            id,
            before=json.loads(job["shown"]),
            after=json.loads(shown),
            level="warning",
            project_id=job["project_id"],
            application_id=job["application_id"],
        )
        return Answer(200, shown)

    return operation.post(router, caller, produce)


def _caller(scope: Scope) -> Caller:
    """The admin key watches what it started in a project: an erasure."""
    who = operation.anybody(router)
    return who if who.admin else require(who, scope)
