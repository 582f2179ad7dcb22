"""Levers that take longer than a request: counted first, then started as a background job (P5)."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from aws_lambda_powertools.event_handler import Response
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions.adapters import queues
from functions.adapters.database import sqlstate
from functions.adapters.queues import Message
from functions.api import audit, operation
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import Router
from functions.api.queries import jobs
from functions.api.rendering import to_json
from functions.api.schemas.jobs import DryRun, Job
from functions.domain import messages
from functions.domain.api_keys import Scope
from functions.domain.jobs import Kind
from functions.errors import Invalid
from functions.settings import settings

FIRST_TOKEN = 1  # of a job, by the column's default
QUERY_CANCELED = "57014"  # by the role's statement_timeout of 20 s
TOO_MUCH = "there is too much in this range to count it at once: narrow it, and do it in parts"
STARTS = (
    " With `dry_run` it only counts (200). Else a background job does it (202), to be watched at"
    " `/v1/jobs/{id}`; one of some hundred is done within a second or two."
)


@dataclass(frozen=True)
class Plan:
    """A job to start, and the entry of the audit log for it: about `resource_id`, or about the job itself."""

    kind: Kind
    parameters: dict[str, Any]
    matched: int
    event: str
    resource_id: str = ""
    application_id: str | None = None


def documented(scope: Scope | str, *errors: int) -> dict[str, Any]:
    """The OpenAPI side of a route that starts a job."""
    return operation.documented(scope, 202, Job, *errors, others={200: DryRun})


def start(
    router: Router,
    caller: Caller,
    plan: Callable[[Connection], Plan],
    *,
    dry_run: bool,
    project_id: str = "",
) -> Response[str]:
    """Answer what `plan` counts, or start what it plans; `project_id` is for the admin key, which has none.

    Raises what `plan` raises; Conflict; Invalid.
    """
    within = caller.within(project_id) if project_id else caller
    started: list[str] = []

    def produce(connection: Connection) -> Answer:
        planned = _counted(connection, plan)
        if dry_run:
            return Answer(200, to_json({"dry_run": True, "matched": planned.matched}))
        id, shown = add(connection, within, planned)
        started.append(id)
        return Answer(202, shown)

    response = operation.post(router, caller, produce)
    send(within.project_id, started)
    if response.status_code == 202:
        response.headers["location"] = f"/v1/jobs/{json.loads(str(response.body))['id']}"
    return response


def add(connection: Connection, caller: Caller, plan: Plan) -> tuple[str, str]:
    """The new job's key and what the API shows of it, with its entry in the audit log. Raises Conflict."""
    jobs.check_room(connection, caller)
    id, shown = jobs.add(
        connection,
        caller,
        plan.kind,
        plan.parameters,
        total=plan.matched,
        application_id=plan.application_id,
    )
    audit.record(
        connection,
        caller,
        plan.event,
        plan.resource_id or id,
        after=json.loads(shown),
        level="warning",
        application_id=plan.application_id,
    )
    return id, shown


def send(project_id: str, started: list[str]) -> None:
    """The fast path to the first batch, after the commit. What it does not send, dispatch does."""
    bodies = [messages.job(messages.Job(id, FIRST_TOKEN)) for id in started]
    queues.send(settings().jobs_queue_url, [Message(body, project_id) for body in bodies])


def _counted(connection: Connection, plan: Callable[[Connection], Plan]) -> Plan:
    try:
        return plan(connection)
    except DBAPIError as error:
        if sqlstate(error) == QUERY_CANCELED:
            raise Invalid(TOO_MUCH) from None
        raise
