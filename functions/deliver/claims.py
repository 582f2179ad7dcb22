"""Claiming deliveries, a whole batch at a time: which may go now, taking them, and all that sending them needs."""

import json
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, NamedTuple

from sqlalchemy import Connection, text

from functions.adapters.database import transaction
from functions.adapters.outbox import Follow
from functions.deliver.admission import Admitted, Gate, admit
from functions.domain import allowlist, retry
from functions.domain.allowlist import Network
from functions.domain.outcome import Budget
from functions.domain.retry import Strategy
from functions.domain.signing import Algorithm
from functions.statements import named
from functions.telemetry import logger


class Event(NamedTuple):
    id: str
    type: str
    data: str | None  # as Postgres renders it: these very bytes are signed and sent; None once it was expunged
    correlation_id: str
    kept: bool = True  # not once it has left the database: then there is nothing else here but the id


class Webhook(NamedTuple):
    """What encrypted is, is so in hex."""

    id: str
    project_id: str
    url: str
    timeout_seconds: int
    max_attempts: int
    status: str
    deleted: bool
    strict: bool
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


# Which of the deliveries may be claimed at all, and which of their webhooks have a say in when (admission.py).
LOOK = named(
    "deliver.look",
    text("""
WITH named AS MATERIALIZED (
  SELECT d.id, d.webhook_id, d.project_id FROM webhook.webhook_deliveries d
  WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.status IN ('pending', 'delivering')
    AND d.token = CAST(CAST(:tokens AS jsonb) ->> CAST(d.id AS text) AS integer)
)
SELECT json_build_object(
  'named', (SELECT json_agg(json_build_array(id, webhook_id, project_id) ORDER BY id) FROM named),
  'gated', (SELECT json_agg(json_build_array(w.id, w.ordering = 'strict', h.circuit <> 'closed'
      OR h.hold_until > now() OR h.slow_until > now()))
    FROM webhook.webhooks w JOIN webhook.webhook_health h ON h.webhook_id = w.id
    WHERE w.id = ANY (ARRAY (SELECT DISTINCT webhook_id FROM named)) AND w.status = 'active'
      AND w.deleted_at IS NULL AND (w.ordering = 'strict' OR w.rate_limit_requests IS NOT NULL
        OR h.circuit <> 'closed' OR h.hold_until > now() OR h.slow_until > now()))
)::text
"""),
)
# It joins the partitions to nothing, so that none is looked for while it runs: it may have to wait for a row
# (docs/decisions/locks-and-partitions.md). Of two claims of a row the second then finds the token gone. What
# waited in line is looked at by dispatch from now on, were this claimer to die.
CLAIM = named(
    "deliver.claim",
    text("""
WITH claimed AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'delivering', token = d.token + 1,
      lease_expires_at = now() + CAST(:lease_ms AS integer) * interval '1 ms',
      sweep_at = CASE WHEN d.sweep_at = 'infinity' THEN now() ELSE d.sweep_at END
  WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.status IN ('pending', 'delivering')
    AND d.token = CAST(CAST(:tokens AS jsonb) ->> CAST(d.id AS text) AS integer)
  RETURNING d.id, d.token, d.attempts + 1 AS attempt, d.max_attempts, d.event_id, d.webhook_id
)
SELECT coalesce(json_agg(json_build_array(id, token, attempt, max_attempts, event_id, webhook_id) ORDER BY id),
  '[]')::text FROM claimed
"""),
)
CONTENTS = named(
    "deliver.contents",
    text("""
SELECT json_build_object(
  'events', (SELECT json_agg(json_build_array(id, type, data::text, correlation_id))
    FROM webhook.webhook_events WHERE id = ANY (CAST(:events AS uuid[]))),
  'webhooks', (SELECT json_agg(json_build_array(w.id, w.project_id, w.url, w.timeout_seconds, w.max_attempts,
      w.status, w.deleted_at IS NOT NULL, w.ordering = 'strict', encode(p.data_key, 'hex'), w.signing_algorithm,
      encode(w.signing_secret, 'hex'), nullif(w.headers, '{}'), encode(w.credentials, 'hex'), w.ip_allowlist,
      nullif(w.retry_strategy, '{"kind": "exponential"}')))
    FROM webhook.webhooks w JOIN webhook.projects p ON p.id = w.project_id
    WHERE w.id = ANY (CAST(:webhooks AS uuid[]))),
  'expiring', (SELECT json_agg(json_build_array(webhook_id, algorithm, encode(secret, 'hex')) ORDER BY id DESC)
    FROM webhook.webhook_expiring_secrets
    WHERE webhook_id = ANY (CAST(:webhooks AS uuid[])) AND expires_at > now())
)::text
"""),
)


