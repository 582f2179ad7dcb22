"""What becomes of claims that are not sent: given back, held or ended. None of it uses up an attempt."""

import json
from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from functions.adapters.database import again, transaction
from functions.deliver.claims import Claim
from functions.domain.outcome import Failure
from functions.telemetry import logger

DELETED = Failure("webhook_deleted", "the webhook was deleted")
EXPUNGED = Failure("payload_expunged", "the event's payload was expunged")

RELEASE = text("""
UPDATE webhook.webhook_deliveries d
SET status = 'pending', token = d.token + 1, lease_expires_at = NULL,
    sweep_at = now() + CAST(:after_ms AS integer) * interval '1 ms'
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, token integer)
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = r.id AND d.token = r.token
""")

# A held delivery waits for its webhook to be resumed, which looks for `infinity` after its commit. So the status
# is read once more under a lock that a change of it has to wait for: a delivery is held before the change, and
# found, or after it, and not held. The webhooks are locked first and in key order, as whoever changes one locks it
# before its deliveries; recording an outcome locks no webhook in a way that these would wait for.
HOLD = text("""
WITH w AS MATERIALIZED (
  SELECT id, deleted_at IS NULL AND status <> 'active' AS waits FROM webhook.webhooks
  WHERE id = ANY (CAST(:webhooks AS uuid[])) ORDER BY id FOR SHARE
)
UPDATE webhook.webhook_deliveries d
SET status = 'pending', token = d.token + 1, lease_expires_at = NULL,
    sweep_at = CASE WHEN w.waits THEN timestamptz 'infinity' ELSE now() END
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, token integer, webhook_id uuid)
JOIN w ON w.id = r.webhook_id
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = r.id AND d.token = r.token
""")

ABANDON = text("""
UPDATE webhook.webhook_deliveries d
SET status = 'failed', token = d.token + 1, lease_expires_at = NULL, sweep_at = NULL, scheduled_at = NULL,
    failed_at = now(), last_error_code = :code, last_error_message = :message
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, token integer)
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = r.id AND d.token = r.token
""")


def set_aside(claims: list[Claim]) -> list[Claim]:
    """Those that are to be sent. The others are ended, or wait for their webhook to be resumed.

    Raises sqlalchemy.exc.DBAPIError.
    """
    sendable = [
        one
        for one in claims
        if one.webhook.status == "active" and not one.webhook.deleted and one.event.data is not None
    ]
    if len(sendable) < len(claims):
        deleted = [one for one in claims if one.webhook.deleted]
        rest = [one for one in claims if not one.webhook.deleted]
        _end(deleted, DELETED)
        _end([one for one in rest if one.event.data is None], EXPUNGED)
        _hold([one for one in rest if one.event.data is not None and one.webhook.status != "active"])
    return sendable


def release(claims: list[Claim], after: timedelta) -> None:
    """Give claims back as they were, to be looked at again `after` from now: dispatch finds them."""
    with transaction() as connection:
        connection.execute(RELEASE, {**_tokens(claims), "after_ms": int(after.total_seconds() * 1000)})


def _end(claims: list[Claim], why: Failure) -> None:
    if claims:
        logger.info("abandoned", count=len(claims), error=why.code)
        again(lambda: _write(ABANDON, {**_tokens(claims), "code": why.code, "message": why.message}))


def _hold(claims: list[Claim]) -> None:
    if claims:
        logger.info("held", count=len(claims))
        webhooks = list({claim.webhook.id for claim in claims})
        again(lambda: _write(HOLD, {**_tokens(claims), "webhooks": webhooks}))


def _write(statement: Any, parameters: dict[str, Any]) -> None:
    with transaction() as connection:
        connection.execute(statement, parameters)


def _tokens(claims: Iterable[Claim]) -> dict[str, Any]:
    rows = [{"id": claim.id, "token": claim.token, "webhook_id": claim.webhook.id} for claim in claims]
    return {"rows": json.dumps(rows), "ids": [row["id"] for row in rows]}
