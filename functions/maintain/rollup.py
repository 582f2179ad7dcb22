"""Adding attempts and dead letters of a range of keys to the statistics: one statement, and how far it got.

Attempts are read as they lie, in the order of their keys; the delivery of each, which knows the webhook, is looked
up by its key in one partition. The cost goes with the attempts, and nothing of it is paid where they are made.
"""

import json
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from functions.domain import log_buckets
from functions.domain.event_types import TEST
from functions.domain.ids import floor_of, uuid7_floor
from functions.domain.partitions import made_at
from functions.domain.statistics import outcomes
from functions.domain.statistics.figures import COUNTS
from functions.domain.statistics.outcomes import OUTCOMES
from functions.domain.statistics.times import DAY, ORIGIN, RESOLUTIONS
from functions.statements import named

BATCH = 50_000  # attempts: a second or two, and some 50 MB of their table
PROGRESS = "attempts"
# Where buckets begin that are not those of 0, of whole numbers that Postgres takes as integers.
STARTS = [start for bucket in range(1, log_buckets.BUCKETS) if (start := log_buckets.start(bucket)) < 1 << 31]

BEGUN = named(
    "statistics.begun",
    text("SELECT EXISTS (SELECT FROM webhook.statistics_progress WHERE name = :name)"),
)
# Ordered by the column, which an index has, and not by the text that it is answered as.
FIRST = named(
    "statistics.first",
    text("""
SELECT CAST(a.id AS text) FROM webhook.webhook_delivery_attempts a
WHERE a.id >= CAST(:earliest AS uuid) AND a.id < CAST(:bound AS uuid) ORDER BY a.id LIMIT 1
"""),
)
BEGIN = named(
    "statistics.begin",
    text("""
INSERT INTO webhook.statistics_progress (name, position, until) VALUES (:name, CAST(:position AS uuid), :until)
ON CONFLICT (name) DO NOTHING
"""),
)
POSITION = named(
    "statistics.position",
    text("SELECT CAST(position AS text) FROM webhook.statistics_progress WHERE name = :name FOR UPDATE"),
)
ADVANCE = named(
    "statistics.advance",
    text("""
UPDATE webhook.statistics_progress SET position = CAST(:position AS uuid), until = :until WHERE name = :name
"""),
)
BEHIND = named(
    "statistics.behind",
    text("""
SELECT CAST(a.id AS text) FROM webhook.webhook_delivery_attempts a
WHERE a.id >= CAST(:low AS uuid) AND a.id < CAST(:high AS uuid)
ORDER BY a.id OFFSET CAST(:most AS integer) LIMIT 1
"""),
)

