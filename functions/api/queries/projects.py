"""Projects."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, case, func, insert, null, select, update

from functions.api import paging
from functions.api.queries.as_json import json_object
from functions.api.queries.matching import begins_with
from functions.models import projects
from functions.statements import named

DAYS = json_object({kind: projects.c.retention[kind] for kind in ("events", "deliveries")})
PROJECT = (
    projects.c.id,
    projects.c.name,
    projects.c.validation,
    case((projects.c.retention.is_not(None), DAYS)).label("retention"),
    projects.c.created_at,
    projects.c.updated_at,
)
VERSIONED = (*PROJECT, projects.c.version)


@dataclass(frozen=True)
class Filter:
    """What a list of projects is narrowed to; None or empty means any."""

    name: str = ""  # its beginning, whatever the case
    created_after: datetime | None = None
    created_before: datetime | None = None


def add_project(connection: Connection, *, id: str, name: str, data_key: bytes) -> RowMapping:
    statement = insert(projects).values(id=id, name=name, data_key=data_key).returning(*VERSIONED)
    return connection.execute(named("projects.add", statement)).mappings().one()


def project(connection: Connection, id: str) -> RowMapping | None:
    """With its version."""
    found = named("projects.get", select(*VERSIONED).where(projects.c.id == id))
    return connection.execute(found).mappings().one_or_none()


def list_projects(connection: Connection, wanted: Filter, *, limit: int, cursor: str) -> Sequence[RowMapping]:
    p = projects.c
    conditions = paging.created_between(p.id, p.created_at, wanted.created_after, wanted.created_before)
    if wanted.name:
        conditions.append(begins_with(p.name, wanted.name))
    statement = paging.after(select(*PROJECT).where(*conditions), p.id, limit=limit, cursor=cursor)
    return connection.execute(named("projects.list", statement)).mappings().all()


def lock_to_change(connection: Connection, id: str) -> RowMapping | None:
    """As `project`, which nobody else changes before the transaction ends."""
    locked = select(*VERSIONED).where(projects.c.id == id).with_for_update(key_share=True)
    return connection.execute(named("projects.lock", locked)).mappings().one_or_none()


def change_project(connection: Connection, id: str, values: dict[str, Any], *, catalog: bool) -> RowMapping:
    """`values` by column; `catalog` when what events are validated by changes with them."""
    p = projects.c
    written = {name: null() if value is None else value for name, value in values.items()}
    counted = {"version": p.version + 1, "catalog_version": p.catalog_version + int(catalog)}
    changed = update(projects).where(p.id == id).values(**written, **counted, updated_at=func.now())
    return connection.execute(named("projects.change", changed.returning(*VERSIONED))).mappings().one()
