"""Projects and their API keys."""

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import Connection, RowMapping, insert, select, text

from functions.api import paging
from functions.domain.api_keys import NewKey
from functions.models import api_keys, projects

PROJECT = (projects.c.id, projects.c.name, projects.c.created_at, projects.c.updated_at)
API_KEY = (
    api_keys.c.id,
    api_keys.c.name,
    api_keys.c.prefix,
    api_keys.c.scopes,
    api_keys.c.expires_at,
    api_keys.c.revoked_at,
    api_keys.c.created_at,
)


def add_project(connection: Connection, *, id: str, name: str, data_key: bytes) -> RowMapping:
    statement = insert(projects).values(id=id, name=name, data_key=data_key).returning(*PROJECT)
    return connection.execute(statement).mappings().one()


def project(connection: Connection, id: str) -> RowMapping | None:
    return connection.execute(select(*PROJECT).where(projects.c.id == id)).mappings().one_or_none()


def list_projects(connection: Connection, *, limit: int, cursor: str) -> Sequence[RowMapping]:
    statement = paging.after(select(*PROJECT), projects.c.id, limit=limit, cursor=cursor)
    return connection.execute(statement).mappings().all()


def add_api_key(
    connection: Connection,
    project_id: str,
    new: NewKey,
    *,
    name: str,
    scopes: list[str],
    expires_at: datetime | None,
) -> RowMapping:
    statement = (
        insert(api_keys)
        .values(
            project_id=project_id,
            name=name,
            prefix=new.prefix,
            key_hash=new.hash,
            scopes=scopes,
            expires_at=expires_at,
        )
        .returning(*API_KEY)
    )
    return connection.execute(statement).mappings().one()


def list_api_keys(connection: Connection, project_id: str, *, limit: int, cursor: str) -> Sequence[RowMapping]:
    keys = select(*API_KEY).where(api_keys.c.project_id == project_id)
    return connection.execute(paging.after(keys, api_keys.c.id, limit=limit, cursor=cursor)).mappings().all()


REVOKE = text("""
UPDATE webhook.api_keys SET revoked_at = coalesce(revoked_at, now())
WHERE id = CAST(:id AS uuid) AND project_id = CAST(:project_id AS uuid)
""")


def revoke_api_key(connection: Connection, project_id: str, id: str) -> bool:
    """Whether there is such a key; revoking one twice changes nothing."""
    return connection.execute(REVOKE, {"id": id, "project_id": project_id}).rowcount == 1
