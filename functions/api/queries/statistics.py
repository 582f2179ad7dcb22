"""Figures of deliveries, from what the job `statistics` counted: traffic does not make them cost more (D10)."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, Double, cast, literal, select, text, tuple_

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.domain.statistics.figures import COUNTS, Figures
from functions.domain.statistics.times import WINDOWS, Range
from functions.errors import Detail, Invalid
from functions.models import endpoint_rankings, webhooks
from functions.statements import named

k, w = endpoint_rankings.c, webhooks.c
NAMES = ", ".join(COUNTS)
SUMS = ", ".join(f"sum({name})" for name in COUNTS)

UNTIL = named(
    "stats.until",
    text("SELECT name, until FROM webhook.statistics_progress WHERE name = ANY (CAST(:names AS text[]))"),
)
# A row a bucket.
SERIES = named(
    "stats.series",
    text(f"""
SELECT CAST(coalesce(json_agg(json_build_array(CAST(extract(epoch FROM bucket) AS bigint), {NAMES}, time_total_ms,
  time_longest_ms, time_buckets, time_counts)), '[]') AS text)
FROM webhook.delivery_statistics
WHERE subject_id = CAST(:subject AS uuid) AND resolution = CAST(:resolution AS smallint)
  AND bucket >= :start AND bucket < :end
"""),  # noqa: S608 - names of ours
)
# Added up in the database: a page of endpoints may have thousands of rows.
TOTALS = named(
    "stats.totals",
    text(f"""
WITH counted AS MATERIALIZED (
  SELECT * FROM webhook.delivery_statistics
  WHERE subject_id = ANY (CAST(:subjects AS uuid[])) AND resolution = CAST(:resolution AS smallint)
    AND bucket >= :start AND bucket < :end
), times AS (
  SELECT subject_id, json_agg(number) AS numbers, json_agg(times) AS times FROM (
    SELECT subject_id, t.number, sum(t.times) AS times
    FROM counted, unnest(time_buckets, time_counts) AS t (number, times) GROUP BY 1, 2
  ) x GROUP BY subject_id
), sums AS (
  SELECT subject_id, json_build_array({SUMS}, sum(time_total_ms), max(time_longest_ms)) AS sums
  FROM counted GROUP BY subject_id
)
SELECT CAST(coalesce(json_agg(json_build_array(s.subject_id, s.sums, coalesce(t.numbers, '[]'),
  coalesce(t.times, '[]'))), '[]') AS text)
FROM sums s LEFT JOIN times t USING (subject_id)
"""),  # noqa: S608 - names of ours
)
RATE = cast(k.succeeded, Double) / k.attempts
ORDERS: dict[str, ColumnElement[Any]] = {"success_rate": RATE, "attempts": -k.attempts}  # the smallest first
SHOWN = (w.id, w.name, w.url, w.status, w.application_id)


def until(connection: Connection, window: str | None = None) -> tuple[datetime | None, datetime | None]:
    """What ended before that is counted, and what ended before that is ranked for a window; None before that
    was done for the first time.
    """
    ranking = f"ranking_{window}"
    rows = connection.execute(UNTIL, {"names": ["attempts", ranking]})
    found = {row.name: row.until for row in rows}
    return found.get("attempts"), found.get(ranking)


def is_there(connection: Connection, caller: Caller, webhook_id: str) -> bool:
    asked = select(w.id).where(*_living(caller), w.id == webhook_id)
    return connection.execute(named("stats.webhook", asked)).one_or_none() is not None


def series(connection: Connection, subject: str, of: Range) -> dict[datetime, Figures]:
    """The figures of a webhook, an application or a project by bucket; those with nothing in them are absent."""
    given = {"subject": subject, "resolution": of.resolution.minutes, "start": of.start, "end": of.end}
    found: dict[datetime, Figures] = {}
    for epoch, *row in json.loads(connection.execute(SERIES, given).scalar_one()):
        found[datetime.fromtimestamp(epoch, UTC)] = Figures(row)
    return found


def endpoints(
    connection: Connection, caller: Caller, window: str, sort: str, least: int, *, limit: int, cursor: str
) -> list[dict[str, Any]]:
    """A page of webhooks that had `least` attempts in the window, one more than the limit where there is one."""
    hours = WINDOWS[window] // timedelta(hours=1)
    ranked = [k.project_id == caller.project_id, k.window_hours == hours, k.attempts >= least]
    joined = select(*SHOWN).join_from(endpoint_rankings, webhooks, w.id == k.webhook_id)
    order = ORDERS[sort]
    statement = joined.where(*ranked, *_living(caller))
    if cursor:
        last = paging.key_of(cursor)
        asked = select(order).join_from(endpoint_rankings, webhooks, w.id == k.webhook_id)
        at = connection.execute(
            named("stats.endpoints_behind", asked.where(*ranked, *_living(caller), k.webhook_id == last))
        ).scalar_one_or_none()
        if at is None:
            wrong = Detail("cursor", "is not a cursor of this list, or its webhook is in it no more: begin anew")
            raise Invalid("the cursor is not valid", details=(wrong,))
        statement = statement.where(tuple_(order, k.webhook_id) > tuple_(literal(at), literal(last, w.id.type)))
    page = statement.order_by(order, k.webhook_id).limit(limit + 1)
    return [dict(row) for row in connection.execute(named("stats.endpoints", page)).mappings()]


def totals(connection: Connection, subjects: Sequence[str], of: Range) -> dict[str, Figures]:
    """The figures of each of these over the whole range; those of whom there are none are absent."""
    given = {"subjects": list(subjects), "resolution": of.resolution.minutes, "start": of.start, "end": of.end}
    rows = json.loads(connection.execute(TOTALS, given).scalar_one())
    return {subject: Figures([*sums, numbers, times]) for subject, sums, numbers, times in rows}


def _living(caller: Caller) -> list[ColumnElement[Any]]:
    return [*within(webhooks, caller), w.deleted_at.is_(None)]
