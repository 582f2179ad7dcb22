"""Disabling webhooks whose endpoints have failed for days (D5)."""

from datetime import UTC, datetime
from typing import Any, NamedTuple

from sqlalchemy import text

from functions.adapters.database import transaction
from functions.domain.disabling import disable_each, lock
from functions.domain.event_types import TEST
from functions.domain.operational import Notice
from functions.settings import settings
from functions.statements import named

LOOK_AT = 200  # failed deliveries of a webhook, and unfinished ones, when counting those that fail

FAILING = """
  h.failing_since <= now() - CAST(:days AS integer) * interval '1 day'
  AND h.last_failure_at >= h.failing_since + CAST(:days AS integer) * interval '1 day'
  AND (h.last_success_at IS NULL OR h.last_success_at < h.failing_since)
"""
# Failing deliveries are among the newest that failed and among the oldest that are not finished; so many of each
# are looked at and no more. One that a paused webhook waits for says nothing about its endpoint.
FIND = named(
    "dispatch.find_failing",
    text(f"""
WITH failing AS MATERIALIZED (
  SELECT h.webhook_id, h.failing_since FROM webhook.webhook_health h
  JOIN webhook.webhooks w ON w.id = h.webhook_id
  WHERE {FAILING} AND w.status = 'active' AND w.deleted_at IS NULL
)
SELECT f.webhook_id FROM failing f
CROSS JOIN LATERAL (
  SELECT count(*) AS deliveries FROM (
    SELECT FROM (
      (SELECT attempts, last_attempt_at, event_type FROM webhook.webhook_deliveries
       WHERE webhook_id = f.webhook_id AND failed_at IS NOT NULL ORDER BY id DESC LIMIT :look)
      UNION ALL
      (SELECT attempts, last_attempt_at, event_type FROM webhook.webhook_deliveries
       WHERE webhook_id = f.webhook_id AND sweep_at IS NOT NULL ORDER BY id LIMIT :look)
    ) d
    WHERE d.attempts > 0 AND d.last_attempt_at >= f.failing_since AND d.event_type <> :test
    LIMIT CAST(:enough AS integer)) x) c
WHERE c.deliveries >= CAST(:enough AS integer)
ORDER BY f.webhook_id LIMIT :most
"""),  # noqa: S608 - constants
)
# Once more, of webhooks that are locked: one may have been paused, or have had a success recorded, meanwhile.
# Webhooks before their health, each in key order, as everywhere.
CONFIRM = named(
    "dispatch.confirm_failing",
    text(f"""
SELECT h.webhook_id, h.failing_since FROM webhook.webhook_health h
JOIN webhook.webhooks w ON w.id = h.webhook_id AND w.status = 'active'
WHERE h.webhook_id = ANY (CAST(:ids AS uuid[])) AND {FAILING}
ORDER BY h.webhook_id FOR UPDATE OF h
"""),  # noqa: S608 - constants
)


class Disabled(NamedTuple):
    webhooks: int
    notices: list[Notice]


def disable_failing(most: int) -> Disabled:
    """Disable up to `most` active webhooks that have failed for long enough, with enough deliveries.

    One that is paused is left: nothing is sent to it, and whoever paused it wants its deliveries kept. Raises
    sqlalchemy.exc.DBAPIError.
    """
    limits = settings().limits
    given: dict[str, Any] = {"days": limits.disable_after_days}
    counted = {"enough": limits.disable_after_deliveries, "look": LOOK_AT, "most": most, "test": TEST}
    with transaction() as connection:
        found = [str(id) for id in connection.execute(FIND, {**given, **counted}).scalars()]
        locked = lock(connection, found)
        if not locked:
            return Disabled(0, [])
        rows = connection.execute(CONFIRM, {**given, "ids": locked}).all()
        reasons = {str(id): _reason(since) for id, since in rows}
        return Disabled(len(reasons), disable_each(connection, reasons))


def _reason(since: datetime) -> str:
    return f"failing since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} without a success"
