"""The job `idempotency_keys`: forgets the answers to requests that nobody sends again.

The table has no index by time, which every request would have to keep: its pages are read in order instead, some
at a time.
"""

from datetime import timedelta

from sqlalchemy import text

from functions.adapters.database import connect_owner
from functions.maintain.run import Run
from functions.statements import named

KEPT = timedelta(hours=24)  # the window that the API promises (functions/api/idempotency.py)
PAGES = 1_000  # of 8 KB, a batch: tens of thousands of rows

SIZE = named(
    "maintain.idempotency_keys.pages",
    text("SELECT pg_relation_size('webhook.idempotency_keys') / CAST(current_setting('block_size') AS integer)"),
)
# A request that takes an old key anew at this moment has its row locked, and is left alone.
FORGET = named(
    "maintain.idempotency_keys.forget",
    text("""
DELETE FROM webhook.idempotency_keys WHERE ctid = ANY (ARRAY (
  SELECT ctid FROM webhook.idempotency_keys
  WHERE ctid >= CAST(:low AS tid) AND ctid < CAST(:high AS tid) AND created_at < :before
  FOR UPDATE SKIP LOCKED))
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many keys were forgotten (`deleted`)."""
    deleted, page = 0, 0
    with connect_owner() as connection:
        pages = int(connection.execute(SIZE).scalar_one())
        connection.commit()
        while page < pages and run.has_time():
            bounds = {"low": f"({page},0)", "high": f"({page + PAGES},0)", "before": run.now - KEPT}
            with connection.begin():
                deleted += connection.execute(FORGET, bounds).rowcount
            page += PAGES
    return {"deleted": deleted}
