"""Operational events (P11): what Hookline tells of itself, stored and delivered like any other event.

They go only to subscriptions that name them (`hookline.*`, `hookline.webhook.*`, an exact name): `*` is for the
caller's own events. An event is about one webhook and never goes to that one; what became of an operational event
itself is never told. One that nobody wants is not stored.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.domain.event_types import RESERVED, patterns_matching
from functions.domain.ids import uuid7
from functions.domain.outbox import OUTBOX_SECONDS
from functions.statements import named
from functions.telemetry import logger

DISABLED = "hookline.webhook.disabled"
RECOVERED = "hookline.webhook.recovered"
SLOW = "hookline.webhook.slow"
FAILING = "hookline.delivery.failing"
EXHAUSTED = "hookline.delivery.exhausted"


@dataclass(frozen=True)
class Signal:
    """Something that Hookline tells of itself, in the transaction in which it happened.

    `data` is what is particular to it, as JSON. `delivery_id` is the delivery that it is about, or that brought it
    about: of one that is itself of an operational event, or of a test, nothing is told.
    """

    type: str
    webhook_id: str
    delivery_id: str | None = None
    data: dict[str, Any] = field(default_factory=dict)


class Notice(NamedTuple):
    """A delivery that was made: its message is for the delivery queue, after the commit."""

    delivery_id: str
    token: int
    project_id: str


class About(NamedTuple):
    """The webhook that a signal is about, as far as an event tells of it."""

    id: str
    project_id: str
    name: str
    application_id: str | None
    environment: str | None


class Origin(NamedTuple):
    """A signal's delivery, as it is now."""

    id: str
    event_id: str
    event_type: str
    attempts: int
    max_attempts: int
    last_response_status: int | None
    last_error: dict[str, str] | None
    dead_letter_id: str | None


# The webhooks among these in whose project somebody is subscribed at all: one index look-up for each pattern.
WANTED = named(
    "operational.wanted",
    text("""
WITH about AS MATERIALIZED (
  SELECT id, project_id, name, application_id, environment FROM webhook.webhooks
  WHERE id = ANY (CAST(:webhooks AS uuid[]))
), listening AS MATERIALIZED (
  SELECT p.project_id FROM (SELECT DISTINCT project_id FROM about) p
  WHERE EXISTS (
    SELECT FROM unnest(CAST(:patterns AS text[])) AS t (pattern)
    CROSS JOIN LATERAL (
      SELECT FROM webhook.webhook_subscriptions s
      WHERE s.project_id = p.project_id AND s.event_type = t.pattern AND s.enabled LIMIT 1) s)
)
SELECT coalesce(json_agg(json_build_array(id, project_id, name, application_id, environment)), '[]')::text
FROM about WHERE project_id IN (SELECT project_id FROM listening)
"""),
)
ORIGINS = named(
    "operational.origins",
    text("""
SELECT coalesce(json_agg(json_build_array(d.id, d.event_id, d.event_type, d.attempts, d.max_attempts,
  d.last_response_status, CASE WHEN d.last_error_code IS NOT NULL
    THEN json_build_object('code', d.last_error_code, 'message', d.last_error_message) END, l.id)), '[]')::text
FROM webhook.webhook_deliveries d
LEFT JOIN webhook.webhook_dlq l
  ON l.delivery_id = ANY (CAST(:ids AS uuid[])) AND l.delivery_id = d.id AND l.status = 'pending'
WHERE d.id = ANY (CAST(:ids AS uuid[])) AND NOT starts_with(d.event_type, :reserved)
"""),
)
# As accepting an event finds its webhooks (ingest/accept_statement.py): each pattern is one index look-up
# among the subscriptions of webhooks that are bound to no application, and one among those of its own. Once for
# each webhook and type; filters are asked of each event's data.
STORE = named(
    "operational.store",
    text("""
WITH told AS MATERIALIZED (
  SELECT x.*, uuidv7() AS id FROM jsonb_to_recordset(CAST(:told AS jsonb)) AS x (kind integer, type text,
    project_id uuid, application_id uuid, environment text, origin uuid, correlation_id text, data jsonb)
), subscribed AS MATERIALIZED (
  SELECT p.kind, w.*, s.filter_path
  FROM jsonb_to_recordset(CAST(:patterns AS jsonb)) AS p (kind integer, pattern text, about uuid,
    project_id uuid, application_id uuid, environment text)
  CROSS JOIN LATERAL ((
      SELECT webhook_id, filter_path FROM webhook.webhook_subscriptions
      WHERE project_id = p.project_id AND event_type = p.pattern AND enabled AND application_id IS NULL
      ORDER BY application_id, webhook_id LIMIT (SELECT CAST(1000000 AS bigint))
    ) UNION ALL (
      SELECT webhook_id, filter_path FROM webhook.webhook_subscriptions
      WHERE project_id = p.project_id AND event_type = p.pattern AND enabled
        AND application_id = p.application_id
      ORDER BY application_id, webhook_id LIMIT (SELECT CAST(1000000 AS bigint))
    ) OFFSET 0) s
  CROSS JOIN LATERAL (
    SELECT w.id AS webhook_id, w.max_attempts, w.application_id FROM webhook.webhooks w
    WHERE w.id = s.webhook_id AND w.id <> p.about AND w.status <> 'disabled' AND w.deleted_at IS NULL
      AND (w.environment IS NULL OR w.environment = p.environment) LIMIT 1) w
), matched AS MATERIALIZED (
  SELECT DISTINCT t.id AS event_id, s.webhook_id, s.max_attempts, s.application_id
  FROM told t JOIN subscribed s USING (kind)
  WHERE s.filter_path IS NULL OR t.data @@ s.filter_path
), stored AS (
  INSERT INTO webhook.webhook_events
    (id, project_id, application_id, environment, type, data, correlation_id, webhooks_matched)
  SELECT t.id, t.project_id, t.application_id, t.environment, t.type, t.data,
    coalesce(e.correlation_id, t.correlation_id), m.webhooks
  FROM told t JOIN (SELECT event_id, count(*) AS webhooks FROM matched GROUP BY event_id) m ON m.event_id = t.id
  LEFT JOIN webhook.webhook_events e ON e.id = ANY (CAST(:origins AS uuid[])) AND e.id = t.origin
  ORDER BY t.id
), made AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT t.project_id, m.application_id, m.webhook_id, t.id, t.type, m.max_attempts, now(),
    now() + CAST(:outbox AS integer) * interval '1 s'
  FROM matched m JOIN told t ON t.id = m.event_id ORDER BY t.id, m.webhook_id
  RETURNING id, token, project_id
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id) ORDER BY id), '[]')::text FROM made
"""),
)