IN_FIVE_MINUTES = f"date_bin(interval '5 minutes', uuid_extract_timestamp({{id}}), timestamptz '{ORIGIN}')"
ANSWERED = ", ".join(f"'{name}'" for name in outcomes.ANSWERED)
COUNTED = ",\n    ".join(
    [
        *(f"count(*) FILTER (WHERE outcome = '{name}') AS {name}" for name in OUTCOMES),
        "count(*) FILTER (WHERE is_first) AS first_attempts",
        "count(*) FILTER (WHERE is_first AND outcome = 'succeeded') AS first_succeeded",
        "count(*) FILTER (WHERE delivers) AS deliveries_delivered",
        "count(*) FILTER (WHERE outcome IS NULL) AS deliveries_failed",
    ]
)
NAMES = ", ".join(COUNTS)
SUMS = ", ".join(f"CAST(sum(s.{name}) AS integer) AS {name}" for name in COUNTS)
ADDED = ",\n  ".join(f"{name} = s.{name} + excluded.{name}" for name in COUNTS)
KEPT = ", ".join(f"({one.minutes}, CAST(:oldest_{one.name} AS timestamptz))" for one in RESOLUTIONS)
# An attempt made its delivery `delivered` when it is the one that the delivery tells of: that state is for good,
# and what another process sent meanwhile has the same number, but another time. Where the delivery is gone, nobody
# knows whose the attempt was: it is not counted. Test events are nobody's traffic.
#
# It picks partitions while it runs, and ON CONFLICT locks rows. That goes together: such a row is never looked at
# again by the plan (docs/decisions/locks-and-partitions.md), and nobody else changes any.
ROLL = named(
    "statistics.roll",
    text(f"""
WITH attempts AS MATERIALIZED (
  SELECT id, delivery_id, attempt_number, request_sent_at, response_time_ms, {outcomes.SQL} AS outcome
  FROM webhook.webhook_delivery_attempts WHERE id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid)
), counted AS MATERIALIZED (
  SELECT d.webhook_id, {IN_FIVE_MINUTES.format(id="a.id")} AS at, a.outcome, a.attempt_number = 1 AS is_first,
    d.status = 'delivered' AND d.attempts = a.attempt_number AND d.last_attempt_at = a.request_sent_at AS delivers,
    CASE WHEN a.outcome IN ({ANSWERED}) THEN a.response_time_ms END AS ms
  FROM attempts a CROSS JOIN LATERAL (
    SELECT x.webhook_id, x.event_type, x.status, x.attempts, x.last_attempt_at
    FROM webhook.webhook_deliveries x WHERE x.id = a.delivery_id LIMIT 1) d
  WHERE d.event_type <> :test
  UNION ALL
  SELECT webhook_id, {IN_FIVE_MINUTES.format(id="id")}, NULL, false, false, NULL
  FROM webhook.webhook_dlq
  WHERE id >= CAST(:low AS uuid) AND id < CAST(:high AS uuid) AND event_type IS DISTINCT FROM :test
), sums AS MATERIALIZED (
  SELECT webhook_id, at,
    {COUNTED},
    coalesce(sum(ms), 0) AS time_total_ms, coalesce(max(ms), 0) AS time_longest_ms
  FROM counted GROUP BY webhook_id, at
), times AS MATERIALIZED (
  SELECT webhook_id, at, CAST(width_bucket(ms, CAST(:starts AS integer[])) AS smallint) AS number,
    count(*) AS times
  FROM counted WHERE ms IS NOT NULL GROUP BY 1, 2, 3
), places AS MATERIALIZED (
  SELECT s.webhook_id, s.at, w.project_id, t.subject_id, t.of_webhook, t.of_application, r.resolution,
    date_bin(r.resolution * interval '1 minute', s.at, timestamptz '{ORIGIN}') AS bucket
  FROM sums s JOIN webhook.webhooks w ON w.id = s.webhook_id
  CROSS JOIN LATERAL (VALUES (w.id, w.id, NULL), (w.application_id, NULL, w.application_id),
    (w.project_id, NULL, NULL)) t (subject_id, of_webhook, of_application)
  CROSS JOIN (VALUES {KEPT}) r (resolution, oldest)
  WHERE t.subject_id IS NOT NULL
    AND date_bin(r.resolution * interval '1 minute', s.at, timestamptz '{ORIGIN}') >= r.oldest
), added AS (
  SELECT p.subject_id, p.project_id, p.of_webhook, p.of_application, p.resolution, p.bucket, {SUMS},
    CAST(sum(s.time_total_ms) AS bigint) AS time_total_ms, max(s.time_longest_ms) AS time_longest_ms
  FROM places p JOIN sums s ON s.webhook_id = p.webhook_id AND s.at = p.at
  GROUP BY p.subject_id, p.project_id, p.of_webhook, p.of_application, p.resolution, p.bucket
), histograms AS (
  SELECT subject_id, resolution, bucket, array_agg(number ORDER BY number) AS numbers,
    array_agg(times ORDER BY number) AS times
  FROM (
    SELECT p.subject_id, p.resolution, p.bucket, t.number, CAST(sum(t.times) AS integer) AS times
    FROM places p JOIN times t ON t.webhook_id = p.webhook_id AND t.at = p.at GROUP BY 1, 2, 3, 4
  ) x GROUP BY subject_id, resolution, bucket
), stored AS (
  INSERT INTO webhook.delivery_statistics AS s (subject_id, project_id, webhook_id, application_id, resolution,
    bucket, {NAMES}, time_total_ms, time_longest_ms, time_buckets, time_counts)
  SELECT subject_id, a.project_id, a.of_webhook, a.of_application, resolution, bucket, {NAMES}, a.time_total_ms,
    a.time_longest_ms, coalesce(h.numbers, '{{}}'), coalesce(h.times, '{{}}')
  FROM added a LEFT JOIN histograms h USING (subject_id, resolution, bucket)
  ORDER BY subject_id, resolution, bucket
  ON CONFLICT (subject_id, resolution, bucket) DO UPDATE SET
  {ADDED},
  time_total_ms = s.time_total_ms + excluded.time_total_ms,
  time_longest_ms = greatest(s.time_longest_ms, excluded.time_longest_ms),
  (time_buckets, time_counts) = (
    SELECT coalesce(array_agg(number ORDER BY number), '{{}}'), coalesce(array_agg(times ORDER BY number), '{{}}')
    FROM (SELECT number, CAST(sum(times) AS integer) AS times FROM (
      SELECT unnest(s.time_buckets) AS number, unnest(s.time_counts) AS times
      UNION ALL SELECT unnest(excluded.time_buckets), unnest(excluded.time_counts)) x GROUP BY number) merged)
  RETURNING 1
)
SELECT CAST(json_build_object('attempts', (SELECT count(*) FROM attempts),
  'counted', (SELECT count(*) FROM counted WHERE outcome IS NOT NULL),
  'dead_letters', (SELECT count(*) FROM counted WHERE outcome IS NULL),
  'rows', (SELECT count(*) FROM stored)) AS text)
"""),  # noqa: S608 - names of ours
)


