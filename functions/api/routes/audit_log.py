"""The audit log: who changed what through the API (E6)."""

from typing import Annotated, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Query
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.caller import Caller, require
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, projects
from functions.api.queries import audit_log as queries
from functions.api.queries.audit_log import Filter
from functions.api.rendering import answer
from functions.api.schemas.audit_log import AuditEntry
from functions.api.schemas.base import Page
from functions.errors import Detail, Invalid

router = operation.Router()
NAMED = "^[a-z_]*$"
EVENT = r"^$|^[a-z_]+\.([a-z_]+|\*)$"


@router.get(
    "/v1/audit-log",
    tags=["audit log"],
    summary="List what was changed, by whom",
    description="Every change that was made through the API, each in the transaction that made it; nobody can"
    " change an entry. `actor_id` is the id of an API key. A key that is bound to an application gets that"
    " application's entries. `project_id` is for the admin key, which names one.",
    **documented("audit:read", 200, Page[AuditEntry], 401, 403, 404, 422, admin=True),
)
def list_entries(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    event: Annotated[
        str, Query(pattern=EVENT, max_length=64, description="`webhook.updated`, or all of a kind: `webhook.*`")
    ] = "",
    level: Annotated[Literal["", "info", "warning"], Query()] = "",
    resource_type: Annotated[str, Query(pattern=NAMED, max_length=64)] = "",
    resource_id: Annotated[paging.Text, Query(max_length=255)] = "",
    actor_id: paging.Id = "",
    application_id: Annotated[paging.Text, Query(max_length=255, description="The application's id or uid")] = "",
    correlation_id: Annotated[paging.Text, Query(max_length=128)] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
    project_id: paging.Id = "",
) -> Response[str]:
    caller = operation.anybody(router)
    if not caller.admin:
        require(caller, "audit:read")
    with transaction() as connection:
        within = _within(connection, caller, project_id)
        if application_id:
            application_id = applications.resolve_for_reading(connection, within, application_id)
        about = (event, level, resource_type, resource_id, actor_id, application_id, correlation_id)
        wanted = Filter(*about, created_after, created_before)
        return answer(200, queries.list_entries(connection, within, wanted, limit=limit, cursor=cursor))


def _within(connection: Connection, caller: Caller, project_id: str) -> Caller:
    """Whose log is read. To a project's key another's project is as unknown as one that is not there."""
    if caller.admin and project_id and projects.project(connection, project_id) is not None:
        return caller.within(project_id)
    if caller.admin or project_id.lower() not in {"", caller.project_id}:
        wrong = Detail("project_id", "names no project")
        raise Invalid("the admin key reads the log of one project, which it names", details=(wrong,))
    return caller
