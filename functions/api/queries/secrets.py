"""A webhook's signing secrets: its own, and those that were rotated out and still sign."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, select, text

from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.models import projects, webhook_expiring_secrets, webhooks
from functions.statements import named

w = webhooks.c
e = webhook_expiring_secrets.c
# The ciphertext moves as it is: it is bound to the webhook, not to the row.
RETIRE = named(
    "secrets.retire",
    text("""
INSERT INTO webhook.webhook_expiring_secrets (webhook_id, algorithm, secret, expires_at)
SELECT id, signing_algorithm, signing_secret, now() + CAST(:overlap_seconds AS integer) * interval '1 s'
FROM webhook.webhooks WHERE id = CAST(:id AS uuid)
"""),
)


def signing_secret(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """What the webhook itself signs with, encrypted, and the project's encrypted data key."""
    columns = (w.application_id, w.signing_algorithm, w.signing_secret, w.version, projects.c.data_key)
    joined = select(*columns).join_from(webhooks, projects, projects.c.id == w.project_id)
    asked = joined.where(*within(webhooks, caller), w.id == id, w.deleted_at.is_(None))
    return connection.execute(named("secrets.signing", asked)).mappings().one_or_none()


def expiring(connection: Connection, webhook_id: str) -> Sequence[RowMapping]:
    """Encrypted, the youngest first; none that has expired."""
    live = select(e.id, e.algorithm, e.secret, e.expires_at).where(e.webhook_id == webhook_id)
    asked = live.where(e.expires_at > func.now()).order_by(e.id.desc())
    return connection.execute(named("secrets.expiring", asked)).mappings().all()


def retire(connection: Connection, webhook_id: str, overlap_seconds: int) -> None:
    """Let the webhook's present secret sign for so long beside the one that takes its place."""
    connection.execute(RETIRE, {"id": webhook_id, "overlap_seconds": overlap_seconds})


def forget(connection: Connection, webhook_id: str, *which: Any) -> None:
    """Delete the expired ones; and those with the ids `which`."""
    gone = (e.expires_at <= func.now()) | e.id.in_(which)
    ended = delete(webhook_expiring_secrets).where(e.webhook_id == webhook_id, gone)
    connection.execute(named("secrets.forget", ended))
