"""The job `expired_secrets`: forgets signing secrets that were rotated out and sign no more."""

from sqlalchemy import text

from functions.adapters.database import connect_owner
from functions.maintain.run import Run
from functions.statements import named

BATCH = 500

FORGET = named(
    "maintain.expired_secrets.forget",
    text("""
DELETE FROM webhook.webhook_expiring_secrets WHERE id = ANY (ARRAY (
  SELECT id FROM webhook.webhook_expiring_secrets WHERE expires_at <= :now
  ORDER BY id LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED))
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many secrets were forgotten (`deleted`)."""
    deleted, batch = 0, BATCH
    with connect_owner() as connection:
        while batch == BATCH and run.has_time():
            with connection.begin():
                batch = connection.execute(FORGET, {"now": run.now, "most": BATCH}).rowcount
            deleted += batch
    return {"deleted": deleted}
