"""The queue side of dead letters (D8, P9).

A delivery that ran out of attempts gets a message of its own, which is failed on purpose at every receive until
the redrive policy moves it to the DLQ: only such messages can be redriven from the console. A message that comes
with the right token but under another message id is that message redriven, and reopens its delivery.
"""

import json
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import text

from functions.adapters.database import transaction
from functions.domain.messages import DeadLetter


class Fate(StrEnum):
    """What is to become of a dead letter's message."""

    DYING = "dying"  # fail it: it is on its way to the DLQ
    REOPENED = "reopened"  # acknowledge it: its delivery is tried again
    STALE = "stale"  # acknowledge it: the dead letter was resolved, or another message took its place


@dataclass(frozen=True)
class Judged:
    fate: Fate
    delivery_id: str | None = None
    token: int = 0
    project_id: str = ""


# First receive of the message: it is remembered and dies. Its later receives: it still dies. Another message id
# with the right token: redriven. The delivery keeps its attempts and gets its webhook's budget once more, as
# far as a smallint counts.
JUDGE = text("""
WITH letter AS MATERIALIZED (
  SELECT l.*, coalesce(l.queue_message_id, :message_id) = :message_id AS dying
  FROM webhook.webhook_dlq l WHERE l.id = CAST(:id AS uuid) AND l.token = :token AND l.status = 'pending'
  FOR UPDATE
), met AS (
  UPDATE webhook.webhook_dlq l
  SET queue_message_id = :message_id, sweep_at = NULL
  FROM letter WHERE l.id = letter.id AND letter.dying
), resolved AS (
  UPDATE webhook.webhook_dlq l
  SET status = 'resolved', resolved_at = now(), resolved_by = 'queue', notes = 'redriven from the queue',
      sweep_at = NULL
  FROM letter WHERE l.id = letter.id AND NOT letter.dying
)
SELECT json_build_array(dying, delivery_id)::text FROM letter
""")
# A statement of its own, by the key that the first one tells (docs/decisions/locks-and-partitions.md).
REOPEN = text("""
UPDATE webhook.webhook_deliveries d
SET status = 'pending', token = d.token + 1, scheduled_at = now(), sweep_at = now() + interval '90 s',
    failed_at = NULL, max_attempts = least(CAST(d.attempts AS integer) + w.max_attempts, 32767)
FROM webhook.webhooks w
WHERE d.id = CAST(:id AS uuid) AND d.status = 'failed' AND w.id = d.webhook_id
RETURNING json_build_array(d.id, d.token, d.project_id)::text
""")


def judge(letter: DeadLetter, message_id: str) -> Judged:
    """Decide about one received message of a dead letter, and write it down."""
    parameters = {"id": letter.id, "token": letter.token, "message_id": message_id}
    with transaction() as connection:
        judged = connection.execute(JUDGE, parameters).scalar_one_or_none()
        if judged is None:
            return Judged(Fate.STALE)
        dying, delivery_id = json.loads(judged)
        if dying:
            return Judged(Fate.DYING)
        reopened = connection.execute(REOPEN, {"id": delivery_id}).scalar_one_or_none()
    return Judged(Fate.REOPENED, *json.loads(reopened)) if reopened else Judged(Fate.STALE)
