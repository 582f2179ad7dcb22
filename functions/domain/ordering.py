"""Strict ordering (P7): a webhook that asks for it gets one delivery at a time, in the order of their keys.

The oldest unfinished delivery of such a webhook is the head of its line. Those behind it wait: pending, with
`sweep_at` at infinity, so that neither a message nor dispatch finds them. Whoever puts one in line, and whoever
wakes the next, holds the webhook's row in `webhook_health` (FOR UPDATE): so a delivery is in line before the head
is done with, and found, or finds itself at the head. Dispatch looks for lines whose head nobody woke.
"""

import json
from collections.abc import Collection

from sqlalchemy import Connection, text

from functions.domain.outbox import OUTBOX_SECONDS
from functions.statements import named

LOCK = named(
    "ordering.lock",
    text("""
SELECT webhook_id FROM webhook.webhook_health
WHERE webhook_id = ANY (CAST(:webhooks AS uuid[])) ORDER BY webhook_id FOR UPDATE
"""),
)
# The oldest unfinished delivery of each, where it waits in line: in the order of the index, since by the key alone
# the primary key would do, and that has the finished ones, too.
HEADS = named(
    "ordering.heads",
    text("""
SELECT head.id FROM webhook.webhooks w
CROSS JOIN LATERAL (
  SELECT d.id, d.status, d.sweep_at FROM webhook.webhook_deliveries d
  WHERE d.webhook_id = w.id AND d.sweep_at IS NOT NULL ORDER BY d.webhook_id, d.id LIMIT 1) head
WHERE w.id = ANY (CAST(:webhooks AS uuid[])) AND w.ordering = 'strict' AND w.status = 'active'
  AND w.deleted_at IS NULL AND head.status = 'pending' AND head.sweep_at = 'infinity'
"""),
)
# One that somebody else has locked is left to dispatch: waiting for it here could be waiting for each other.
LOCK_HEADS = named(
    "ordering.lock_heads",
    text("""
SELECT id FROM webhook.webhook_deliveries
WHERE id = ANY (CAST(:ids AS uuid[])) AND status = 'pending' AND sweep_at = 'infinity'
ORDER BY id FOR UPDATE SKIP LOCKED
"""),
)
WAKE = named(
    "ordering.wake",
    text("""
WITH woken AS (
  UPDATE webhook.webhook_deliveries
  SET scheduled_at = now(), sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
  WHERE id = ANY (CAST(:ids AS uuid[]))
  RETURNING id, token, project_id, attempts
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id, attempts) ORDER BY id), '[]')::text FROM woken
"""),
)
STRANDED = named(
    "ordering.stranded",
    text("""
SELECT w.id FROM webhook.webhooks w
CROSS JOIN LATERAL (
  SELECT d.status, d.sweep_at FROM webhook.webhook_deliveries d
  WHERE d.webhook_id = w.id AND d.sweep_at IS NOT NULL ORDER BY d.webhook_id, d.id LIMIT 1) head
WHERE w.ordering = 'strict' AND w.deleted_at IS NULL AND w.status = 'active'
  AND head.status = 'pending' AND head.sweep_at = 'infinity'
ORDER BY w.id LIMIT CAST(:most AS integer)
"""),
)

Woken = tuple[str, int, str, int]  # delivery, token, project, attempts made


def lock(connection: Connection, webhook_ids: Collection[str]) -> None:
    """Until the transaction ends, nobody else puts deliveries to these webhooks in line or wakes them."""
    connection.execute(LOCK, {"webhooks": sorted(webhook_ids)})


def wake(connection: Connection, webhook_ids: Collection[str]) -> list[Woken]:
    """Make the heads of these webhooks' lines due now, where they wait: for messages after the commit."""
    if not webhook_ids:
        return []
    webhooks = {"webhooks": sorted(webhook_ids)}
    lock(connection, webhook_ids)
    ids = [str(id) for id in connection.execute(HEADS, webhooks).scalars()]
    return _woken(connection, ids) if ids else []


def stranded(connection: Connection, most: int) -> list[str]:
    """Up to `most` webhooks whose line stands although nobody is at its head."""
    return [str(id) for id in connection.execute(STRANDED, {"most": most}).scalars()]


def _woken(connection: Connection, ids: list[str]) -> list[Woken]:
    locked = [str(id) for id in connection.execute(LOCK_HEADS, {"ids": ids}).scalars()]
    if not locked:
        return []
    woken = connection.execute(WAKE, {"ids": locked, "outbox": OUTBOX_SECONDS}).scalar_one()
    return [(id, token, project, attempts) for id, token, project, attempts in json.loads(woken)]
