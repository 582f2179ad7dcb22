"""By what /v1/stats/endpoints sorts: how many attempts each webhook had in a window, and how many succeeded.

A project may have ten thousand webhooks, each with as many rows as its window has buckets. To add those up
whenever somebody asks would take a second: it is done now and then, and a page reads one row a webhook.
"""

from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from functions.domain.statistics.outcomes import OUTCOMES
from functions.domain.statistics.times import RANKED, WINDOWS
from functions.statements import named

# How old an order may be: a twelfth of the shortest window; an hour is little beside a week.
OFTEN = {"1h": timedelta(minutes=5), "24h": timedelta(minutes=5)}
SELDOM = timedelta(hours=1)

UNTIL = named("rankings.until", text("SELECT name, until FROM webhook.statistics_progress"))
ATTEMPTS = " + ".join(f"s.{name}" for name in OUTCOMES)
RANK = named(
    "rankings.rank",
    text(f"""
WITH sums AS MATERIALIZED (
  SELECT s.project_id, s.webhook_id, sum({ATTEMPTS}) AS attempts, sum(s.succeeded) AS succeeded
  FROM webhook.delivery_statistics s
  WHERE s.resolution = CAST(:resolution AS smallint) AND s.bucket >= :since AND s.webhook_id IS NOT NULL
  GROUP BY s.project_id, s.webhook_id HAVING sum({ATTEMPTS}) > 0
), gone AS (
  DELETE FROM webhook.endpoint_rankings k
  WHERE k.window_hours = CAST(:hours AS smallint) AND NOT EXISTS (
    SELECT FROM sums s WHERE s.project_id = k.project_id AND s.webhook_id = k.webhook_id)
), ranked AS (
  INSERT INTO webhook.endpoint_rankings AS k (project_id, window_hours, webhook_id, attempts, succeeded)
  SELECT project_id, CAST(:hours AS smallint), webhook_id, attempts, succeeded FROM sums
  ORDER BY project_id, webhook_id
  ON CONFLICT (project_id, window_hours, webhook_id) DO UPDATE
  SET attempts = excluded.attempts, succeeded = excluded.succeeded
  WHERE (k.attempts, k.succeeded) <> (excluded.attempts, excluded.succeeded)
)
SELECT count(*) FROM sums
"""),  # noqa: S608 - names of ours
)
RANKED_UNTIL = named(
    "rankings.ranked",
    text("""
INSERT INTO webhook.statistics_progress (name, until) VALUES (:name, :until)
ON CONFLICT (name) DO UPDATE SET until = excluded.until
"""),
)


def name_of(window: str) -> str:
    """What the progress of its ranking is called."""
    return f"ranking_{window}"


def due(connection: Connection) -> dict[str, datetime]:
    """The windows whose order is too old, each with until when it would then be counted."""
    until: dict[str, datetime] = {row.name: row.until for row in connection.execute(UNTIL)}
    counted = until.get("attempts")
    if counted is None:
        return {}
    return {
        window: counted
        for window in WINDOWS
        if (ranked := until.get(name_of(window))) is None or counted - ranked >= OFTEN.get(window, SELDOM)
    }


def rank(connection: Connection, window: str, now: datetime, until: datetime) -> int:
    """Sort the window's endpoints anew, in the caller's transaction; how many had attempts in it."""
    length, resolution = WINDOWS[window], RANKED[window]
    given = {
        "resolution": resolution.minutes,
        "since": resolution.floor(now - length),
        "hours": length // timedelta(hours=1),
    }
    ranked: int = connection.execute(RANK, given).scalar_one()
    connection.execute(RANKED_UNTIL, {"name": name_of(window), "until": until})
    return ranked
