"""The job `expired_secrets`: forgets secrets that were rotated out, and neither sign nor are taken any more."""

from sqlalchemy import text

from functions.adapters.database import connect_owner
from functions.maintain.run import Run
from functions.statements import named

BATCH = 500

SOME = """
DELETE FROM webhook.{table} WHERE id = ANY (ARRAY (
  SELECT id FROM webhook.{table} WHERE expires_at <= :now
  ORDER BY id LIMIT CAST(:most AS integer) FOR UPDATE SKIP LOCKED))
"""
FORGET = (
    named("maintain.expired_secrets.forget", text(SOME.format(table="webhook_expiring_secrets"))),
    named("maintain.expired_secrets.forget_of_sources", text(SOME.format(table="source_expiring_secrets"))),
)


def run(run: Run) -> dict[str, int]:
    """How many secrets were forgotten (`deleted`)."""
    deleted = 0
    with connect_owner() as connection:
        for statement in FORGET:
            batch = BATCH
            while batch == BATCH and run.has_time():
                with connection.begin():
                    batch = connection.execute(statement, {"now": run.now, "most": BATCH}).rowcount
                deleted += batch
    return {"deleted": deleted}