class Rolled(NamedTuple):
    """What one batch read and wrote; `finished` when nothing before the bound is left."""

    finished: bool
    attempts: int = 0
    counted: int = 0
    dead_letters: int = 0
    rows: int = 0


def begin(connection: Connection, now: datetime, bound: str) -> None:
    """Where nothing was counted yet: begin with the oldest attempt that days are kept for, or else at `bound`."""
    if connection.execute(BEGUN, {"name": PROGRESS}).scalar_one():
        return
    given = {"earliest": uuid7_floor(DAY.oldest(now)), "bound": bound}
    oldest = connection.execute(FIRST, given).scalar_one_or_none()
    first = floor_of(oldest) if oldest else bound  # its dead letter may have been made in the same millisecond
    connection.execute(BEGIN, {"name": PROGRESS, "position": first, "until": made_at(first)})


def roll(connection: Connection, now: datetime, bound: str, most: int = BATCH) -> Rolled:
    """Count the next attempts with keys smaller than `bound`, and the dead letters among them, in the caller's
    transaction: that they are counted and that it is known are one commit. Whoever comes second waits, and goes on
    from there.
    """
    low = connection.execute(POSITION, {"name": PROGRESS}).scalar_one()
    if low >= bound:
        return Rolled(finished=True)
    behind = connection.execute(BEHIND, {"low": low, "high": bound, "most": most}).scalar_one_or_none()
    high = behind or bound
    given = {"low": low, "high": high, "test": TEST, "starts": STARTS}
    oldest = {f"oldest_{one.name}": one.oldest(now) for one in RESOLUTIONS}
    done = json.loads(connection.execute(ROLL, {**given, **oldest}).scalar_one())
    connection.execute(ADVANCE, {"name": PROGRESS, "position": high, "until": made_at(high)})
    return Rolled(finished=behind is None, **done)
