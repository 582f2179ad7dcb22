"""Event types: the registry, with JSON Schemas."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection, RowMapping, func

from functions.adapters.database import transaction
from functions.api import audit, event_type_rules, operation, paging
from functions.api.caller import Caller, require_unbound
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import event_types as queries
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.event_types import (
    EventType,
    EventTypeIn,
    EventTypePatch,
    EventTypeSummary,
    EventTypeVersion,
)
from functions.domain import event_types
from functions.errors import Conflict, Invalid

router = operation.Router()
TAGS = ["event types"]
PATH = "/v1/event-types"
ONE = f"{PATH}/<name>"
VERSIONS_A_PAGE = 10  # each with a schema and examples of 64 KiB: an answer of the function has at most 6 MB
VersionLimit = Annotated[int, Query(ge=1, le=VERSIONS_A_PAGE, description="Versions a page")]
VersionCursor = Annotated[
    str, Query(max_length=9, pattern="^[0-9]*$", description="The `next_cursor` of the page before")
]
IN_FORCE = (
    " Events of the type are held to the schema as the project's `validation` says; a change counts for the very"
    " next event."
)


@router.post(
    PATH,
    tags=TAGS,
    summary="Register an event type",
    description="Events may be of types that are not registered. One that is may have a description, a JSON Schema"
    " and examples." + IN_FORCE,
    **documented("webhooks:write", 201, EventType, 400, 401, 403, 409, 413, 415, 422),
)
def create_event_type(event_type: Annotated[EventTypeIn, Body()]) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))
    event_type_rules.check(event_type.schema_, event_type.examples, len(operation.body_of(router)))

    def produce(connection: Connection) -> Answer:
        id = queries.add(connection, caller, name=event_type.name, description=event_type.description)
        if id is None:
            raise Conflict("the project has an event type of this name; it may be archived")
        queries.add_version(connection, caller, id, event_type.schema_, event_type.examples)
        queries.bump_catalog(connection, caller)
        made, version = _found(queries.event_type(connection, caller, event_type.name))
        audit.record(connection, caller, "event_type.created", id, after=made)
        return Answer(201, to_json(made), version=version)

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List event types",
    description="Without their schemas, which are read one by one.",
    **documented("webhooks:read", 200, Page[EventTypeSummary], 401, 403, 422),
)
def list_event_types(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    archived: Annotated[paging.Flag, Query(description="With those that are archived")] = None,
) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        rows = queries.list_event_types(connection, caller, archived=bool(archived), limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    ONE,
    tags=TAGS,
    summary="Read an event type",
    **documented("webhooks:read", 200, EventType, 401, 403, 404),
)
def read_event_type(name: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        found, version = _found(queries.event_type(connection, caller, _name(name)))
    return answer(200, found, version=version)


@router.patch(
    ONE,
    tags=TAGS,
    summary="Change an event type",
    description="Fields that are absent stay. `null` clears the `description` and the `schema`. Another schema or"
    " other examples are a new version. The examples must fit the schema, those that stay as well." + IN_FORCE,
    **documented("webhooks:write", 200, EventType, 400, 401, 403, 404, 412, 413, 415, 422),
)
def change_event_type(name: str, event_type: Annotated[EventTypePatch, Body()]) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))
    expected = operation.expected_version(router)
    values = event_type.model_dump(exclude_unset=True, by_alias=True)
    if not values:
        raise Invalid("nothing to change: the body names no field")
    with transaction() as connection:
        before, version = _found(queries.lock_to_change(connection, caller, _name(name)))
        operation.check_version(expected, version)
        _put_in_force(connection, caller, before, values)
        after, version = _change(connection, caller, before, values)
    return answer(200, after, version=version)


@router.delete(
    ONE,
    tags=TAGS,
    summary="Archive an event type",
    description="It stays readable, its events are no longer checked, and it may be brought back with"
    ' `{"archived": false}`.',
    **documented("webhooks:write", 204, None, 400, 401, 403, 404, 412),
)
def archive_event_type(name: str) -> Response[str]:
    caller = require_unbound(operation.caller(router, "webhooks:write"))
    expected = operation.expected_version(router)
    with transaction() as connection:
        before, version = _found(queries.lock_to_change(connection, caller, _name(name)))
        operation.check_version(expected, version)
        if not before["archived"]:
            _change(connection, caller, before, {"archived": True})
    return no_content()


@router.get(
    f"{ONE}/versions",
    tags=TAGS,
    summary="List an event type's versions",
    description="Newest first: the first of them is in force.",
    **documented("webhooks:read", 200, Page[EventTypeVersion], 401, 403, 404, 422),
)
def list_event_type_versions(
    name: str, limit: VersionLimit = VERSIONS_A_PAGE, cursor: VersionCursor = ""
) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        found, _ = _found(queries.event_type(connection, caller, _name(name)))
        before = int(cursor) if cursor else None
        rows = queries.list_versions(connection, found["id"], limit=limit, before=before)
    data = [dict(row) for row in rows[:limit]]
    return answer(200, {"data": data, "next_cursor": str(data[-1]["version"]) if len(rows) > limit else None})


def _name(name: str) -> str:
    """Of a path. What cannot be a name names nothing: raises NotFound."""
    if not event_types.is_name(name):
        raise operation.missing("event type")
    return name


def _put_in_force(connection: Connection, caller: Caller, before: dict[str, Any], values: dict[str, Any]) -> None:
    """The schema and examples of `values`, what is not among them staying as it was. Raises Invalid."""
    if not values.keys() & {"schema", "examples"}:
        return
    schema, examples = (values.get(name, before[name]) for name in ("schema", "examples"))
    event_type_rules.check(schema, examples, len(to_json([schema, examples])))
    queries.add_version(connection, caller, before["id"], schema, examples)


def _change(
    connection: Connection, caller: Caller, before: dict[str, Any], values: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Write what is not in versions, and what every write does besides; the event type as it then is."""
    columns: dict[str, Any] = {name: values[name] for name in ("description",) if name in values}
    if "archived" in values:
        columns["archived_at"] = (before["archived_at"] or func.now()) if values["archived"] else None
    queries.change(connection, caller, before["id"], columns)
    queries.bump_catalog(connection, caller)
    after, version = _found(queries.event_type(connection, caller, before["name"]))
    ended = after["archived"] and not before["archived"]
    event = "event_type.archived" if ended else "event_type.updated"
    level: audit.Level = "warning" if ended else "info"
    audit.record(connection, caller, event, before["id"], before=before, after=after, level=level)
    return after, version


def _found(row: RowMapping | None) -> tuple[dict[str, Any], int]:
    """What the API shows of an event type, and its version. Raises NotFound when there is none."""
    if row is None:
        raise operation.missing("event type")
    shown = dict(row)
    return shown, shown.pop("version")
