"""Accepting events: one statement stores them with their fan-out; another finds those that were known."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, text

from functions.api.caller import Caller
from functions.domain.event_types import patterns_matching
from functions.domain.ids import parse_uuid

Validation = Literal["off", "warn", "enforce"]


@dataclass(frozen=True)
class Kind:
    """What of an event, besides its data, decides which webhooks want it: events of a kind are matched once."""

    type: str
    application: str | None  # its id or uid as the caller named it, or the id that its key is bound to
    environment: str | None


@dataclass(frozen=True)
class Incoming:
    """One event of a request. Its data is not here: Postgres takes it from the body, byte for byte."""

    position: int
    key: str | None  # the caller's id where it is to be the key
    external_id: str | None  # the caller's id where it is not
    kind: Kind
    occurred_at: str | None


@dataclass(frozen=True)
class Accepted:
    """`answers` by position, for the events that were new; `deliveries` that now wait for their message.

    `unresolved` are the kinds whose application is not there. The rest is the project's.
    """

    answers: dict[int, dict[str, Any]]
    deliveries: list[str]
    unresolved: set[Kind]
    validation: Validation
    catalog_version: int


# One statement: the events, their external ids and the fan-out. Subscriptions are looked up once for each type in
# the batch: its patterns come expanded (domain/event_types.py), so each is one index look-up, and LATERAL with
# OFFSET or LIMIT holds the planner to that. Which of them want an event is decided once for each kind; only where
# a subscription has a filter is it asked of each event's data, and not for webhooks that get the event anyway.
# Several matching subscriptions of a webhook make one delivery. Paused webhooks get theirs; they wait. An event
# whose id is there already falls out by ON CONFLICT and its fan-out with it.
STATEMENT = """
WITH kinds AS MATERIALIZED ({kinds}), incoming AS MATERIALIZED (
  SELECT position, coalesce(key, uuidv7()) AS id, external_id, kind, occurred_at,
    jsonb_extract_path(CAST(:body AS jsonb), 'events', CAST(position AS text), 'data') AS data
  FROM jsonb_to_recordset(CAST(:incoming AS jsonb)) AS x (position integer, key uuid, external_id text,
    kind integer, occurred_at timestamptz)
), named AS (
  INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id)
  SELECT CAST(:project_id AS uuid), external_id, id FROM incoming
  WHERE external_id IS NOT NULL ORDER BY external_id
  ON CONFLICT DO NOTHING RETURNING event_id
), types AS MATERIALIZED (
  SELECT DISTINCT type, patterns FROM kinds
), subscribed AS MATERIALIZED (
  SELECT t.type, s.filter_path, w.* FROM types t
  CROSS JOIN LATERAL jsonb_array_elements_text(t.patterns) AS p (pattern)
  CROSS JOIN LATERAL (
    SELECT s.webhook_id, s.filter_path FROM webhook.webhook_subscriptions s
    WHERE s.project_id = CAST(:project_id AS uuid) AND s.event_type = p.pattern AND s.enabled OFFSET 0) s
  CROSS JOIN LATERAL (
    SELECT w.id AS webhook_id, w.max_attempts, w.application_id, w.environment FROM webhook.webhooks w
    WHERE w.id = s.webhook_id AND w.status <> 'disabled' AND w.deleted_at IS NULL LIMIT 1) w
), wanted AS MATERIALIZED (
  SELECT k.kind, s.webhook_id, s.max_attempts, s.application_id, s.filter_path
  FROM kinds k JOIN subscribed s USING (type)
  WHERE (s.application_id IS NULL OR s.application_id = k.application_id)
    AND (s.environment IS NULL OR s.environment = k.environment)
), unfiltered AS MATERIALIZED (
  SELECT DISTINCT kind, webhook_id, max_attempts, application_id FROM wanted WHERE filter_path IS NULL
), filtered AS MATERIALIZED (
  SELECT DISTINCT i.id AS event_id, w.webhook_id, w.max_attempts, w.application_id
  FROM wanted w JOIN incoming i USING (kind)
  WHERE w.filter_path IS NOT NULL AND i.data @@ w.filter_path AND NOT EXISTS (
    SELECT FROM unfiltered u WHERE u.kind = w.kind AND u.webhook_id = w.webhook_id)
), stored AS (
  INSERT INTO webhook.webhook_events (id, project_id, application_id, environment, external_id, type, data,
    occurred_at, correlation_id, webhooks_matched)
  SELECT i.id, CAST(:project_id AS uuid), k.application_id, k.environment, i.external_id, k.type, i.data,
    i.occurred_at, :correlation_id, coalesce(u.webhooks, 0) + coalesce(f.webhooks, 0)
  FROM incoming i JOIN kinds k USING (kind)
  LEFT JOIN (SELECT kind, count(*) AS webhooks FROM unfiltered GROUP BY kind) u USING (kind)
  LEFT JOIN (SELECT event_id, count(*) AS webhooks FROM filtered GROUP BY event_id) f ON f.event_id = i.id
  WHERE i.external_id IS NULL OR i.id IN (SELECT event_id FROM named)
  ORDER BY i.id
  ON CONFLICT (id) DO NOTHING
  RETURNING id, application_id, environment, external_id, type, webhooks_matched, created_at
), fanned AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT CAST(:project_id AS uuid), m.application_id, m.webhook_id, s.id, s.type, m.max_attempts, now(),
    now() + interval '90 s'
  FROM stored s JOIN (
    SELECT i.id AS event_id, u.webhook_id, u.max_attempts, u.application_id
    FROM incoming i JOIN unfiltered u USING (kind)
    UNION ALL SELECT event_id, webhook_id, max_attempts, application_id FROM filtered) m ON m.event_id = s.id
  RETURNING id
)
SELECT json_build_object(
  'answers', (SELECT json_agg(json_build_object('position', i.position, 'id', s.id,
      'external_id', s.external_id, 'type', s.type, 'application_id', s.application_id,
      'environment', s.environment, 'webhooks_matched', s.webhooks_matched,
      'created_at', webhook.rfc3339(s.created_at)))
    FROM stored s JOIN incoming i USING (id)),
  'deliveries', (SELECT json_agg(id) FROM fanned),
  'kinds', (SELECT json_agg(kind) FROM kinds WHERE application_id IS NOT NULL),
  'validation', p.validation, 'catalog_version', p.catalog_version
)::text FROM webhook.projects p WHERE p.id = CAST(:project_id AS uuid)
"""
KINDS = """
  SELECT kind, type, environment, patterns, {application} AS application_id
  FROM jsonb_to_recordset(CAST(:kinds AS jsonb))
    AS k (kind integer, type text, environment text, patterns jsonb, id uuid, uid text)
