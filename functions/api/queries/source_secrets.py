"""A source's secrets: its own, and those that were rotated out and are still taken."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, text

from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.models import projects, source_expiring_secrets, sources
from functions.statements import named

s = sources.c
e = source_expiring_secrets.c
# The ciphertext moves as it is: it is bound to the source, not to the row.
RETIRE = named(
    "source_secrets.retire",
    text("""
INSERT INTO webhook.source_expiring_secrets (source_id, secret, expires_at)
SELECT id, secret, now() + CAST(:overlap_seconds AS integer) * interval '1 s'
FROM webhook.sources WHERE id = CAST(:id AS uuid)
"""),
)


def own(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The source's own, encrypted, and the project's encrypted data key."""
    columns = (s.application_id, s.secret, s.version, projects.c.data_key)
    joined = select(*columns).join_from(sources, projects, projects.c.id == s.project_id)
    asked = joined.where(*within(sources, caller), s.id == id, s.deleted_at.is_(None))
    return connection.execute(named("source_secrets.own", asked)).mappings().one_or_none()


def expiring(connection: Connection, source_id: str) -> Sequence[RowMapping]:
    """Encrypted, the youngest first; none that has expired."""
    live = select(e.id, e.secret, e.expires_at).where(e.source_id == source_id, e.expires_at > func.now())
    return connection.execute(named("source_secrets.expiring", live.order_by(e.id.desc()))).mappings().all()


def retire(connection: Connection, source_id: str, overlap_seconds: int) -> None:
    """Let the source's present secret be taken for so long beside the one that takes its place."""
    connection.execute(RETIRE, {"id": source_id, "overlap_seconds": overlap_seconds})


def forget(connection: Connection, source_id: str, *which: Any) -> None:
    """Delete the expired ones; and those with the ids `which`."""
    gone = (e.expires_at <= func.now()) | e.id.in_(which)
    ended = delete(source_expiring_secrets).where(e.source_id == source_id, gone)
    connection.execute(named("source_secrets.forget", ended))
