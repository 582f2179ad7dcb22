"""What becomes of claims that are not sent: given back, held or ended. None of it uses up an attempt."""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text

from functions.adapters.database import again, transaction
from functions.adapters.outbox import Follow
from functions.deliver.claims import Claim
from functions.domain import ordering
from functions.domain.ordering import Woken
from functions.domain.outcome import Failure
from functions.statements import named
from functions.telemetry import logger

DELETED = Failure("webhook_deleted", "the webhook was deleted")
EXPUNGED = Failure("payload_expunged", "the event's payload was expunged")
GONE = Failure("event_gone", "the event is not kept any more")

# None of these joins the partitions to anything (docs/decisions/locks-and-partitions.md).
#
# Without a time: in line behind the head of a strict webhook.
RELEASE = named(
    "deliver.release",
    text("""
UPDATE webhook.webhook_deliveries
SET status = 'pending', token = token + 1, lease_expires_at = NULL,
    sweep_at = coalesce(now() + CAST(:after_ms AS integer) * interval '1 ms', 'infinity')
WHERE id = ANY (CAST(:ids AS uuid[])) AND token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS integer)
"""),
)

# A held delivery waits for its webhook to be resumed, which looks for `infinity` after its commit. So the status
# is read once more under a lock that a change of it has to wait for: a delivery is held before the change, and
# found, or after it, and not held. The webhooks are locked first and in key order, as whoever changes one locks it
# before its deliveries; recording an outcome locks no webhook in a way that these would wait for.
LOCK = named(
    "deliver.lock_waiting",
    text("""
SELECT id FROM (
  SELECT id, deleted_at IS NULL AND status <> 'active' AS waits FROM webhook.webhooks
  WHERE id = ANY (CAST(:webhooks AS uuid[])) ORDER BY id FOR SHARE
) locked WHERE waits
"""),
)
HOLD = named(
    "deliver.hold",
    text("""
UPDATE webhook.webhook_deliveries
SET status = 'pending', token = token + 1, lease_expires_at = NULL,
    sweep_at = CASE WHEN webhook_id = ANY (CAST(:waiting AS uuid[])) THEN timestamptz 'infinity' ELSE now() END
WHERE id = ANY (CAST(:ids AS uuid[])) AND token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS integer)
"""),
)

ABANDON = named(
    "deliver.abandon",
    text("""
UPDATE webhook.webhook_deliveries
SET status = 'failed', token = token + 1, lease_expires_at = NULL, sweep_at = NULL, scheduled_at = NULL,
    failed_at = now(), last_error_code = :code, last_error_message = :message
WHERE id = ANY (CAST(:ids AS uuid[])) AND token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS integer)
"""),
)


@dataclass(frozen=True)
class Aside:
    """The claims that are to be sent, and the heads of lines that were waiting for one that ended."""

    sendable: list[Claim]
    woken: list[Woken]


def set_aside(claims: list[Claim]) -> Aside:
    """End those that are not to be sent, or hold them until their webhook is resumed.

    Raises sqlalchemy.exc.DBAPIError.
    """
    sendable = [
        one
        for one in claims
        if one.webhook.status == "active" and not one.webhook.deleted and one.event.data is not None
    ]
    if len(sendable) == len(claims):
        return Aside(sendable, [])
    rest = [one for one in claims if not one.webhook.deleted]
    _end([one for one in claims if one.webhook.deleted], DELETED)
    woken = _end([one for one in rest if not one.event.kept], GONE)
    woken += _end([one for one in rest if one.event.kept and one.event.data is None], EXPUNGED)
    _hold([one for one in rest if one.event.data is not None and one.webhook.status != "active"])
    return Aside(sendable, woken)


def release(claims: list[Claim], after: timedelta) -> list[Follow]:
    """Give claims back as they were; dispatch finds them `after` from now, unless a message does before.

    Raises sqlalchemy.exc.DBAPIError.
    """

    def write() -> None:
        with transaction() as connection:
            connection.execute(RELEASE, {**_tokens(claims), "after_ms": int(after.total_seconds() * 1000)})

    if claims:
        again(write)
    return [Follow(claim.id, claim.token + 1, claim.webhook.project_id) for claim in claims]


def line_up(claims: list[Claim]) -> None:
    """Put claims of strict webhooks back in line: the delivery before them is not done with."""

    def write() -> None:
        with transaction() as connection:
            ordering.lock(connection, {claim.webhook.id for claim in claims})
            connection.execute(RELEASE, {**_tokens(claims), "after_ms": None})

    if claims:
        again(write)


def _end(claims: list[Claim], why: Failure) -> list[Woken]:
    def write() -> list[Woken]:
        with transaction() as connection:
            connection.execute(ABANDON, {**_tokens(claims), "code": why.code, "message": why.message})
            return ordering.wake(connection, {claim.webhook.id for claim in claims if claim.webhook.strict})

    if not claims:
        return []
    logger.info("abandoned", count=len(claims), error=why.code)
    return again(write)


def _hold(claims: list[Claim]) -> None:
    def write() -> None:
        with transaction() as connection:
            waiting = connection.execute(LOCK, {"webhooks": list({claim.webhook.id for claim in claims})})
            given = {**_tokens(claims), "waiting": [str(id) for id in waiting.scalars()]}
            connection.execute(HOLD, given)

    if claims:
        logger.info("held", count=len(claims))
        again(write)


def _tokens(claims: Iterable[Claim]) -> dict[str, Any]:
    tokens = {claim.id: claim.token for claim in claims}
    return {"ids": list(tokens), "tokens": json.dumps(tokens)}
