"""The registry of event types. A type's schema and examples lie in its versions; the latest is in force."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, func, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert

from functions.api import paging
from functions.api.caller import Caller
from functions.api.rendering import to_json
from functions.models import projects, webhook_event_type_versions, webhook_event_types
from functions.statements import named

t, v = webhook_event_types.c, webhook_event_type_versions.c
ARCHIVED = t.archived_at.is_not(None).label("archived")
SUMMARY = (
    *(t.id, t.name, t.description, t.schema_version, v.schema.is_not(None).label("has_schema")),
    *(ARCHIVED, t.archived_at, t.created_at, t.updated_at, t.created_by, t.updated_by),
)
WHOLE = (*SUMMARY, v.schema, func.coalesce(v.examples, text("'[]'::jsonb")).label("examples"), t.version)
# Equal as JSON is no other version. A type without any counts as one that asks for nothing.
ADD_VERSION = named(
    "event_types.add_version",
    text("""
INSERT INTO webhook.webhook_event_type_versions (event_type_id, version, schema, examples, created_by)
SELECT t.id, t.schema_version + 1, w.schema, w.examples, CAST(:created_by AS uuid)
FROM webhook.webhook_event_types t
CROSS JOIN (SELECT CAST(:schema AS jsonb) AS schema, CAST(:examples AS jsonb) AS examples) w
LEFT JOIN webhook.webhook_event_type_versions v ON v.event_type_id = t.id AND v.version = t.schema_version
WHERE t.id = CAST(:id AS uuid)
  AND (v.schema IS DISTINCT FROM w.schema OR coalesce(v.examples, '[]') <> w.examples)
RETURNING version
"""),
)


def add(connection: Connection, caller: Caller, *, name: str, description: str | None) -> str | None:
    """The key of a new event type; None when the project has one of this name."""
    by = {"project_id": caller.project_id, "created_by": caller.key_id, "updated_by": caller.key_id}
    made = upsert(webhook_event_types).values(name=name, description=description, **by)
    unless_there = made.on_conflict_do_nothing(constraint="webhook_event_types_name_key")
    return connection.execute(named("event_types.add", unless_there.returning(t.id))).scalar_one_or_none()


def event_type(connection: Connection, caller: Caller, name: str) -> RowMapping | None:
    """With its schema and examples, and its version as a resource."""
    return connection.execute(named("event_types.get", _named(caller, name))).mappings().one_or_none()


def lock_to_change(connection: Connection, caller: Caller, name: str) -> RowMapping | None:
    """As `event_type`, which nobody else changes before the transaction ends."""
    locked = select(t.id).where(t.project_id == caller.project_id, t.name == name).with_for_update()
    if connection.execute(named("event_types.lock", locked)).one_or_none() is None:
        return None
    return event_type(connection, caller, name)


def list_event_types(
    connection: Connection, caller: Caller, *, archived: bool, limit: int, cursor: str
) -> Sequence[RowMapping]:
    """Without schemas: a page of them would be too large to answer."""
    statement = _of(caller, *SUMMARY)
    if not archived:
        statement = statement.where(t.archived_at.is_(None))
    page = named("event_types.list", paging.after(statement, t.id, limit=limit, cursor=cursor))
    return connection.execute(page).mappings().all()


def list_versions(connection: Connection, id: str, *, limit: int, before: int | None) -> Sequence[RowMapping]:
    """Newest first, one more than `limit`."""
    statement = select(v.version, v.schema, v.examples, v.created_at, v.created_by).where(v.event_type_id == id)
    if before is not None:
        statement = statement.where(v.version < before)
    page = named("event_types.list_versions", statement.order_by(v.version.desc()).limit(limit + 1))
    return connection.execute(page).mappings().all()


def add_version(connection: Connection, caller: Caller, id: str, schema: Any, examples: list[Any]) -> None:
    """Put this schema and these examples in force, unless they are."""
    parameters = {
        "id": id,
        "schema": None if schema is None else to_json(schema),
        "examples": to_json(examples),
        "created_by": caller.key_id,
    }
    made = connection.execute(ADD_VERSION, parameters).scalar_one_or_none()
    if made is not None:
        in_force = update(webhook_event_types).where(t.id == id).values(schema_version=made)
        connection.execute(named("event_types.put_in_force", in_force))


def change(connection: Connection, caller: Caller, id: str, values: dict[str, Any]) -> None:
    """`values` by column; the resource has a new version, and so has what caches the project's catalog."""
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": t.version + 1}
    changed = update(webhook_event_types).where(t.id == id).values(**values, **by)
    connection.execute(named("event_types.change", changed))


def bump_catalog(connection: Connection, caller: Caller) -> None:
    """Events that are accepted from now on are checked by what is now in force."""
    p = projects.c
    bumped = update(projects).where(p.id == caller.project_id).values(catalog_version=p.catalog_version + 1)
    connection.execute(named("event_types.bump_catalog", bumped))


def _named(caller: Caller, name: str) -> Select[Any]:
    return _of(caller, *WHOLE).where(t.name == name)


def _of(caller: Caller, *columns: Any) -> Select[Any]:
    current = (v.event_type_id == t.id) & (v.version == t.schema_version)
    joined = webhook_event_types.outerjoin(webhook_event_type_versions, current)
    return select(*columns).select_from(joined).where(t.project_id == caller.project_id)