def notify(connection: Connection, signals: Sequence[Signal], *, correlation_id: str = "") -> list[Notice]:
    """Store the events that somebody subscribed to, with their deliveries: to be sent after the commit.

    `correlation_id` is for signals without a delivery; the others have that of their delivery's event.

    An outcome that is being recorded must not be lost because nobody could be told of it: what the database
    refuses is taken back to a savepoint, logged and left out. Raises sqlalchemy.exc.DBAPIError when the look for
    subscriptions fails, or the connection is gone: then so is the caller's transaction.
    """
    if not signals:
        return []
    wanted = _wanted(connection, signals)
    heard = [signal for signal in signals if signal.webhook_id in wanted]
    if not heard:
        return []
    try:
        with connection.begin_nested():
            return _tell(connection, heard, wanted, correlation_id or uuid7())
    except DBAPIError as error:
        if error.connection_invalidated:
            raise
        logger.exception("operational events not stored", count=len(heard))
        return []


def _wanted(connection: Connection, signals: Sequence[Signal]) -> dict[str, About]:
    given = {
        "webhooks": list({signal.webhook_id for signal in signals}),
        "patterns": sorted({pattern for signal in signals for pattern in patterns_matching(signal.type)}),
    }
    rows = json.loads(connection.execute(WANTED, given).scalar_one())
    return {row[0]: About(*row) for row in rows}


def _tell(
    connection: Connection, signals: list[Signal], webhooks: dict[str, About], correlation_id: str
) -> list[Notice]:
    origins = _origins(connection, {signal.delivery_id for signal in signals if signal.delivery_id})
    told = [signal for signal in signals if signal.delivery_id is None or signal.delivery_id in origins]
    if not told:
        return []
    kinds = {kind: n for n, kind in enumerate(dict.fromkeys((one.type, one.webhook_id) for one in told))}
    rows = [
        {
            "kind": kinds[one.type, one.webhook_id],
            "type": one.type,
            "correlation_id": correlation_id,
            **_shared(webhooks[one.webhook_id]),
            **_particular(one, webhooks[one.webhook_id], origins.get(one.delivery_id or "")),
        }
        for one in told
    ]
    given = {
        "told": json.dumps(rows),
        "patterns": json.dumps(list(_look_ups(kinds, webhooks))),
        "origins": list({origin.event_id for origin in origins.values()}),
        "outbox": OUTBOX_SECONDS,
    }
    notices = [Notice(*row) for row in json.loads(connection.execute(STORE, given).scalar_one())]
    logger.info("operational events", signals=len(told), deliveries=len(notices))
    return notices


def _origins(connection: Connection, ids: set[str]) -> dict[str, Origin]:
    """The signals' deliveries, without those of operational events and tests."""
    if not ids:
        return {}
    rows = connection.execute(ORIGINS, {"ids": list(ids), "reserved": RESERVED}).scalar_one()
    return {row[0]: Origin(*row) for row in json.loads(rows)}


def _look_ups(kinds: dict[tuple[str, str], int], webhooks: dict[str, About]) -> Iterable[dict[str, Any]]:
    for (type, about), kind in kinds.items():
        for pattern in patterns_matching(type):
            yield {"kind": kind, "pattern": pattern, "about": about, **_shared(webhooks[about])}


def _shared(webhook: About) -> dict[str, Any]:
    """What the event has from its webhook, and is matched by."""
    return {
        "project_id": webhook.project_id,
        "application_id": webhook.application_id,
        "environment": webhook.environment,
    }


def _particular(signal: Signal, webhook: About, origin: Origin | None) -> dict[str, Any]:
    data = {
        "webhook_id": webhook.id,
        "webhook_name": webhook.name,
        "application_id": webhook.application_id,
        "environment": webhook.environment,
    }
    if origin is None:
        return {"origin": None, "data": {**data, **signal.data}}
    of_delivery = {
        "delivery_id": origin.id,
        "event_id": origin.event_id,
        "event_type": origin.event_type,
        "attempts": origin.attempts,
        "max_attempts": origin.max_attempts,
        "last_response_status": origin.last_response_status,
        "last_error": origin.last_error,
    }
    if signal.type == EXHAUSTED:
        of_delivery["dead_letter_id"] = origin.dead_letter_id
    return {"origin": origin.event_id, "data": {**data, **of_delivery, **signal.data}}
