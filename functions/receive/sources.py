"""The source that something is posted to, as the database has it this moment.

It is read for every request and kept nowhere: one that was disabled, and a secret that was rotated out, are
refused from the very next request on. That costs one statement by key, a fifth of a millisecond; only the data
key of the project is kept (adapters/vault.py), so that KMS is not asked each time.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.domain import allowlist
from functions.domain.senders.base import Source
from functions.errors import NotFound
from functions.statements import named

GET = named(
    "receive.source",
    text("""
SELECT CAST(s.id AS text) AS id, CAST(s.project_id AS text) AS project_id,
  CAST(s.application_id AS text) AS application_id, s.environment, s.kind, s.secret, s.verification,
  s.event_types, CAST(s.ip_allowlist AS text[]) AS ip_allowlist, s.max_body_bytes, s.replay_window_seconds,
  s.rescrape, p.data_key, coalesce(s.received_at < now() - interval '1 min', true) AS is_old,
  ARRAY(SELECT e.secret FROM webhook.source_expiring_secrets e
    WHERE e.source_id = s.id AND e.expires_at > now() ORDER BY e.id DESC) AS expiring
FROM webhook.sources s JOIN webhook.projects p ON p.id = s.project_id
WHERE s.id = CAST(:id AS uuid) AND s.enabled AND s.deleted_at IS NULL
"""),
)
# Whoever else is at it writes the same.
NOTE = named(
    "receive.note",
    text("""
UPDATE webhook.sources SET received_at = now() WHERE id = (
  SELECT id FROM webhook.sources
  WHERE id = CAST(:id AS uuid) AND coalesce(received_at < now() - interval '1 min', true)
  FOR NO KEY UPDATE SKIP LOCKED)
"""),
)


@dataclass(frozen=True)
class Addressed:
    """A source with what is to be known before anything is verified. Its secrets are still encrypted."""

    source: Source
    allowed: tuple[allowlist.Network, ...]  # empty: whoever posts
    max_body_bytes: int
    is_old: bool  # whether it is to be noted that something came
    data_key: bytes
    encrypted: Sequence[bytes]  # its own first

    def secrets(self) -> list[bytes]:
        """In no transaction: KMS may have to be asked (B5). Raises KmsUnavailableError, UnreadableSecretError."""
        key = vault.cipher(self.data_key, self.source.project_id)
        bound_to = vault.source_secret_of(self.source.project_id, self.source.id)
        return [vault.decrypt(key, bound_to, one) for one in self.encrypted]


def addressed(id: str) -> Addressed:
    """The source of this id, which must be a UUID. Raises NotFound where there is none, or it is disabled."""
    with transaction() as connection:
        row = connection.execute(GET, {"id": id}).mappings().one_or_none()
    if row is None:
        raise unknown()
    return Addressed(
        Source(
            id=row["id"],
            project_id=row["project_id"],
            application_id=row["application_id"],
            environment=row["environment"],
            kind=row["kind"],
            verification=row["verification"],
            event_types=row["event_types"],
            replay_window_seconds=row["replay_window_seconds"],
            rescrape=row["rescrape"],
        ),
        allowlist.networks(row["ip_allowlist"] or ()),
        row["max_body_bytes"],
        row["is_old"],
        bytes(row["data_key"]),
        [bytes(secret) for secret in (row["secret"], *row["expiring"])],
    )


def note(connection: Connection, found: Addressed) -> None:
    """Remember that something verified came, once a minute."""
    if found.is_old:
        connection.execute(NOTE, {"id": found.source.id})


def unknown() -> NotFound:
    return NotFound("there is no such source")


def shown(source: Source) -> dict[str, Any]:
    """What the log gets of it."""
    return {"source_id": source.id, "project_id": source.project_id, "kind": source.kind}
