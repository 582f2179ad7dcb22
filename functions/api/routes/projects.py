"""Projects, which the admin key manages; and who a key is."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection, RowMapping

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import projects as queries
from functions.api.queries.projects import Filter
from functions.api.rendering import answer, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.projects import Principal, Project, ProjectIn, ProjectPatch
from functions.domain.ids import uuid7
from functions.errors import Invalid

router = operation.Router()
TAGS = ["projects"]


@router.post(
    "/v1/projects",
    tags=TAGS,
    summary="Create a project",
    **documented("admin", 201, Project, 400, 401, 403, 409, 413, 415, 422),
)
def create_project(project: Annotated[ProjectIn, Body()]) -> Response[str]:
    caller = operation.admin(router)
    id = uuid7()
    data_key = vault.new_data_key(id)  # before the transaction: none is held while KMS is asked (B5)

    def produce(connection: Connection) -> Answer:
        row = queries.add_project(connection, id=id, name=project.name, data_key=data_key)
        made, version = _split(row)
        audit.record(connection, caller, "project.created", id, after=made, project_id=id)
        return Answer(201, to_json(made), version=version)

    return operation.post(router, caller, produce)


@router.get(
    "/v1/projects",
    tags=TAGS,
    summary="List projects",
    **documented("admin", 200, Page[Project], 401, 403, 422),
)
def list_projects(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    name: Annotated[paging.Text, Query(max_length=255, description="Its beginning, whatever the case")] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    operation.admin(router)
    wanted = Filter(name, created_after, created_before)
    with transaction() as connection:
        rows = queries.list_projects(connection, wanted, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    "/v1/projects/<project_id>",
    tags=TAGS,
    summary="Read a project",
    **documented("admin", 200, Project, 401, 403, 404),
)
def read_project(project_id: str) -> Response[str]:
    operation.admin(router)
    with transaction() as connection:
        found, version = _split(queries.project(connection, operation.key(project_id, "project")))
    return answer(200, found, version=version)


@router.patch(
    "/v1/projects/<project_id>",
    tags=TAGS,
    summary="Change a project",
    description="Fields that are absent stay. A change of `validation` is in force for the next event. With"
    " `retention`, finished events or deliveries of this project are deleted earlier than those of others, and are"
    " not archived; `null` takes it away, and what is named replaces the whole of it.",
    **documented("admin", 200, Project, 400, 401, 403, 404, 412, 413, 415, 422),
)
def change_project(project_id: str, project: Annotated[ProjectPatch, Body()]) -> Response[str]:
    caller = operation.admin(router)
    id, expected = operation.key(project_id, "project"), operation.expected_version(router)
    values = project.model_dump(exclude_unset=True)
    if not values:
        raise Invalid("nothing to change: the body names no field")
    with transaction() as connection:
        before, version = _split(queries.lock_to_change(connection, id))
        operation.check_version(expected, version)
        catalog = values.get("validation", before["validation"]) != before["validation"]
        after, version = _split(queries.change_project(connection, id, values, catalog=catalog))
        audit.record(connection, caller, "project.updated", id, before=before, after=after, project_id=id)
    return answer(200, after, version=version)


@router.get(
    "/v1/whoami",
    tags=TAGS,
    summary="Read whom the API key authenticates",
    description="Any key may ask. `project_id` and `key_id` are null for the admin key, `application_id` for one"
    " that is not bound to an application.",
    **documented("", 200, Principal, 401, 403),
)
def whoami() -> Response[str]:
    caller = operation.anybody(router)
    ids = {name: getattr(caller, name) or None for name in ("project_id", "application_id", "key_id")}
    return answer(200, {"admin": caller.admin, **ids, "scopes": sorted(caller.scopes)})


def _split(row: RowMapping | None) -> tuple[dict[str, Any], int]:
    """What the API shows of a project, and its version. Raises NotFound when there is none."""
    if row is None:
        raise operation.missing("project")
    shown = dict(row)
    return shown, shown.pop("version")
