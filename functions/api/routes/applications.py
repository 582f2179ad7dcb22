"""Applications: the project's own customers."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection, RowMapping

from functions.adapters.database import transaction
from functions.api import audit, background, operation, paging
from functions.api.caller import Caller, require_unbound
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications as queries
from functions.api.queries import jobs
from functions.api.queries.applications import Filter
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.applications import Application, ApplicationIn, ApplicationPatch
from functions.api.schemas.base import Page
from functions.domain import holding
from functions.errors import Invalid

router = operation.Router()
TAGS = ["applications"]
PATH = "/v1/applications"
ONE = f"{PATH}/<application_id>"


@router.post(
    PATH,
    tags=TAGS,
    summary="Create an application",
    description="One of the project's own customers. Webhooks, events and API keys may be bound to it.",
    **documented("webhooks:write", 201, Application, 400, 401, 403, 409, 413, 415, 422),
)
def create_application(application: Annotated[ApplicationIn, Body()]) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))

    def produce(connection: Connection) -> Answer:
        made, version = _split(queries.add_application(connection, caller, application.model_dump()))
        audit.record(connection, caller, "application.created", made["id"], after=made, application_id=made["id"])
        return Answer(201, to_json(made), version=version)

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List applications",
    **documented("webhooks:read", 200, Page[Application], 401, 403, 422),
)
def list_applications(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    uid: Annotated[str, Query(pattern="^[A-Za-z0-9._-]*$", max_length=255)] = "",
    name: Annotated[paging.Text, Query(max_length=255, description="Its beginning, whatever the case")] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    wanted = Filter(uid, name, created_after, created_before)
    with transaction() as connection:
        rows = queries.list_applications(connection, caller, wanted, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    ONE,
    tags=TAGS,
    summary="Read an application",
    description="By its id or its uid.",
    **documented("webhooks:read", 200, Application, 401, 403, 404),
)
def read_application(application_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        found, version = _split(queries.application(connection, caller, application_id))
    return answer(200, found, version=version)


@router.patch(
    ONE,
    tags=TAGS,
    summary="Change an application",
    description="Fields that are absent stay. `null` clears the `uid` and is refused for the `name`.",
    **documented("webhooks:write", 200, Application, 400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def change_application(application_id: str, application: Annotated[ApplicationPatch, Body()]) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))
    expected = operation.expected_version(router)
    values = application.model_dump(exclude_unset=True)
    if not values:
        raise Invalid("nothing to change: the body names no field")
    with transaction() as connection:
        before, version = _split(queries.lock_to_change(connection, caller, application_id))
        operation.check_version(expected, version)
        id = before["id"]
        after, version = _split(queries.change_application(connection, caller, id, values))
        audit.record(connection, caller, "application.updated", id, before=before, after=after, application_id=id)
    return answer(200, after, version=version)


@router.delete(
    ONE,
    tags=TAGS,
    summary="Delete an application",
    description="Its webhooks and sources are deleted and its API keys revoked with it, the keys within 60 s; its"
    " `uid` may be used anew. Its events and what was delivered of them stay readable.",
    **documented("webhooks:write", 204, None, 400, 401, 403, 404, 412),
)
def delete_application(application_id: str) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))
    expected = operation.expected_version(router)
    with transaction() as connection:
        before, version = _split(queries.lock_to_delete(connection, caller, application_id))
        operation.check_version(expected, version)
        gone = queries.delete_application(connection, caller, before["id"])
        _record_deletion(connection, caller, before, gone)
        started = _end_what_is_held(connection, caller, before["id"], gone)
    background.send(caller.project_id, started)
    return no_content()


def _record_deletion(connection: Connection, caller: Caller, before: dict[str, Any], gone: queries.Gone) -> None:
    id = before["id"]
    audit.record(connection, caller, "application.deleted", id, before=before, level="warning", application_id=id)
    audit.record_each(connection, caller, "webhook.deleted", gone.webhooks, application_id=id)
    audit.record_each(connection, caller, "source.deleted", gone.sources, application_id=id)
    audit.record_each(connection, caller, "api_key.revoked", gone.api_keys, application_id=id)


def _end_what_is_held(connection: Connection, caller: Caller, id: str, gone: queries.Gone) -> list[str]:
    """What waited for a paused webhook ends as all does whose webhook is deleted: the jobs that see to it."""
    waiting = [one["id"] for one in gone.webhooks if one["status"] != "active"]
    held = {webhook: holding.count(connection, caller.project_id, webhook) for webhook in waiting}
    return [
        jobs.add(connection, caller, "release", {"webhook_id": webhook}, total=count, application_id=id)[0]
        for webhook, count in held.items()
        if count
    ]


def _split(row: RowMapping | None) -> tuple[dict[str, Any], int]:
    """What the API shows of an application, and its version. Raises NotFound when there is none."""
    if row is None:
        raise operation.missing("application")
    shown = dict(row)
    return shown, shown.pop("version")
