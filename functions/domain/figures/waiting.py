"""What is waiting: deliveries that are not finished, how late they are, dead letters, archives."""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from functions.domain.figures.reading import row, rows
from functions.statements import named

MOST = 100_000  # deliveries, and dead letters, that are counted: beyond it a backlog is a backlog
# A delivery is overdue when dispatch should have looked at it: its time has come, and so has the end of its lease.
UNFINISHED = named(
    "figures.unfinished",
    text("""
WITH waiting AS MATERIALIZED (
  SELECT id, sweep_at, lease_expires_at FROM webhook.webhook_deliveries
  WHERE sweep_at IS NOT NULL ORDER BY sweep_at LIMIT CAST(:most AS integer)
)
SELECT count(*) AS unfinished, min(uuid_extract_timestamp(id)) AS oldest,
  min(greatest(sweep_at, lease_expires_at)) FILTER (WHERE sweep_at < 'infinity') AS due
FROM waiting
"""),
)
HELD = named(
    "figures.held",
    text("""
SELECT count(*) AS held, min(uuid_extract_timestamp(id)) AS oldest FROM (
  SELECT id FROM webhook.webhook_deliveries WHERE sweep_at = 'infinity' LIMIT CAST(:most AS integer)) h
"""),
)
DEAD_LETTERS = named(
    "figures.dead_letters",
    text("""
SELECT count(*) AS pending, min(uuid_extract_timestamp(id)) AS oldest FROM (
  SELECT id FROM webhook.webhook_dlq WHERE status = 'pending' LIMIT CAST(:most AS integer)) l
"""),
)
ARCHIVES = named(
    "figures.archives",
    text("""
SELECT state, count(*) AS archives, CAST(sum(rows) AS bigint) AS rows, CAST(sum(bytes) AS bigint) AS bytes
FROM webhook.archives GROUP BY state ORDER BY state
"""),
)


def deliveries(connection: Connection, now: datetime) -> dict[str, Any]:
    """`counted_all` is whether there are no more than were counted; `oldest_seconds` is of those."""
    waiting = row(connection, UNFINISHED, {"most": MOST}, by_index=True)
    held = row(connection, HELD, {"most": MOST}, by_index=True)
    made = [at for at in (waiting["oldest"], held["oldest"]) if at is not None]
    return {
        "unfinished": waiting["unfinished"],
        "held": held["held"],
        "counted_all": waiting["unfinished"] < MOST,
        "overdue_seconds": since(waiting["due"], now),
        "oldest_seconds": since(min(made, default=None), now),
    }


def dead_letters(connection: Connection, now: datetime) -> dict[str, Any]:
    found = row(connection, DEAD_LETTERS, {"most": MOST}, by_index=True)
    return {
        "pending": found["pending"],
        "counted_all": found["pending"] < MOST,
        "oldest_seconds": since(found["oldest"], now),
    }


def archives(connection: Connection) -> list[dict[str, Any]]:
    """How many there are in each state, and what they hold."""
    return rows(connection, ARCHIVES)


def since(at: datetime | None, now: datetime) -> int:
    """Whole seconds since then; 0 for what is to come, or is not at all."""
    return max(0, int((now - at).total_seconds())) if at is not None else 0