"""
# By id or else by uid; a key that is bound to an application names no other.
RESOLVED = """coalesce((
    SELECT a.id FROM webhook.applications a WHERE a.id = k.id AND {reached}), (
    SELECT a.id FROM webhook.applications a WHERE a.uid = k.uid AND {reached}))"""
REACHED = """a.project_id = CAST(:project_id AS uuid) AND a.deleted_at IS NULL
      AND (CAST(:bound AS uuid) IS NULL OR a.id = CAST(:bound AS uuid))"""
ACCEPT = text(STATEMENT.format(kinds=KINDS.format(application="CAST(NULL AS uuid)")))
ACCEPT_OF_APPLICATIONS = text(STATEMENT.format(kinds=KINDS.format(application=RESOLVED.format(reached=REACHED))))
# By external id or by key, within the project; a key that is another project's is simply not found, nor is another
# application's by a caller that is bound to one.
KNOWN = text("""
SELECT e.id, e.external_id, e.type, e.application_id, e.environment, e.webhooks_matched, e.created_at
FROM jsonb_array_elements_text(CAST(:ids AS jsonb)) AS wanted (id)
LEFT JOIN webhook.webhook_event_ids n
  ON n.project_id = CAST(:project_id AS uuid) AND n.external_id = wanted.id
CROSS JOIN LATERAL (
  SELECT * FROM webhook.webhook_events e
  WHERE e.id = coalesce(n.event_id, CASE WHEN wanted.id ~ :uuid THEN CAST(wanted.id AS uuid) END)
    AND e.project_id = CAST(:project_id AS uuid)
    AND (CAST(:bound AS uuid) IS NULL OR e.application_id = CAST(:bound AS uuid)) LIMIT 1) e
""")
UUID_SHAPE = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"


def accept(connection: Connection, caller: Caller, *, body: str, incoming: Sequence[Incoming]) -> Accepted:
    """Store the events of `body` (`{"events": […]}` as it came) and one delivery for each matching webhook.

    No two of `incoming` have the same key or external id.
    """
    kinds = {kind: number for number, kind in enumerate(dict.fromkeys(event.kind for event in incoming))}
    parameters: dict[str, Any] = {
        "project_id": caller.project_id,
        "body": body,
        "incoming": json.dumps([{**vars(event), "kind": kinds[event.kind]} for event in incoming]),
        "kinds": json.dumps([_kind(kind, number) for kind, number in kinds.items()]),
        "correlation_id": caller.correlation_id,
    }
    statement = ACCEPT
    if any(kind.application for kind in kinds):
        statement, parameters["bound"] = ACCEPT_OF_APPLICATIONS, caller.application_id or None
    return _accepted(json.loads(connection.execute(statement, parameters).scalar_one()), list(kinds))


def known_events(connection: Connection, caller: Caller, ids: Sequence[str]) -> list[dict[str, Any]]:
    """What was answered when events with these ids (keys or external ids) were first accepted."""
    parameters = {
        "project_id": caller.project_id,
        "bound": caller.application_id or None,
        "ids": json.dumps(ids),
        "uuid": UUID_SHAPE,
    }
    return [dict(row) for row in connection.execute(KNOWN, parameters).mappings()]


def _kind(kind: Kind, number: int) -> dict[str, Any]:
    """Of an application's id and its uid one is null: no uid has the shape of a UUID."""
    id = parse_uuid(kind.application) if kind.application else None
    return {
        "kind": number,
        "type": kind.type,
        "environment": kind.environment,
        "patterns": patterns_matching(kind.type),
        "id": id and str(id),
        "uid": None if id else kind.application,
    }


def _accepted(answer: dict[str, Any], kinds: list[Kind]) -> Accepted:
    resolved = set(answer["kinds"] or ())
    return Accepted(
        answers={row.pop("position"): row for row in answer["answers"] or ()},
        deliveries=answer["deliveries"] or [],
        unresolved={kind for n, kind in enumerate(kinds) if kind.application and n not in resolved},
        validation=answer["validation"],
        catalog_version=answer["catalog_version"],
    )
