"""The API keys of one project."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, RowMapping, func, insert, or_, select, update

from functions.api import paging
from functions.domain.api_keys import NewKey
from functions.models import api_keys
from functions.statements import named

API_KEY = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.prefix,
    api_keys.c.scopes,
    api_keys.c.application_id,
    api_keys.c.expires_at,
    api_keys.c.revoked_at,
    api_keys.c.created_at,
)


@dataclass(frozen=True)
class Filter:
    """What a list of keys is narrowed to; None or empty means any."""

    application_id: str = ""  # the application's key
    prefix: str = ""
    active: bool | None = None  # neither revoked nor expired


def add_api_key(
    connection: Connection,
    project_id: str,
    new: NewKey,
    *,
    name: str,
    scopes: list[str],
    application_id: str | None,
    expires_at: datetime | None,
) -> RowMapping:
    """`application_id` is the application's key."""
    row = {"project_id": project_id, "name": name, "scopes": scopes, "expires_at": expires_at}
    stored = {"prefix": new.prefix, "key_hash": new.hash, "application_id": application_id}
    statement = insert(api_keys).values(**row, **stored).returning(*API_KEY)
    return connection.execute(named("api_keys.add", statement)).mappings().one()


def api_key(connection: Connection, project_id: str, id: str) -> RowMapping | None:
    wanted = select(*API_KEY).where(api_keys.c.project_id == project_id, api_keys.c.id == id)
    return connection.execute(named("api_keys.get", wanted)).mappings().one_or_none()


def list_api_keys(
    connection: Connection, project_id: str, wanted: Filter, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    k = api_keys.c
    keys = select(*API_KEY).where(k.project_id == project_id)
    if wanted.application_id:
        keys = keys.where(k.application_id == wanted.application_id)
    if wanted.prefix:
        keys = keys.where(k.prefix == wanted.prefix)
    if wanted.active is not None:
        ended = or_(k.revoked_at.is_not(None), func.coalesce(k.expires_at <= func.now(), False))
        keys = keys.where(~ended if wanted.active else ended)
    page = named("api_keys.list", paging.after(keys, k.id, limit=limit, cursor=cursor))
    return connection.execute(page).mappings().all()


def revoke_api_key(connection: Connection, project_id: str, id: str) -> RowMapping | None:
    """The key as it is now; None when it was revoked before or is not there."""
    k = api_keys.c
    live = update(api_keys).where(k.project_id == project_id, k.id == id, k.revoked_at.is_(None))
    revoked = named("api_keys.revoke", live.values(revoked_at=func.now()).returning(*API_KEY))
    return connection.execute(revoked).mappings().one_or_none()
