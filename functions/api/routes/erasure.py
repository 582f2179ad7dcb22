"""Erasing the payloads of a whole project (P14); those of one event are erased where events are."""

from datetime import UTC, datetime
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection

from functions.api import background, operation
from functions.api.background import STARTS, Plan
from functions.api.queries import projects
from functions.api.rendering import rfc3339
from functions.api.schemas.levers import ExpungeIn
from functions.domain import expunge

router = operation.Router()


@router.post(
    "/v1/projects/<project_id>/expunge",
    tags=["projects"],
    summary="Expunge a project's payloads",
    description="Erases the data of its events, what change events have of it and what endpoints answered to them,"
    " for good. That they happened and were delivered stays readable. What was not delivered yet will not be."
    " Events that were archived are left out: whoever operates Hookline restores their days first." + STARTS,
    **background.documented("admin", 400, 401, 403, 404, 409, 415, 422),
)
def expunge_project(project_id: str, wanted: Annotated[ExpungeIn, Body()]) -> Response[str]:
    admin, id = operation.admin(router), operation.key(project_id, "project")
    before = min(wanted.before, datetime.now(UTC))

    def plan(connection: Connection) -> Plan:
        if projects.project(connection, id) is None:
            raise operation.missing("project")
        matched = expunge.count(connection, id, before=before)
        return Plan("expunge", {"before": rfc3339(before)}, matched, "project.expunged", id)

    return background.start(router, admin, plan, dry_run=wanted.dry_run, project_id=id)
