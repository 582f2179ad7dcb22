"""Deliveries that are held back while their webhook is paused or disabled, and giving them back (P5).

Held: pending with `sweep_at` at infinity, so that neither a message nor dispatch finds it. The delivery function
holds what it meets, under a lock on the webhook (FOR SHARE) in which it looks at the webhook's status once more.
So whoever has set the status to active, and not yet let go of the row, sees all that will ever be held.
"""

import json

from sqlalchemy import Connection, text

from functions.domain.jobs import BATCH, Batch, Job
from functions.domain.outbox import OUTBOX_SECONDS
from functions.statements import named

# Of a webhook that was paused again nothing; of a deleted one all, for the delivery function to end it.
HELD = named(
    "holding.held",
    text("""
WITH open AS MATERIALIZED (
  SELECT id FROM webhook.webhooks
  WHERE id = CAST(:webhook_id AS uuid) AND (status = 'active' OR deleted_at IS NOT NULL) FOR SHARE
)
SELECT id FROM webhook.webhook_deliveries
WHERE project_id = CAST(:project_id AS uuid) AND webhook_id = CAST(:webhook_id AS uuid)
  AND status = 'pending' AND sweep_at = 'infinity' AND EXISTS (SELECT FROM open)
  AND (CAST(:position AS uuid) IS NULL OR id > CAST(:position AS uuid))
ORDER BY id LIMIT CAST(:most AS integer) FOR UPDATE
"""),
)
GIVE_BACK = named(
    "holding.give_back",
    text("""
WITH given AS (
  UPDATE webhook.webhook_deliveries
  SET scheduled_at = now(), sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
  WHERE id = ANY (CAST(:ids AS uuid[]))
  RETURNING id, token
)
SELECT json_agg(json_build_array(id, token) ORDER BY id)::text FROM given
"""),
)
COUNT = named(
    "holding.count",
    text("""
SELECT count(*) FROM webhook.webhook_deliveries
WHERE project_id = CAST(:project_id AS uuid) AND webhook_id = CAST(:webhook_id AS uuid)
  AND status = 'pending' AND sweep_at = 'infinity'
"""),
)


def count(connection: Connection, project_id: str, webhook_id: str) -> int:
    """How many deliveries to this webhook are held back."""
    given = {"project_id": project_id, "webhook_id": webhook_id}
    return int(connection.execute(COUNT, given).scalar_one())


def give_back(
    connection: Connection, project_id: str, webhook_id: str, position: str | None = None
) -> list[tuple[str, int]]:
    """Make the oldest held deliveries behind `position` due now, a batch of them: keys, in order, and tokens."""
    wanted = {"project_id": project_id, "webhook_id": webhook_id, "position": position, "most": BATCH}
    ids = [str(id) for id in connection.execute(HELD, wanted).scalars()]
    if not ids:
        return []
    given = connection.execute(GIVE_BACK, {"ids": ids, "outbox": OUTBOX_SECONDS}).scalar_one()
    return [(id, token) for id, token in json.loads(given)]


def batch(connection: Connection, job: Job) -> Batch:
    """The next batch of a job of kind `release`."""
    due = give_back(connection, job.project_id, job.parameters["webhook_id"], job.position)
    return Batch(len(due), len(due), due[-1][0] if len(due) == BATCH else None, due)
