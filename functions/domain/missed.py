"""What a webhook would get by its subscriptions now and never got (P5): counting it, and making the deliveries.

Events are walked in key order. Those that were made to test one webhook are nobody else's, and operational events
are matched as they are when they happen (domain/operational.py).
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, text

from functions.domain.event_types import RESERVED, TEST
from functions.domain.ids import KEY_AGE, KEY_SKEW, uuid7_floor
from functions.domain.jobs import BATCH, Batch, BusyError, Job, window
from functions.domain.outbox import OUTBOX_SECONDS
from functions.domain.reopening import TRANSACTION
from functions.statements import named

LOOK_AT = 10_000  # events a batch; of 256 KiB each they are not read unless a filter asks
LOOK_AT_FILTERED = 2_000

WEBHOOK = named(
    "missed.webhook",
    text("""
SELECT application_id, environment, status = 'disabled' OR deleted_at IS NOT NULL AS gone, (
    SELECT json_agg(s.event_type)::text FROM webhook.webhook_subscriptions s
    WHERE s.webhook_id = w.id AND s.enabled
  ) AS patterns, EXISTS (
    SELECT FROM webhook.webhook_subscriptions s
    WHERE s.webhook_id = w.id AND s.enabled AND s.filter_path IS NOT NULL) AS filtered
FROM webhook.webhooks w WHERE w.id = CAST(:webhook_id AS uuid) AND w.project_id = CAST(:project_id AS uuid)
"""),
)
# Two jobs for one webhook at once would make the same deliveries twice: the second waits for its next batch.
ALONE = named(
    "missed.alone",
    text("SELECT pg_try_advisory_xact_lock(hashtextextended('missed ' || CAST(:webhook_id AS text), 0))"),
)

# Bounds on the key prune the partitions; a caller's own UUIDv7 may lie about its time a little (domain/ids.py).
IN_WINDOW = """
  e.project_id = CAST(:project_id AS uuid) AND e.id > CAST(:from_key AS uuid) AND e.id < CAST(:to_key AS uuid)
  AND e.created_at >= CAST(:since AS timestamptz) AND e.created_at < CAST(:until AS timestamptz)
  AND e.expunged_at IS NULL AND e.type <> :test
  AND (CAST(:application_id AS uuid) IS NULL OR e.application_id = CAST(:application_id AS uuid))
  AND (CAST(:environment AS text) IS NULL OR e.environment = CAST(:environment AS text))
  AND (NOT starts_with(e.type, :reserved) OR e.data ->> 'webhook_id' IS DISTINCT FROM CAST(:webhook_id AS text))
"""
BY_PROJECT = """
  SELECT e.id, e.type, CASE WHEN CAST(:filtered AS boolean) THEN e.data END AS data FROM webhook.webhook_events e
  WHERE {in_window} ORDER BY e.id LIMIT CAST(:look AS integer)
"""
# A webhook with exact names only: what it did not subscribe to is not even looked at.
BY_TYPE = """
  SELECT e.id, e.type, e.data FROM unnest(CAST(:types AS text[])) AS t (type)
  CROSS JOIN LATERAL (
    SELECT e.id, e.type, CASE WHEN CAST(:filtered AS boolean) THEN e.data END AS data
    FROM webhook.webhook_events e
    WHERE e.type = t.type AND {in_window} ORDER BY e.id LIMIT CAST(:look AS integer)) e
  ORDER BY e.id LIMIT CAST(:look AS integer)
"""
# OFFSET 0 keeps the planner from making joins of these look-ups, which fresh partitions without statistics spoil.
SUBSCRIPTIONS = """
WITH s AS MATERIALIZED (
  SELECT event_type, filter_path FROM webhook.webhook_subscriptions
  WHERE webhook_id = CAST(:webhook_id AS uuid) AND enabled
)"""
SUBSCRIBED = """
  EXISTS (SELECT FROM s
    WHERE (s.event_type = '*' AND NOT starts_with(e.type, :reserved) OR s.event_type = e.type
        OR right(s.event_type, 2) = '.*' AND starts_with(e.type, left(s.event_type, -1)))
      AND (s.filter_path IS NULL OR e.data @@ s.filter_path) OFFSET 0)
