"""Claiming deliveries: one statement takes a whole batch, another brings all that sending it needs."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from functions.adapters.database import transaction


@dataclass(frozen=True)
class Event:
    id: str
    type: str
    data: str  # as Postgres renders it: these very bytes are signed and sent
    correlation_id: str


@dataclass(frozen=True)
class Webhook:
    id: str
    project_id: str
    url: str
    timeout_seconds: int
    signing_secret: str  # encrypted, hex
    data_key: str  # encrypted, hex
    deleted: bool


@dataclass(frozen=True)
class Claim:
    """A delivery that is ours until the lease ends, or until `token` is no longer the row's."""

    id: str
    token: int
    attempt: int
    max_attempts: int
    event: Event
    webhook: Webhook


# `= ANY (:ids)` stands beside the join so that partitions are pruned when the statement is planned, not probed one
# by one. Of two claims of the same row the second waits for the first, and then finds the token gone.
CLAIM = text("""
WITH claimed AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'delivering', token = d.token + 1,
      lease_expires_at = now() + CAST(:lease_ms AS integer) * interval '1 ms'
  FROM jsonb_to_recordset(CAST(:wanted AS jsonb)) AS wanted (id uuid, token integer)
  WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = wanted.id AND d.token = wanted.token
    AND d.status IN ('pending', 'delivering')
  RETURNING d.id, d.token, d.attempts + 1 AS attempt, d.max_attempts, d.event_id, d.webhook_id
)
SELECT coalesce(json_agg(json_build_array(id, token, attempt, max_attempts, event_id, webhook_id)), '[]')::text
FROM claimed
""")
CONTENTS = text("""
SELECT json_build_object(
  'events', (SELECT json_agg(json_build_array(id, type, data::text, correlation_id))
    FROM webhook.webhook_events WHERE id = ANY (CAST(:events AS uuid[]))),
  'webhooks', (SELECT json_agg(json_build_array(w.id, w.project_id, w.url, w.timeout_seconds,
      encode(w.signing_secret, 'hex'), encode(p.data_key, 'hex'), w.deleted_at IS NOT NULL))
    FROM webhook.webhooks w JOIN webhook.projects p ON p.id = w.project_id
    WHERE w.id = ANY (CAST(:webhooks AS uuid[])))
)::text
""")


def claim(tokens: dict[str, int], lease_ms: int) -> list[Claim]:
    """Take those of these deliveries (id → token) whose token is still the row's, for `lease_ms` from now.

    Stale, finished and unknown ones are just not in the answer. Raises sqlalchemy.exc.DBAPIError.
    """
    wanted = json.dumps([{"id": key, "token": token} for key, token in tokens.items()])
    with transaction() as connection:
        taken = connection.execute(CLAIM, {"wanted": wanted, "ids": list(tokens), "lease_ms": lease_ms})
        rows: list[list[Any]] = json.loads(taken.scalar_one())
        return _with_contents(connection, rows) if rows else []


def _with_contents(connection: Connection, rows: list[list[Any]]) -> list[Claim]:
    wanted = {"events": list({row[4] for row in rows}), "webhooks": list({row[5] for row in rows})}
    found = json.loads(connection.execute(CONTENTS, wanted).scalar_one())
    events = {row[0]: Event(*row) for row in found["events"]}
    webhooks = {row[0]: Webhook(*row) for row in found["webhooks"]}
    return [
        Claim(id, token, attempt, max_attempts, events[event_id], webhooks[webhook_id])
        for id, token, attempt, max_attempts, event_id, webhook_id in rows
    ]
