"""The reports that are kept: one every five minutes for two days, one an hour for five weeks."""

import json
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from functions.statements import named

EVERY_ONE = timedelta(days=2)
HOURLY = timedelta(days=35)
A_DAY_AGO = timedelta(hours=24)
ABOUT = timedelta(hours=4)  # so much earlier or later is a day ago, too; growth is by the time that it was
KEEP = named(
    "reports.keep",
    text("""
INSERT INTO webhook.reports (made_at, hourly, figures)
VALUES (CAST(:now AS timestamptz),
  NOT EXISTS (SELECT FROM webhook.reports WHERE hourly
    AND made_at >= date_trunc('hour', CAST(:now AS timestamptz), 'UTC') AND made_at <= CAST(:now AS timestamptz)),
  CAST(:figures AS jsonb))
ON CONFLICT (made_at) DO UPDATE SET figures = excluded.figures
"""),
)
PRUNE = named(
    "reports.prune",
    text("""
DELETE FROM webhook.reports WHERE made_at < CAST(:hourly AS timestamptz)
  OR (made_at < CAST(:every_one AS timestamptz) AND NOT hourly)
"""),
)
NEWEST = named(
    "reports.newest",
    text("SELECT made_at, CAST(figures AS text) AS figures FROM webhook.reports ORDER BY made_at DESC LIMIT 1"),
)
NEAREST = named(
    "reports.nearest",
    text("""
SELECT made_at, CAST(figures AS text) AS figures FROM webhook.reports WHERE made_at = (
  SELECT made_at FROM webhook.reports
  WHERE made_at BETWEEN CAST(:at AS timestamptz) - CAST(:about AS interval)
    AND CAST(:at AS timestamptz) + CAST(:about AS interval)
  ORDER BY abs(extract(epoch FROM made_at - CAST(:at AS timestamptz))) LIMIT 1)
"""),
)
HISTORY = named(
    "reports.history",
    text("""
SELECT made_at, CAST(figures -> 'measures' AS text) AS measures FROM webhook.reports
WHERE made_at >= CAST(:since AS timestamptz) AND (hourly OR NOT CAST(:hourly AS boolean)) ORDER BY made_at
"""),
)


def keep(connection: Connection, now: datetime, report: dict[str, Any]) -> None:
    """Keep the report of this moment; the first of an hour for longer."""
    connection.execute(KEEP, {"now": now, "figures": json.dumps(report)})


def prune(connection: Connection, now: datetime) -> int:
    """Delete reports that are old enough; how many they were."""
    given = {"hourly": now - HOURLY, "every_one": now - EVERY_ONE}
    return connection.execute(PRUNE, given).rowcount


def newest(connection: Connection) -> tuple[datetime, dict[str, Any]] | None:
    """When it was made, and the report; None while there is none."""
    return _read(connection.execute(NEWEST).one_or_none())


def a_day_ago(connection: Connection, now: datetime) -> tuple[datetime, dict[str, Any]] | None:
    """The report nearest to 24 hours ago; None when there is none of about then."""
    return _read(connection.execute(NEAREST, {"at": now - A_DAY_AGO, "about": ABOUT}).one_or_none())


def history(connection: Connection, now: datetime, hours: int) -> list[dict[str, Any]]:
    """The measures of the reports of so many hours, oldest first; of more than two days, one an hour."""
    since = now - timedelta(hours=hours)
    given = {"since": since, "hourly": now - since > EVERY_ONE}
    found = connection.execute(HISTORY, given).all()
    return [{"made_at": made_at, "measures": json.loads(measures or "{}")} for made_at, measures in found]


def _read(found: Any) -> tuple[datetime, dict[str, Any]] | None:
    return (found.made_at, json.loads(found.figures)) if found is not None else None
