"""The rows: a year of deliveries with an attempt each, made month by month in the database."""

import json
from datetime import datetime, timedelta

import pg8000.native

from functions.domain.ids import uuid7_floor
from functions.domain.partitions import Partition, containing, series_of

EVENTS, MONTHLY = "webhook_events", ("webhook_deliveries", "webhook_delivery_attempts")
PROJECTS, WEBHOOKS = 10, 300
FAN_OUT = 3  # deliveries of an event
EVENT_DAYS = 30  # older events are in the archive
# In either database: the deliveries of this month, so that pages are full, those of paused webhooks, and retries
# that are not due.
RECENT, HELD, WAITING = 30_000, 10_000, 1_000
HEADERS = {
    "content-type": "application/json",
    "user-agent": "Hookline/0.1.0",
    "webhook-id": "01a1ffac-30b1-7b00-a473-0d9c3acfd3c2",
    "webhook-timestamp": "1763755534",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    "hookline-event-type": "invoice.type1",
    "hookline-delivery-id": "01a1ffac-30b1-7b00-a473-0d9c3acfd3c3",
    "hookline-attempt": "1",
    "hookline-correlation-id": "1f6d4c0d0c5a4a0f8f0e0a6c7b1d2e3f",
}

PROJECT = "INSERT INTO webhook.projects (name, data_key) VALUES (:name, 'k') RETURNING CAST(id AS text)"
MAKE_WEBHOOKS = f"""
WITH made AS (
  INSERT INTO webhook.webhooks (project_id, name, url, signing_secret)
  SELECT (CAST(:projects AS uuid[]))[1 + n % {PROJECTS}], 'bench ' || n, 'https://hooks.example.com/' || n, 's'
  FROM generate_series(1, {WEBHOOKS}) n RETURNING id
)
INSERT INTO webhook.webhook_health (webhook_id) SELECT id FROM made
"""
NUMBERED = """(SELECT id, project_id, row_number() OVER (ORDER BY id) - 1 AS number FROM webhook.webhooks)"""
# Apart from the parent and without indexes, which attaching it then builds at once: a tenth of the time.
APART = "CREATE TABLE webhook.{name} (LIKE webhook.{table} INCLUDING DEFAULTS INCLUDING CONSTRAINTS) {options}"
ATTACH = "ALTER TABLE webhook.{table} ATTACH PARTITION webhook.{name} FOR VALUES FROM ('{low}') TO ('{high}')"
# Every 25th failed for good, every tenth needed another attempt, of which only the last is here.
DELIVERIES = f"""
INSERT INTO webhook.{{name}} (id, project_id, webhook_id, event_id, event_type, status, attempts, failed_at,
  delivered_at, last_attempt_at, last_response_status, last_error_code, last_error_message, created_at)
SELECT uuidv7(e.at - clock_timestamp()), w.project_id, w.id, e.id, 'invoice.type' || e.n % 20,
  CASE WHEN r < 0.04 THEN 'failed' ELSE 'delivered' END, CASE WHEN r < 0.04 THEN 6 ELSE 1 END,
  CASE WHEN r < 0.04 THEN e.at + interval '1 s' END, CASE WHEN r >= 0.04 THEN e.at + interval '1 s' END,
  e.at + interval '1 s', CASE WHEN r < 0.04 THEN 503 ELSE 200 END,
  CASE WHEN r < 0.04 THEN 'http_status' END, CASE WHEN r < 0.04 THEN 'the endpoint answered 503' END, e.at
FROM (
  SELECT n, at, uuidv7(at - clock_timestamp()) AS id
  FROM (SELECT n, CAST(:start AS timestamptz) + n / CAST(:events AS float8)
      * (CAST(:end AS timestamptz) - CAST(:start AS timestamptz)) AS at
    FROM generate_series(0, CAST(:events AS integer) - 1) n) moments
) e
CROSS JOIN generate_series(1, {FAN_OUT}) k
CROSS JOIN LATERAL (SELECT random() AS r, e.n AS of) chance
JOIN {NUMBERED} w ON w.number = (e.n * 7 + k * 101) % {WEBHOOKS}
ORDER BY e.n, k
"""
ATTEMPTS = """
INSERT INTO webhook.{name} (id, project_id, delivery_id, attempt_number, request_url, request_headers,
  request_sent_at, response_status, response_headers, response_body, response_time_ms, remote_address, error_code,
  error_message)
SELECT uuidv7(d.created_at - clock_timestamp()), d.project_id, d.id, d.attempts,
  'https://hooks.example.com/' || d.attempts, CAST(:headers AS jsonb), d.last_attempt_at, d.last_response_status,
  '{{"content-type": "text/plain", "content-length": "2"}}', 'ok', 48, '93.184.216.34', d.last_error_code,
  d.last_error_message
FROM webhook.{deliveries} d
"""
FILL_EVENTS = f"""
INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id, webhooks_matched, created_at)
SELECT DISTINCT ON (d.event_id) d.event_id, d.project_id, d.event_type,
  jsonb_build_object('invoice', d.event_id, 'amount', 100, 'text', repeat('x', 400)), 'bench', {FAN_OUT},
  d.created_at
FROM webhook.webhook_deliveries d WHERE d.id >= webhook.uuidv7_floor(CAST(:since AS timestamptz))
ORDER BY d.event_id
"""
UNFINISHED = f"""
INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, scheduled_at, sweep_at)
SELECT w.project_id, w.id, uuidv7(), 'invoice.type' || n % 20, now() + interval '1 day',
  CASE WHEN n <= {HELD} THEN timestamptz 'infinity' ELSE now() + interval '1 day' END
FROM generate_series(1, {HELD + WAITING}) n JOIN {NUMBERED} w ON w.number = n % {WEBHOOKS}
"""


