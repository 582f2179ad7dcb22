"""Accepting events with their fan-out, and reading them."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, select, text

from functions.api import paging
from functions.models import webhook_events

ACCEPTED = (
    webhook_events.c.id,
    webhook_events.c.external_id,
    webhook_events.c.type,
    webhook_events.c.webhooks_matched,
    webhook_events.c.created_at,
)
EVENT = text("""
SELECT json_build_object('id', id, 'external_id', external_id, 'type', type, 'data', data,
  'webhooks_matched', webhooks_matched, 'occurred_at', webhook.rfc3339(occurred_at),
  'correlation_id', correlation_id, 'created_at', webhook.rfc3339(created_at))::text
FROM webhook.webhook_events WHERE id = CAST(:id AS uuid)
""")


@dataclass(frozen=True)
class Incoming:
    """One event of a request. Its data is not here: Postgres takes it from the body, byte for byte."""

    position: int
    key: str | None  # the caller's id where it is to be the key
    external_id: str | None  # the caller's id where it is not
    type: str
    patterns: list[str]
    occurred_at: str | None


@dataclass(frozen=True)
class Accepted:
    """`answers` by position, for the events that were new; `deliveries` that now wait for their message."""

    answers: dict[int, dict[str, Any]]
    deliveries: list[str]


# One statement: the events, their external ids and the fan-out. Matching is done once for each type in the batch:
# its patterns come expanded (domain/event_types.py), so each is one index look-up, and LATERAL with OFFSET or
# LIMIT holds the planner to that. Several matching subscriptions of a webhook make one delivery. An event whose
# id is there already, or twice in this batch, falls out by ON CONFLICT and its fan-out with it.
ACCEPT = text("""
WITH incoming AS MATERIALIZED (
  SELECT position, coalesce(key, uuidv7()) AS id, external_id, type, patterns, occurred_at,
    jsonb_extract_path(CAST(:body AS jsonb), 'events', CAST(position AS text), 'data') AS data
  FROM jsonb_to_recordset(CAST(:incoming AS jsonb)) AS x (position integer, key uuid, external_id text,
    type text, patterns jsonb, occurred_at timestamptz)
), named AS (
  INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id)
  SELECT CAST(:project_id AS uuid), external_id, id FROM incoming
  WHERE external_id IS NOT NULL ORDER BY external_id
  ON CONFLICT DO NOTHING RETURNING event_id
), kinds AS MATERIALIZED (
  SELECT DISTINCT type, patterns FROM incoming
), matched AS MATERIALIZED (
  SELECT DISTINCT k.type, w.id AS webhook_id, w.max_attempts FROM kinds k
  CROSS JOIN LATERAL jsonb_array_elements_text(k.patterns) AS p (pattern)
  CROSS JOIN LATERAL (
    SELECT s.webhook_id FROM webhook.webhook_subscriptions s
    WHERE s.project_id = CAST(:project_id AS uuid) AND s.event_type = p.pattern AND s.enabled OFFSET 0) s
  CROSS JOIN LATERAL (
    SELECT w.id, w.max_attempts FROM webhook.webhooks w
    WHERE w.id = s.webhook_id AND w.status = 'active' AND w.deleted_at IS NULL LIMIT 1) w
), stored AS (
  INSERT INTO webhook.webhook_events
    (id, project_id, external_id, type, data, occurred_at, correlation_id, webhooks_matched)
  SELECT i.id, CAST(:project_id AS uuid), i.external_id, i.type, i.data, i.occurred_at, :correlation_id,
    coalesce(m.webhooks, 0)
  FROM incoming i LEFT JOIN (SELECT type, count(*) AS webhooks FROM matched GROUP BY type) m USING (type)
  WHERE i.external_id IS NULL OR i.id IN (SELECT event_id FROM named)
  ORDER BY i.id
  ON CONFLICT (id) DO NOTHING
  RETURNING id, external_id, type, webhooks_matched, created_at
), fanned AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT CAST(:project_id AS uuid), m.webhook_id, s.id, s.type, m.max_attempts, now(), now() + interval '90 s'
  FROM stored s JOIN matched m USING (type)
  RETURNING id
)
SELECT json_build_object(
  'answers', (SELECT json_agg(json_build_object('position', i.position, 'id', s.id,
      'external_id', s.external_id, 'type', s.type, 'webhooks_matched', s.webhooks_matched,
      'created_at', webhook.rfc3339(s.created_at)))
    FROM stored s JOIN (SELECT id, min(position) AS position FROM incoming GROUP BY id) i USING (id)),
  'deliveries', (SELECT json_agg(id) FROM fanned)
)::text
""")
# By external id or by key, within the project; a key that is another project's is simply not found.
KNOWN = text("""
SELECT e.id, e.external_id, e.type, e.webhooks_matched, e.created_at
FROM jsonb_array_elements_text(CAST(:ids AS jsonb)) AS wanted (id)
LEFT JOIN webhook.webhook_event_ids n
  ON n.project_id = CAST(:project_id AS uuid) AND n.external_id = wanted.id
CROSS JOIN LATERAL (
  SELECT * FROM webhook.webhook_events e
  WHERE e.id = coalesce(n.event_id, CASE WHEN wanted.id ~ :uuid THEN CAST(wanted.id AS uuid) END)
    AND e.project_id = CAST(:project_id AS uuid) LIMIT 1) e
""")
UUID_SHAPE = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def accept(
    connection: Connection, project_id: str, *, body: str, incoming: list[Incoming], correlation_id: str
) -> Accepted:
    """Store the events of `body` (`{"events": […]}` as it came) and one delivery for each matching webhook."""
    parameters = {
        "project_id": project_id,
        "body": body,
        "incoming": json.dumps([vars(event) for event in incoming]),
        "correlation_id": correlation_id,
    }
    answer = json.loads(connection.execute(ACCEPT, parameters).scalar_one())
    return Accepted(
        answers={row.pop("position"): row for row in answer["answers"] or ()},
        deliveries=answer["deliveries"] or [],
    )


def known_events(connection: Connection, project_id: str, ids: list[str]) -> list[dict[str, Any]]:
    """What was answered when events with these ids (keys or external ids) were first accepted."""
    parameters = {"project_id": project_id, "ids": json.dumps(ids), "uuid": UUID_SHAPE}
    return [dict(row) for row in connection.execute(KNOWN, parameters).mappings()]


def event(connection: Connection, project_id: str, id: str) -> str | None:
    """The whole event by key or external id, as JSON text: its data keeps every digit it came with."""
    known = known_events(connection, project_id, [id])
    if not known:
        return None
    return str(connection.execute(EVENT, {"id": known[0]["id"]}).scalar_one())


def list_events(
    connection: Connection, project_id: str, *, limit: int, cursor: str, type: str, bounds: list[Any]
) -> Sequence[RowMapping]:
    statement = select(*ACCEPTED).where(webhook_events.c.project_id == project_id, *bounds)
    if type:
        statement = statement.where(webhook_events.c.type == type)
    paged = paging.after(statement, webhook_events.c.id, limit=limit, cursor=cursor)
    return connection.execute(paged).mappings().all()
