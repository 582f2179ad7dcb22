"""The queue side of dead letters (D8, P9).

A delivery that ran out of attempts gets a message of its own, which is failed on purpose at every receive until
the redrive policy moves it to the DLQ: only such messages can be redriven from the console. A message that comes
with the right token but under another message id is that message redriven, and reopens its delivery. Where there
is nothing left to try, the dead letter is given up instead, and says why (docs/dead-letters.md).
"""

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, text

from functions.adapters.database import transaction
from functions.domain.jobs import MAX_ATTEMPTS
from functions.domain.messages import DeadLetter
from functions.domain.outbox import OUTBOX_SECONDS
from functions.statements import named


class Fate(StrEnum):
    """What is to become of a dead letter's message."""

    DYING = "dying"  # fail it: it is on its way to the DLQ
    REOPENED = "reopened"  # acknowledge it: its delivery is tried again
    DISCARDED = "discarded"  # acknowledge it: there is nothing left to try
    STALE = "stale"  # acknowledge it: the dead letter was resolved, or another message took its place


@dataclass(frozen=True)
class Judged:
    fate: Fate
    delivery_id: str | None = None
    token: int = 0
    project_id: str = ""


# First receive of the message: it is remembered and dies. Its later receives: it still dies. Another message id
# with the right token: redriven.
JUDGE = named(
    "deliver.judge_letter",
    text("""
WITH letter AS MATERIALIZED (
  SELECT l.*, coalesce(l.queue_message_id, :message_id) = :message_id AS dying
  FROM webhook.webhook_dlq l WHERE l.id = CAST(:id AS uuid) AND l.token = :token AND l.status = 'pending'
  FOR UPDATE
), met AS (
  UPDATE webhook.webhook_dlq l
  SET queue_message_id = :message_id, sweep_at = NULL
  FROM letter WHERE l.id = letter.id AND letter.dying
)
SELECT json_build_array(dying, delivery_id, event_id, webhook_id)::text FROM letter
"""),
)
# What follows is asked and changed by the keys that the first statement tells, and what is locked is locked by a
# statement of its own (docs/decisions/locks-and-partitions.md).
LOCK_DELIVERY = named(
    "deliver.lock_redriven",
    text("SELECT FROM webhook.webhook_deliveries WHERE id = CAST(:delivery AS uuid) FOR UPDATE"),
)
LOST = named(
    "deliver.lost",
    text("""
SELECT CASE
  WHEN w.deleted_at IS NOT NULL THEN 'its webhook was deleted'
  WHEN d.id IS NULL OR e.id IS NULL THEN 'it is no longer kept'
  WHEN e.expunged_at IS NOT NULL THEN 'its payload was expunged'
  WHEN d.status <> 'failed' THEN 'its delivery has not failed'
  WHEN CAST(d.attempts AS integer) + w.max_attempts > CAST(:most AS integer)
    THEN 'its attempts cannot be counted any further'
END
FROM webhook.webhooks w
LEFT JOIN webhook.webhook_deliveries d ON d.id = CAST(:delivery AS uuid)
LEFT JOIN webhook.webhook_events e ON e.id = CAST(:event AS uuid)
WHERE w.id = CAST(:webhook AS uuid)
"""),
)
# The delivery keeps its attempts and gets its webhook's budget once more. One of a strict webhook is older than
# whatever waits, and so the next in its line.
REOPEN = named(
    "deliver.reopen",
    text("""
UPDATE webhook.webhook_deliveries d
SET status = 'pending', token = d.token + 1, scheduled_at = now(),
    sweep_at = now() + CAST(:outbox AS integer) * interval '1 s',
    failed_at = NULL, max_attempts = d.attempts + w.max_attempts
FROM webhook.webhooks w WHERE d.id = CAST(:delivery AS uuid) AND w.id = d.webhook_id
RETURNING json_build_array(d.id, d.token, d.project_id)::text
"""),
)
RESOLVE = named(
    "deliver.resolve_letter",
    text("""
UPDATE webhook.webhook_dlq
SET status = :status, resolved_at = now(), resolved_by = 'queue', notes = :notes, sweep_at = NULL
WHERE id = CAST(:id AS uuid)
"""),
)


def judge(letter: DeadLetter, message_id: str) -> Judged:
    """Decide about one received message of a dead letter, and write it down. Raises sqlalchemy.exc.DBAPIError."""
    parameters = {"id": letter.id, "token": letter.token, "message_id": message_id}
    with transaction() as connection:
        judged = connection.execute(JUDGE, parameters).scalar_one_or_none()
        if judged is None:
            return Judged(Fate.STALE)
        dying, *keys = json.loads(judged)
        if dying:
            return Judged(Fate.DYING)
        return _redriven(connection, letter, dict(zip(("delivery", "event", "webhook"), keys, strict=True)))


def _redriven(connection: Connection, letter: DeadLetter, keys: dict[str, Any]) -> Judged:
    connection.execute(LOCK_DELIVERY, {"delivery": keys["delivery"]})
    lost = connection.execute(LOST, {**keys, "most": MAX_ATTEMPTS}).scalar_one()
    status, notes = ("discarded", f", but {lost}") if lost else ("resolved", "")
    notes = f"redriven from the queue{notes}"
    connection.execute(RESOLVE, {"id": letter.id, "status": status, "notes": notes})
    if lost:
        return Judged(Fate.DISCARDED)
    given = {"delivery": keys["delivery"], "outbox": OUTBOX_SECONDS}
    return Judged(Fate.REOPENED, *json.loads(connection.execute(REOPEN, given).scalar_one()))
