"""Disabling webhooks without being asked (D5): at 410, and after days of nothing but failures.

A disabled webhook gets no further deliveries, and those that are not finished wait until it is resumed
(domain/holding.py).
"""

import json
from collections.abc import Iterable, Mapping, Sequence

from sqlalchemy import Connection, text

from functions.domain.ids import uuid7
from functions.domain.operational import DISABLED, Notice, Signal, notify
from functions.statements import named

# The event that tells of it refers to its application, and a deletion of that locks it before its webhooks.
LOCK_APPLICATIONS = named(
    "disabling.lock_applications",
    text("""
SELECT id FROM webhook.applications
WHERE id IN (SELECT application_id FROM webhook.webhooks WHERE id = ANY (CAST(:ids AS uuid[])))
ORDER BY id FOR KEY SHARE
"""),
)
# Not FOR UPDATE: events are accepted for it meanwhile, and their deliveries refer to its key.
LOCK = named(
    "disabling.lock",
    text("""
SELECT id FROM webhook.webhooks
WHERE id = ANY (CAST(:ids AS uuid[])) AND status <> 'disabled' AND deleted_at IS NULL
ORDER BY id FOR NO KEY UPDATE
"""),
)
DISABLE = named(
    "disabling.disable",
    text("""
WITH disabled AS (
  UPDATE webhook.webhooks w
  SET status = 'disabled', status_reason = left(r.reason, 255), status_changed_at = now(), updated_at = now(),
      updated_by = NULL, version = w.version + 1
  FROM jsonb_to_recordset(CAST(:reasons AS jsonb)) AS r (id uuid, reason text)
  WHERE w.id = ANY (CAST(:ids AS uuid[])) AND w.id = r.id
  RETURNING w.id, w.project_id, w.application_id, w.name, w.url, old.status AS status_before,
    old.status_reason AS reason_before, coalesce(old.status_changed_at, w.created_at) AS changed_before,
    w.status, w.status_reason, w.status_changed_at
), audited AS (
  INSERT INTO webhook.audit_log (project_id, application_id, event, level, actor_type, resource_type, resource_id,
    before, after, correlation_id, request_id)
  SELECT project_id, application_id, 'webhook.disabled', 'warning', 'hookline', 'webhook', CAST(id AS text),
    jsonb_build_object('id', id, 'name', name, 'url', url, 'status', status_before, 'status_reason',
      reason_before, 'status_changed_at', webhook.rfc3339(changed_before)),
    jsonb_build_object('id', id, 'name', name, 'url', url, 'status', status, 'status_reason',
      status_reason, 'status_changed_at', webhook.rfc3339(status_changed_at)),
    :correlation_id, :correlation_id
  FROM disabled ORDER BY id
)
SELECT coalesce(json_agg(json_build_array(id, status_reason, webhook.rfc3339(status_changed_at)) ORDER BY id),
  '[]')::text FROM disabled
"""),
)


def disable(connection: Connection, webhook_ids: Sequence[str], reason: str) -> list[Notice]:
    """Disable those of these webhooks that are active or paused, in the caller's transaction, and tell of it.

    `reason` is shown as the webhook's `status_reason`, 255 characters of it. The webhooks are locked, so this
    comes before whatever locks deliveries. The notices' messages go to the delivery queue after the commit.
    """
    return disable_each(connection, dict.fromkeys(lock(connection, webhook_ids), reason))


def lock(connection: Connection, webhook_ids: Iterable[str]) -> list[str]:
    """Those of these webhooks that can be disabled, in key order: nobody else changes them now."""
    ids = sorted(set(webhook_ids))
    if not ids:
        return []
    connection.execute(LOCK_APPLICATIONS, {"ids": ids})
    return [str(id) for id in connection.execute(LOCK, {"ids": ids}).scalars()]


def disable_each(connection: Connection, reasons: Mapping[str, str]) -> list[Notice]:
    """Disable webhooks that are locked, each for its reason, by its id."""
    if not reasons:
        return []
    correlation_id = uuid7()
    given = {
        "ids": list(reasons),
        "reasons": json.dumps([{"id": id, "reason": reason} for id, reason in reasons.items()]),
        "correlation_id": correlation_id,
    }
    disabled = json.loads(connection.execute(DISABLE, given).scalar_one())
    told = [Signal(DISABLED, id, None, {"reason": reason, "disabled_at": at}) for id, reason, at in disabled]
    return notify(connection, told, correlation_id=correlation_id)