def make_scene(sql: pg8000.native.Connection, now: datetime) -> None:
    """What either database has: projects, webhooks, the deliveries of this month, and what is unfinished."""
    projects = [sql.run(PROJECT, name=f"bench {n}")[0][0] for n in range(PROJECTS)]
    sql.run(MAKE_WEBHOOKS, projects=projects)
    _fill(sql, now - timedelta(hours=1), now, RECENT)
    sql.run(UNFINISHED)


def months(count: int, now: datetime) -> list[datetime]:
    """The beginnings of the months before the present one, oldest first."""
    at, found = now, []
    for _ in range(count):
        at = partition_of("webhook_deliveries", at).start - timedelta(days=1)
        found.append(partition_of("webhook_deliveries", at).start)
    return found[::-1]


def make_month(sql: pg8000.native.Connection, start: datetime, count: int) -> None:
    """The partitions of one month of deliveries and attempts, with so many of either; 0 leaves them empty."""
    for table in MONTHLY:
        _make_apart(sql, table, start)
    if count:
        _fill(sql, start, partition_of(MONTHLY[0], start).end, count)
    for table in MONTHLY:
        _attach(sql, table, start)


def make_days(sql: pg8000.native.Connection, now: datetime) -> None:
    """The partitions of the events of the last days, with the events of the deliveries that there are."""
    for days in range(EVENT_DAYS, 1, -1):
        _make_apart(sql, EVENTS, now - timedelta(days=days))
        _attach(sql, EVENTS, now - timedelta(days=days))
    sql.run(FILL_EVENTS, since=partition_of(EVENTS, now - timedelta(days=EVENT_DAYS)).start + timedelta(seconds=1))


def partition_of(table: str, at: datetime) -> Partition:
    """The partition of this table that has the rows of this time."""
    series = series_of(table)
    if series is None:
        raise ValueError(f"{table} is not partitioned")
    return containing(series, at)


def _fill(sql: pg8000.native.Connection, start: datetime, end: datetime, count: int) -> None:
    """So many deliveries between these times, of one month, with an attempt each."""
    deliveries, attempts = (partition_of(table, start).name for table in MONTHLY)
    sql.run(DELIVERIES.format(name=deliveries), start=start, end=end, events=count // FAN_OUT)
    sql.run(ATTEMPTS.format(name=attempts, deliveries=deliveries), headers=json.dumps(HEADERS))


def _make_apart(sql: pg8000.native.Connection, table: str, at: datetime) -> None:
    series = series_of(table)
    options = series.options if series else ""
    sql.run(APART.format(name=partition_of(table, at).name, table=table, options=options))


def _attach(sql: pg8000.native.Connection, table: str, at: datetime) -> None:
    partition = partition_of(table, at)
    low, high = uuid7_floor(partition.start), uuid7_floor(partition.end)
    sql.run(ATTACH.format(table=table, name=partition.name, low=low, high=high))
