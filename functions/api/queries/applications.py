"""Applications: the project's own customers, named by their id or by the project's own name for them (uid)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, Select, false, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries import sources, webhooks
from functions.api.queries.matching import begins_with
from functions.domain.ids import is_uid, parse_uuid
from functions.errors import Conflict, Detail, Invalid, NotFound, Unauthorized
from functions.ingest.ingesting import MISSING
from functions.models import applications
from functions.statements import named

APPLICATION = (
    applications.c.id,
    applications.c.uid,
    applications.c.name,
    applications.c.created_at,
    applications.c.updated_at,
    applications.c.created_by,
    applications.c.updated_by,
)
VERSIONED = (*APPLICATION, applications.c.version)
LIVING = applications.c.deleted_at.is_(None)
REVOKE_KEYS = named(
    "applications.revoke_keys",
    text("""
UPDATE webhook.api_keys SET revoked_at = now()
WHERE project_id = CAST(:project_id AS uuid) AND application_id = CAST(:id AS uuid) AND revoked_at IS NULL
RETURNING CAST(id AS text) AS id, name, prefix, scopes
"""),
)


@dataclass(frozen=True)
class Filter:
    """What a list of applications is narrowed to; None or empty means any."""

    uid: str = ""
    name: str = ""  # its beginning, whatever the case
    created_after: datetime | None = None
    created_before: datetime | None = None


@dataclass(frozen=True)
class Gone:
    """What an application took along: the webhooks and sources that were deleted, the keys that were revoked."""

    webhooks: list[dict[str, Any]]
    sources: list[dict[str, Any]]
    api_keys: list[dict[str, Any]]


def resolve(connection: Connection, caller: Caller, wanted: str, *, path: str = "application_id") -> str:
    """The key of the living application that `wanted` (id or uid) names, for a write that is bound to it.

    It cannot be deleted before the transaction ends. Raises Invalid at `path`; NotFound when the caller's key is
    bound to an application and that is not the one (C1).
    """
    asked = select(applications.c.id).where(*_named(caller, wanted), LIVING)
    locked = named("applications.lock_to_bind", asked.with_for_update(read=True, key_share=True))
    found = connection.execute(locked).scalar_one_or_none()
    if found is None:
        raise _missing(caller, path)
    return str(found)


def resolve_for_reading(
    connection: Connection, caller: Caller, wanted: str, *, path: str = "application_id"
) -> str:
    """As `resolve`, for the filter of a list: takes no lock, and finds a deleted one by its id."""
    living = () if parse_uuid(wanted) else (LIVING,)
    asked = select(applications.c.id).where(*_named(caller, wanted), *living)
    found = connection.execute(named("applications.resolve", asked)).scalar_one_or_none()
    if found is None:
        raise _missing(caller, path)
    return str(found)


def binding(connection: Connection, caller: Caller, wanted: str | None) -> str | None:
    """The application that a new thing of this caller belongs to; None when it is the whole project's.

    A key that is bound binds what it makes: `wanted` is absent or its own. Raises as `resolve`, and Unauthorized
    when the key's own application is no more (the gateway may know the key for 60 s longer).
    """
    if wanted is not None:
        return resolve(connection, caller, wanted)
    if not caller.application_id:
        return None
    try:
        return resolve(connection, caller, caller.application_id)
    except NotFound:
        raise Unauthorized("the API key is revoked: its application was deleted") from None


def add_application(connection: Connection, caller: Caller, values: dict[str, Any]) -> RowMapping:
    """Raises Conflict when a living application of the project has the uid."""
    by = {"project_id": caller.project_id, "created_by": caller.key_id, "updated_by": caller.key_id}
    added = insert(applications).values(**values, **by).returning(*VERSIONED)
    with _uid_is_free(values.get("uid")):
        return connection.execute(named("applications.add", added)).mappings().one()


def application(connection: Connection, caller: Caller, wanted: str) -> RowMapping | None:
    """The living application that `wanted` (id or uid) names, with its version."""
    return connection.execute(named("applications.get", _living(caller, wanted))).mappings().one_or_none()


def list_applications(
    connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    a = applications.c
    conditions = paging.created_between(a.id, a.created_at, wanted.created_after, wanted.created_before)
    if wanted.uid:
        conditions.append(a.uid == wanted.uid)
    if wanted.name:
        conditions.append(begins_with(a.name, wanted.name))
    statement = select(*APPLICATION).where(*_of(caller), LIVING, *conditions)
    page = named("applications.list", paging.after(statement, a.id, limit=limit, cursor=cursor))
    return connection.execute(page).mappings().all()


def lock_to_change(connection: Connection, caller: Caller, wanted: str) -> RowMapping | None:
    """As `application`, which nobody else changes or deletes before the transaction ends."""
    locked = _living(caller, wanted).with_for_update(key_share=True)
    return connection.execute(named("applications.lock_to_change", locked)).mappings().one_or_none()


def lock_to_delete(connection: Connection, caller: Caller, wanted: str) -> RowMapping | None:
    """As `lock_to_change`; waits for transactions that bind something to it (`resolve`) as well."""
    locked = _living(caller, wanted).with_for_update()
    return connection.execute(named("applications.lock_to_delete", locked)).mappings().one_or_none()


def change_application(connection: Connection, caller: Caller, id: str, values: dict[str, Any]) -> RowMapping:
    """`values` by column. Raises Conflict when another living application of the project has the uid."""
    a = applications.c
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": a.version + 1}
    changed = update(applications).where(*_of(caller), a.id == id).values(**values, **by)
    with _uid_is_free(values.get("uid")):
        return connection.execute(named("applications.change", changed.returning(*VERSIONED))).mappings().one()


def delete_application(connection: Connection, caller: Caller, id: str) -> Gone:
    """The row stays as the parent of its events; its webhooks and sources are deleted, its keys revoked (C1)."""
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": applications.c.version + 1}
    ended = update(applications).where(*_of(caller), applications.c.id == id)
    connection.execute(named("applications.delete", ended.values(deleted_at=func.now(), **by)))
    gone = webhooks.delete_webhooks_of_application(connection, caller.project_id, id, caller.key_id)
    unheard = sources.delete_sources_of_application(connection, caller.project_id, id, caller.key_id)
    revoked = connection.execute(REVOKE_KEYS, {"project_id": caller.project_id, "id": id}).mappings()
    return Gone(gone, unheard, [dict(row) for row in revoked])


def _living(caller: Caller, wanted: str) -> Select[Any]:
    return select(*VERSIONED).where(*_named(caller, wanted), LIVING)


def _named(caller: Caller, wanted: str) -> list[ColumnElement[Any]]:
    """No uid has the shape of a UUID, so `wanted` is one or the other, or neither."""
    if id := parse_uuid(wanted):
        return [*_of(caller), applications.c.id == str(id)]
    return [*_of(caller), applications.c.uid == wanted if is_uid(wanted) else false()]


def _of(caller: Caller) -> list[ColumnElement[Any]]:
    """What queries/reach.py says of other tables: here the application's own id is what a key is bound to."""
    conditions: list[ColumnElement[Any]] = [applications.c.project_id == caller.project_id]
    if caller.application_id:
        conditions.append(applications.c.id == caller.application_id)
    return conditions


@contextmanager
def _uid_is_free(uid: str | None) -> Iterator[None]:
    try:
        yield
    except IntegrityError as error:
        if "applications_uid_key" not in str(error.orig):
            raise
        taken = Detail("uid", "is another application's")
        raise Conflict(f"an application of the project has the uid {uid}", details=(taken,)) from None


def _missing(caller: Caller, path: str) -> NotFound | Invalid:
    if caller.application_id:
        return NotFound(MISSING)
    return Invalid(MISSING, details=(Detail(path, MISSING),))
