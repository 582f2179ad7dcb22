"""Projects and API keys: what the admin key is for."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import projects as queries
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.projects import ApiKey, ApiKeyIn, NewApiKey, Project, ProjectIn
from functions.domain.api_keys import new_key
from functions.domain.ids import uuid7

router = operation.Router()
TAGS = ["projects"]


@router.post(
    "/v1/projects",
    tags=TAGS,
    summary="Create a project",
    **documented("admin", 201, Project, 401, 403, 409, 413, 415, 422),
)
def create_project(project: Annotated[ProjectIn, Body()]) -> Response[str]:
    caller = operation.admin(router)
    id = uuid7()
    data_key = vault.new_data_key(id)  # before the transaction: none is held while KMS is asked (B5)

    def produce(connection: Connection) -> Answer:
        row = queries.add_project(connection, id=id, name=project.name, data_key=data_key)
        return Answer(201, to_json(dict(row)))

    return operation.post(router, caller, produce)


@router.get(
    "/v1/projects",
    tags=TAGS,
    summary="List projects",
    **documented("admin", 200, Page[Project], 401, 403, 422),
)
def list_projects(limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    operation.admin(router)
    with transaction() as connection:
        rows = queries.list_projects(connection, limit=limit, cursor=cursor)
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
        row = queries.project(connection, operation.key(project_id, "project"))
    if row is None:
        raise operation.missing("project")
    return answer(200, dict(row))


@router.post(
    "/v1/projects/<project_id>/api-keys",
    tags=TAGS,
    summary="Create an API key",
    description="The answer holds the `key`, this once: only its hash is stored.",
    **documented("admin", 201, NewApiKey, 401, 403, 404, 409, 413, 415, 422),
)
def create_api_key(project_id: str, api_key: Annotated[ApiKeyIn, Body()]) -> Response[str]:
    caller = operation.admin(router)
    id = operation.key(project_id, "project")

    def produce(connection: Connection) -> Answer:
        if queries.project(connection, id) is None:
            raise operation.missing("project")
        new = new_key()
        row = dict(queries.add_api_key(connection, id, new, **api_key.model_dump()))
        return Answer(201, to_json({**row, "key": new.key}), kept=to_json({**row, "key": None}))

    return operation.post(router, caller, produce)


@router.get(
    "/v1/projects/<project_id>/api-keys",
    tags=TAGS,
    summary="List a project's API keys",
    **documented("admin", 200, Page[ApiKey], 401, 403, 404, 422),
)
def list_api_keys(project_id: str, limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    operation.admin(router)
    id = operation.key(project_id, "project")
    with transaction() as connection:
        if queries.project(connection, id) is None:
            raise operation.missing("project")
        rows = queries.list_api_keys(connection, id, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.delete(
    "/v1/projects/<project_id>/api-keys/<key_id>",
    tags=TAGS,
    summary="Revoke an API key",
    description="It stops working within 60 s, when the gateway's cached answers have run out.",
    **documented("admin", 204, None, 401, 403, 404),
)
def revoke_api_key(project_id: str, key_id: str) -> Response[str]:
    operation.admin(router)
    project, id = operation.key(project_id, "project"), operation.key(key_id, "API key")
    with transaction() as connection:
        if not queries.revoke_api_key(connection, project, id):
            raise operation.missing("API key")
    return no_content()
