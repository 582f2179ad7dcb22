"""The job `dead_letters`: forgets those that were dealt with, discards those that nobody will deal with (D8)."""

from datetime import timedelta

from sqlalchemy import Connection, text

from functions.adapters.database import connect_owner
from functions.domain.dead_letters import HOOKLINE, discard
from functions.domain.ids import uuid7_floor
from functions.maintain.run import Run
from functions.settings import settings
from functions.statements import named

BATCH = 500  # as the levers: a fraction of a second

# What was dealt with never becomes pending again: another failure makes another dead letter.
FORGET = named(
    "maintain.dead_letters.forget",
    text("""
WITH old AS MATERIALIZED (
  SELECT id FROM webhook.webhook_dlq WHERE resolved_at < :before
  ORDER BY resolved_at LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED
)
DELETE FROM webhook.webhook_dlq l USING old WHERE l.id = old.id
"""),
)
# By the key: of those that are so old, all others are gone.
PENDING = named(
    "maintain.dead_letters.pending",
    text("""
SELECT id FROM webhook.webhook_dlq
WHERE id < CAST(:before AS uuid) AND status = 'pending' ORDER BY id LIMIT CAST(:most AS integer)
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many were forgotten (`deleted`) and how many given up (`discarded`)."""
    kept = settings().retention
    counts = {"deleted": 0, "discarded": 0}
    with connect_owner() as connection:
        before = {"before": run.now - timedelta(days=kept.resolved_dead_letters_days), "most": BATCH}
        batch = BATCH
        while batch == BATCH and run.has_time():
            with connection.begin():
                batch = connection.execute(FORGET, before).rowcount
            counts["deleted"] += batch
        batch = BATCH
        while batch == BATCH and run.has_time():
            with connection.begin():
                batch, discarded = _discard(connection, run, kept.pending_dead_letters_days)
            counts["discarded"] += discarded
    return counts


def _discard(connection: Connection, run: Run, days: int) -> tuple[int, int]:
    """How many were looked at and how many were still pending."""
    before = uuid7_floor(run.now - timedelta(days=days))
    ids = [str(id) for id in connection.execute(PENDING, {"before": before, "most": BATCH}).scalars()]
    return len(ids), discard(connection, ids, by=HOOKLINE, notes=f"nobody dealt with it for {days} days")
