"""Claiming deliveries: one statement takes a whole batch, another brings all that sending it needs."""

import json
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from functions.adapters.database import transaction
from functions.domain import allowlist, retry
from functions.domain.allowlist import Network
from functions.domain.outcome import Budget
from functions.domain.retry import Strategy
from functions.domain.signing import Algorithm
from functions.telemetry import logger


class Event(NamedTuple):
    id: str
    type: str
    data: str | None  # as Postgres renders it: these very bytes are signed and sent; None once it was expunged
    correlation_id: str


class Webhook(NamedTuple):
    """What encrypted is, is so in hex."""

    id: str
    project_id: str
    url: str
    timeout_seconds: int
    max_attempts: int
    status: str
    deleted: bool
    data_key: str  # encrypted
    secrets: list[tuple[Algorithm, str]]  # encrypted; its own first, then those rotated out that still sign
    headers: dict[str, str | None]  # None: the value is among the credentials
    credentials: str | None  # encrypted
    allowed: tuple[Network, ...]  # empty: anywhere
    retry_strategy: Strategy


class Claim(NamedTuple):
    """A delivery that is ours until the lease ends, or until `token` is no longer the row's."""

    id: str
    token: int
    attempt: int
    max_attempts: int
    event: Event
    webhook: Webhook

    @property
    def budget(self) -> Budget:
        webhook = self.webhook
        return Budget(self.attempt, self.max_attempts, webhook.max_attempts, webhook.retry_strategy)


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
  'webhooks', (SELECT json_agg(json_build_array(w.id, w.project_id, w.url, w.timeout_seconds, w.max_attempts,
      w.status, w.deleted_at IS NOT NULL, encode(p.data_key, 'hex'), w.signing_algorithm,
      encode(w.signing_secret, 'hex'), nullif(w.headers, '{}'), encode(w.credentials, 'hex'), w.ip_allowlist,
      nullif(w.retry_strategy, '{"kind": "exponential"}')))
    FROM webhook.webhooks w JOIN webhook.projects p ON p.id = w.project_id
    WHERE w.id = ANY (CAST(:webhooks AS uuid[]))),
  'expiring', (SELECT json_agg(json_build_array(webhook_id, algorithm, encode(secret, 'hex')) ORDER BY id DESC)
    FROM webhook.webhook_expiring_secrets
    WHERE webhook_id = ANY (CAST(:webhooks AS uuid[])) AND expires_at > now())
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
    expiring: dict[str, list[tuple[Algorithm, str]]] = {}
    for webhook_id, algorithm, secret in found["expiring"] or ():
        expiring.setdefault(webhook_id, []).append((algorithm, secret))
    events = {row[0]: Event(*row) for row in found["events"]}
    webhooks = {row[0]: _webhook(row, expiring.get(row[0], [])) for row in found["webhooks"]}
    return [
        Claim(id, token, attempt, max_attempts, events[event_id], webhooks[webhook_id])
        for id, token, attempt, max_attempts, event_id, webhook_id in rows
    ]


def _webhook(row: list[Any], expiring: list[tuple[Algorithm, str]]) -> Webhook:
    id, project_id, url, timeout, attempts, status, deleted, key, *row = row
    algorithm, secret, headers, credentials, networks, strategy = row
    return Webhook(
        id=id,
        project_id=project_id,
        url=url,
        timeout_seconds=timeout,
        max_attempts=attempts,
        status=status,
        deleted=deleted,
        data_key=key,
        secrets=[(algorithm, secret), *expiring],
        headers=headers or {},
        credentials=credentials,
        allowed=allowlist.networks(networks) if networks else (),
        retry_strategy=_strategy(id, strategy) if strategy else retry.DEFAULT,
    )


def _strategy(webhook_id: str, stored: object) -> Strategy:
    """One that this code does not know must not keep the rest of a batch back: its webhook gets the default."""
    try:
        return retry.complete(stored)
    except ValueError as error:
        logger.error("retry strategy not usable", webhook_id=webhook_id, error=str(error))
        return retry.DEFAULT