"""
NEXT = """
{subscriptions}, e AS MATERIALIZED ({looked}), missed AS MATERIALIZED (
  SELECT e.id, e.type FROM e
  WHERE {subscribed} AND NOT EXISTS (
    SELECT FROM webhook.webhook_deliveries d
    WHERE d.event_id = e.id AND d.id >= CAST(:deliveries_from AS uuid)
      AND (d.webhook_id = CAST(:webhook_id AS uuid) OR d.event_type = :test) OFFSET 0)
  ORDER BY e.id LIMIT CAST(:most AS integer)
), made AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT w.project_id, w.application_id, w.id, m.id, m.type, w.max_attempts, now(),
    now() + CAST(:outbox AS integer) * interval '1 s'
  FROM missed m JOIN webhook.webhooks w ON w.id = CAST(:webhook_id AS uuid) ORDER BY m.id
  RETURNING id, token
)
SELECT json_build_object(
  'due', (SELECT coalesce(json_agg(json_build_array(id, token) ORDER BY id), '[]') FROM made),
  'looked', (SELECT count(*) FROM e),
  'last', (SELECT id FROM e ORDER BY id DESC LIMIT 1),
  'last_missed', (SELECT id FROM missed ORDER BY id DESC LIMIT 1)
)::text
"""
# All at once a join is cheaper, by hash or merge: a full join can be nothing else, whatever the statistics say.
COUNT = """
{subscriptions}, wanted AS (
  SELECT e.id FROM webhook.webhook_events e WHERE {in_window} {of_types} AND {subscribed}
), got AS (
  SELECT event_id FROM webhook.webhook_deliveries
  WHERE webhook_id = CAST(:webhook_id AS uuid) AND id >= CAST(:deliveries_from AS uuid)
  UNION
  SELECT event_id FROM webhook.webhook_deliveries
  WHERE project_id = CAST(:project_id AS uuid) AND event_type = :test AND id >= CAST(:deliveries_from AS uuid)
)
SELECT count(wanted.id) FROM wanted FULL JOIN got ON got.event_id = wanted.id WHERE got.event_id IS NULL
"""
PARTS = {"subscriptions": SUBSCRIPTIONS, "in_window": IN_WINDOW, "subscribed": SUBSCRIBED}
NEXT_BY_PROJECT = named("missed.next_by_project", text(NEXT.format(looked=BY_PROJECT.format(**PARTS), **PARTS)))
NEXT_BY_TYPE = named("missed.next_by_type", text(NEXT.format(looked=BY_TYPE.format(**PARTS), **PARTS)))
COUNT_BY_PROJECT = named("missed.count_by_project", text(COUNT.format(of_types="", **PARTS)))
COUNT_BY_TYPE = named(
    "missed.count_by_type",
    text(COUNT.format(of_types="AND e.type = ANY (CAST(:types AS text[]))", **PARTS)),
)


@dataclass(frozen=True)
class Wanted:
    """Events accepted from `since` (inclusive) until `until`."""

    project_id: str
    webhook_id: str
    since: datetime
    until: datetime


def wanted_by(project_id: str, parameters: dict[str, Any]) -> Wanted:
    """What a job of kind `replay_missing` with these parameters reaches."""
    return Wanted(project_id, parameters["webhook_id"], *window(parameters))


def count(connection: Connection, wanted: Wanted) -> int:
    """How many events the webhook would get now that it never got."""
    webhook = _webhook(connection, wanted)
    if webhook is None:
        return 0
    exact = _exact_types(webhook)
    statement = COUNT_BY_PROJECT if exact is None else COUNT_BY_TYPE
    return int(connection.execute(statement, _parameters(wanted, webhook, exact)).scalar_one())


def batch(connection: Connection, job: Job) -> Batch:
    """The next batch of a job of kind `replay_missing`. Raises BusyError."""
    wanted = wanted_by(job.project_id, job.parameters)
    webhook = _webhook(connection, wanted)
    if webhook is None or webhook["gone"]:
        return Batch(0, 0, None, error="the webhook was disabled or deleted meanwhile")
    if not connection.execute(ALONE, {"webhook_id": wanted.webhook_id}).scalar_one():
        raise BusyError
    return _next(connection, wanted, webhook, job.position)


def _next(connection: Connection, wanted: Wanted, webhook: RowMapping, position: str | None) -> Batch:
    exact = _exact_types(webhook)
    statement: TextClause = NEXT_BY_PROJECT if exact is None else NEXT_BY_TYPE
    parameters = _parameters(wanted, webhook, exact)
    if position is not None:
        parameters["from_key"] = position
    answer = json.loads(connection.execute(statement, parameters).scalar_one())
    due = [(id, token) for id, token in answer["due"]]
    if len(due) == BATCH:
        return Batch(len(due), len(due), answer["last_missed"], due)
    more = answer["looked"] == parameters["look"]
    return Batch(len(due), len(due), answer["last"] if more else None, due)


def _webhook(connection: Connection, wanted: Wanted) -> RowMapping | None:
    asked = {"webhook_id": wanted.webhook_id, "project_id": wanted.project_id}
    return connection.execute(WEBHOOK, asked).mappings().one_or_none()


def _exact_types(webhook: RowMapping) -> list[str] | None:
    """The names a webhook is subscribed to; None when a pattern is among them."""
    patterns: list[str] = json.loads(webhook["patterns"] or "[]")
    return None if any(pattern.endswith("*") for pattern in patterns) else sorted(set(patterns))


def _parameters(wanted: Wanted, webhook: RowMapping, exact: list[str] | None) -> dict[str, Any]:
    earliest = wanted.since - KEY_AGE
    return {
        "project_id": wanted.project_id,
        "webhook_id": wanted.webhook_id,
        "application_id": webhook["application_id"],
        "environment": webhook["environment"],
        "filtered": webhook["filtered"],
        "types": exact or [],
        "since": wanted.since,
        "until": wanted.until,
        "from_key": uuid7_floor(earliest),
        "to_key": uuid7_floor(wanted.until + KEY_SKEW + TRANSACTION),
        "deliveries_from": uuid7_floor(wanted.since - timedelta(milliseconds=1)),
        "look": LOOK_AT_FILTERED if webhook["filtered"] else LOOK_AT,
        "most": BATCH,
        "outbox": OUTBOX_SECONDS,
        "test": TEST,
        "reserved": RESERVED,
    }
