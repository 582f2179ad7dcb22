"""Applications: the project's own customers, named by their id or by the project's own name for them (uid)."""

from typing import Any

from sqlalchemy import ColumnElement, Connection, false, select

from functions.api.caller import Caller
from functions.domain.ids import is_uid, parse_uuid
from functions.errors import Detail, Invalid, NotFound
from functions.models import applications

MISSING = "there is no such application"


def resolve(connection: Connection, caller: Caller, wanted: str, *, path: str = "application_id") -> str:
    """The key of the living application that `wanted` (id or uid) names, for a write that is bound to it.

    It cannot be deleted before the transaction ends. Raises Invalid at `path`; NotFound when the caller's key is
    bound to an application and that is not the one (C1).
    """
    asked = select(applications.c.id).where(*_named(caller, wanted), applications.c.deleted_at.is_(None))
    found = connection.execute(asked.with_for_update(read=True, key_share=True)).scalar_one_or_none()
    if found is None:
        raise _missing(caller, path)
    return str(found)


def resolve_for_reading(
    connection: Connection, caller: Caller, wanted: str, *, path: str = "application_id"
) -> str:
    """As `resolve`, for the filter of a list: takes no lock, and finds a deleted one by its id."""
    living = () if parse_uuid(wanted) else (applications.c.deleted_at.is_(None),)
    asked = select(applications.c.id).where(*_named(caller, wanted), *living)
    found = connection.execute(asked).scalar_one_or_none()
    if found is None:
        raise _missing(caller, path)
    return str(found)


def _named(caller: Caller, wanted: str) -> list[ColumnElement[Any]]:
    """No uid has the shape of a UUID, so `wanted` is one or the other, or neither."""
    conditions: list[ColumnElement[Any]] = [applications.c.project_id == caller.project_id]
    if caller.application_id:
        conditions.append(applications.c.id == caller.application_id)
    if id := parse_uuid(wanted):
        return [*conditions, applications.c.id == str(id)]
    return [*conditions, applications.c.uid == wanted if is_uid(wanted) else false()]


def _missing(caller: Caller, path: str) -> NotFound | Invalid:
    if caller.application_id:
        return NotFound(MISSING)
    return Invalid(MISSING, details=(Detail(path, MISSING),))
