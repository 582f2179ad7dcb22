"""Sources, as the API shows and changes them."""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    FromClause,
    RowMapping,
    Text,
    cast,
    func,
    insert,
    select,
    text,
    update,
)

from functions.api import paging, walk
from functions.api.caller import Caller
from functions.api.queries.as_json import json_object, rfc3339
from functions.api.queries.reach import within
from functions.api.walk import Index, Walk
from functions.models import sources
from functions.statements import named

s = sources.c
LOCKED = (s.id, s.project_id, s.application_id, s.kind, s.secret, s.version)
# The row stays as the parent of what it sent; its secrets and credentials go.
DELETE = """
WITH deleted AS (
  UPDATE webhook.sources
  SET deleted_at = now(), updated_at = now(), updated_by = CAST(:key_id AS uuid), version = version + 1,
    enabled = false, secret = '', credentials = NULL
  WHERE {which} = CAST(:id AS uuid) AND project_id = CAST(:project_id AS uuid) AND deleted_at IS NULL
  RETURNING id, name, kind
), rotated AS (
  DELETE FROM webhook.source_expiring_secrets e USING deleted WHERE e.source_id = deleted.id
)
SELECT CAST(id AS text) AS id, name, kind FROM deleted
"""
DELETE_ONE = named("sources.delete", text(DELETE.format(which="id")))
DELETE_OF_APPLICATION = named("sources.delete_of_application", text(DELETE.format(which="application_id")))


@dataclass(frozen=True)
class Filter:
    """What a list of sources is narrowed to; None or empty means any."""

    kind: str = ""
    application_id: str = ""  # its key
    created_after: datetime | None = None
    created_before: datetime | None = None


def add_source(connection: Connection, values: dict[str, Any]) -> None:
    """`values` by column."""
    connection.execute(named("sources.add", insert(sources).values(values)))


def source(connection: Connection, caller: Caller, id: str) -> dict[str, Any] | None:
    """The source as the API shows it, with its `version`; `url` is its path alone."""
    asked = select(cast(_shown(sources), Text).label("shown"), s.version).where(*_live(caller), s.id == id)
    found = connection.execute(named("sources.get", asked)).one_or_none()
    return None if found is None else {**json.loads(found.shown), "version": found.version}


def has_source(connection: Connection, caller: Caller, id: str) -> bool:
    """Whether the source, living or deleted, is the caller's; else an index of its rows must not be walked."""
    found = select(s.id).where(*within(sources, caller), s.id == id)
    return connection.execute(named("sources.has", found)).one_or_none() is not None


def list_sources(
    connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str
) -> dict[str, Any]:
    """One page, each `url` its path alone. Raises Invalid for what is no cursor."""
    search = Walk(
        table=sources,
        shown=_shown,
        wanted=lambda rows: _conditions(rows, caller, wanted),
        ways=[[_index(caller, wanted)]],
        after=wanted.created_after,
        before=wanted.created_before,
    )
    page: dict[str, Any] = json.loads(walk.page(connection, search, limit=limit, cursor=cursor))
    return page


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The source, which nobody else changes or deletes before the transaction ends, with its encrypted secret.

    Not FOR UPDATE: what it sends is stored meanwhile, and refers to its key.
    """
    locked = select(*LOCKED).where(*_live(caller), s.id == id).with_for_update(key_share=True)
    return connection.execute(named("sources.lock", locked)).mappings().one_or_none()


def change_source(connection: Connection, caller: Caller, id: str, values: dict[str, Any]) -> None:
    """`values` by column, of a source that is locked."""
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": s.version + 1}
    connection.execute(named("sources.change", update(sources).where(s.id == id).values(**values, **by)))


def delete_source(connection: Connection, caller: Caller, id: str) -> None:
    """One that is locked."""
    connection.execute(DELETE_ONE, {"id": id, "project_id": caller.project_id, "key_id": caller.key_id})


def delete_sources_of_application(
    connection: Connection, project_id: str, application_id: str, key_id: str
) -> list[dict[str, Any]]:
    """The application goes and takes its sources along (C1). What each was, in brief."""
    parameters = {"id": application_id, "project_id": project_id, "key_id": key_id}
    return [dict(row) for row in connection.execute(DELETE_OF_APPLICATION, parameters).mappings()]


def _live(caller: Caller) -> list[ColumnElement[Any]]:
    return [*within(sources, caller), s.deleted_at.is_(None)]


def _index(caller: Caller, wanted: Filter) -> Index:
    """An application's own key is led along its own rows only, so that not even a cursor tells of others'."""
    live = s.deleted_at.is_(None)
    if application := caller.application_id or wanted.application_id:
        return Index([(s.application_id, application)], [live, s.application_id.is_not(None)])
    return Index([(s.project_id, caller.project_id)], [live])


def _conditions(rows: FromClause, caller: Caller, wanted: Filter) -> list[ColumnElement[bool]]:
    conditions = within(rows, caller)
    for name in ("kind", "application_id"):
        if value := getattr(wanted, name):
            conditions.append(rows.c[name] == value)
    return conditions + paging.created_within(rows.c.created_at, wanted.created_after, wanted.created_before)


def _shown(rows: FromClause) -> ColumnElement[Any]:
    c = rows.c
    first = ("id", "kind", "name", "description", "application_id", "environment", "enabled", "verification")
    then = ("event_types", "ip_allowlist", "max_body_bytes", "replay_window_seconds", "rescrape")
    return json_object(
        {name: c[name] for name in (*first, *then)}
        | {
            "has_credentials": c.credentials.is_not(None),
            "received_at": rfc3339(c.received_at),
            "created_at": rfc3339(c.created_at),
            "updated_at": rfc3339(c.updated_at),
            "created_by": c.created_by,
            "updated_by": c.updated_by,
            "url": func.concat("/in/", c.id),
        }
    )
