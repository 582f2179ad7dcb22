"""API keys of a project: made and revoked by the admin key."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import api_keys as queries
from functions.api.queries import applications, projects
from functions.api.queries.api_keys import Filter
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.projects import ApiKey, ApiKeyIn, NewApiKey
from functions.domain.api_keys import new_key

router = operation.Router()
TAGS = ["projects"]
PATH = "/v1/projects/<project_id>/api-keys"
ONE = f"{PATH}/<key_id>"


@router.post(
    PATH,
    tags=TAGS,
    summary="Create an API key",
    description="The answer holds the `key`, this once: only its hash is stored. One that is bound to an"
    " application sees and changes what is that application's, and stops working when the application is deleted.",
    **documented("admin", 201, NewApiKey, 400, 401, 403, 404, 409, 413, 415, 422),
)
def create_api_key(project_id: str, api_key: Annotated[ApiKeyIn, Body()]) -> Response[str]:
    caller, within = _caller_within(project_id)

    def produce(connection: Connection) -> Answer:
        _check_project(connection, within)
        values = api_key.model_dump()
        if api_key.application_id is not None:
            values["application_id"] = applications.resolve(connection, within, api_key.application_id)
        new = new_key()
        made = dict(queries.add_api_key(connection, within.project_id, new, **values))
        audit.record(
            connection, within, "api_key.created", made["id"], after=made, application_id=made["application_id"]
        )
        return Answer(201, to_json({**made, "key": new.key}), kept=to_json({**made, "key": None}))

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List a project's API keys",
    **documented("admin", 200, Page[ApiKey], 401, 403, 404, 422),
)
def list_api_keys(
    project_id: str,
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    application_id: Annotated[paging.Text, Query(max_length=255, description="The application's id or uid")] = "",
    prefix: Annotated[
        str, Query(pattern="^[A-Za-z0-9]*$", max_length=16, description="What follows `hl_` in the key")
    ] = "",
    active: Annotated[bool | None, Query(description="Neither revoked nor expired; false for the others")] = None,
) -> Response[str]:
    _, within = _caller_within(project_id)
    with transaction() as connection:
        _check_project(connection, within)
        if application_id:
            application_id = applications.resolve_for_reading(connection, within, application_id)
        wanted = Filter(application_id, prefix, active)
        rows = queries.list_api_keys(connection, within.project_id, wanted, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    ONE,
    tags=TAGS,
    summary="Read an API key",
    description="All but the key itself.",
    **documented("admin", 200, ApiKey, 401, 403, 404),
)
def read_api_key(project_id: str, key_id: str) -> Response[str]:
    _, within = _caller_within(project_id)
    with transaction() as connection:
        row = queries.api_key(connection, within.project_id, operation.key(key_id, "API key"))
    if row is None:
        raise operation.missing("API key")
    return answer(200, dict(row))


@router.delete(
    ONE,
    tags=TAGS,
    summary="Revoke an API key",
    description="It stops working within 60 s, when the gateway's cached answers have run out. Revoking one twice"
    " changes nothing.",
    **documented("admin", 204, None, 401, 403, 404),
)
def revoke_api_key(project_id: str, key_id: str) -> Response[str]:
    _, within = _caller_within(project_id)
    id = operation.key(key_id, "API key")
    with transaction() as connection:
        revoked = queries.revoke_api_key(connection, within.project_id, id)
        if revoked is None and queries.api_key(connection, within.project_id, id) is None:
            raise operation.missing("API key")
        if revoked is not None:
            _record_revocation(connection, within, dict(revoked))
    return no_content()


def _record_revocation(connection: Connection, within: Caller, revoked: dict[str, Any]) -> None:
    audit.record(
        connection,
        within,
        "api_key.revoked",
        revoked["id"],
        before={**revoked, "revoked_at": None},
        after=revoked,
        level="warning",
        application_id=revoked["application_id"],
    )


def _caller_within(project_id: str) -> tuple[Caller, Caller]:
    """The admin key's caller, and the same acting in the project of the path. Raises NotFound for a bad id."""
    caller = operation.admin(router)
    return caller, caller.within(operation.key(project_id, "project"))


def _check_project(connection: Connection, within: Caller) -> None:
    if projects.project(connection, within.project_id) is None:
        raise operation.missing("project")