class Lane(StrEnum):
    """Which of the two queues a message came from (P6)."""

    FRESH = "fresh"  # first attempts
    RETRY = "retry"  # later ones, and all to webhooks that are slow or whose circuit is not closed


class Taken(NamedTuple):
    """What came of the deliveries that messages named."""

    claims: list[Claim]
    elsewhere: list[Follow]  # untouched: for the other lane
    held: list[Follow]  # due later


def claim(tokens: dict[str, int], lease_ms: int, lane: Lane, busy: Mapping[str, int]) -> Taken:
    """Take those of these deliveries (id → token) that may go now, for `lease_ms` from now.

    Stale, finished and unknown ones are in no part of the answer. `busy` is how many requests to a webhook are
    under way in this invocation. Raises sqlalchemy.exc.DBAPIError.
    """
    with transaction() as connection:
        found = json.loads(connection.execute(LOOK, _named(tokens)).scalar_one())
        by_webhook: dict[str, list[Follow]] = {}
        for id, webhook_id, project_id in found["named"] or ():
            by_webhook.setdefault(webhook_id, []).append(Follow(id, tokens[id], project_id))
        gates = [Gate(*row) for row in found["gated"] or ()]
        elsewhere: list[Follow] = []
        if lane is Lane.FRESH:
            elsewhere = [one for gate in gates if gate.unhealthy for one in by_webhook.pop(gate.webhook_id)]
            gates = [gate for gate in gates if not gate.unhealthy]
        gated = {gate.webhook_id: [one.id for one in by_webhook.pop(gate.webhook_id)] for gate in gates}
        admitted = admit(connection, gates, gated, tokens, busy, fresh=lane is Lane.FRESH) if gates else Admitted()
        wanted = admitted.tokens | {one.id: one.token for named in by_webhook.values() for one in named}
        claims = _claimed(connection, wanted, lease_ms) if wanted else []
    return Taken(claims, elsewhere, admitted.held)


def _claimed(connection: Connection, tokens: dict[str, int], lease_ms: int) -> list[Claim]:
    taken = connection.execute(CLAIM, {**_named(tokens), "lease_ms": lease_ms})
    rows: list[list[Any]] = json.loads(taken.scalar_one())
    return _with_contents(connection, rows) if rows else []


def _named(tokens: dict[str, int]) -> dict[str, Any]:
    return {"ids": list(tokens), "tokens": json.dumps(tokens)}


def _with_contents(connection: Connection, rows: list[list[Any]]) -> list[Claim]:
    wanted = {"events": list({row[4] for row in rows}), "webhooks": list({row[5] for row in rows})}
    found = json.loads(connection.execute(CONTENTS, wanted).scalar_one())
    expiring: dict[str, list[tuple[Algorithm, str]]] = {}
    for webhook_id, algorithm, secret in found["expiring"] or ():
        expiring.setdefault(webhook_id, []).append((algorithm, secret))
    events = {id: Event(id, "", None, "", kept=False) for id in wanted["events"]}
    events |= {row[0]: Event(*row) for row in found["events"] or ()}
    webhooks = {row[0]: _webhook(row, expiring.get(row[0], [])) for row in found["webhooks"]}
    return [
        Claim(id, token, attempt, max_attempts, events[event_id], webhooks[webhook_id])
        for id, token, attempt, max_attempts, event_id, webhook_id in rows
    ]


def _webhook(row: list[Any], expiring: list[tuple[Algorithm, str]]) -> Webhook:
    id, project_id, url, timeout, attempts, status, deleted, strict, key, *row = row
    algorithm, secret, headers, credentials, networks, strategy = row
    return Webhook(
        id=id,
        project_id=project_id,
        url=url,
        timeout_seconds=timeout,
        max_attempts=attempts,
        status=status,
        deleted=deleted,
        strict=strict,
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
