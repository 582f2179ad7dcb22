"""Sending an event anew (P5): to all webhooks that want it now, or to one."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, select, text

from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.domain.event_types import RESERVED, TEST, patterns_matching
from functions.domain.ids import KEY_SKEW, floor_of
from functions.domain.outbox import OUTBOX_SECONDS
from functions.models import webhook_events, webhooks
from functions.statements import named

MOST_WEBHOOKS = 10_000  # their answer is 1 MB; Lambda takes 6
MADE = """
WITH {event} matched AS MATERIALIZED ({matched}
), made AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT CAST(:project_id AS uuid), application_id, id, CAST(:id AS uuid), :type, max_attempts, now(),
    now() + CAST(:outbox AS integer) * interval '1 s'
  FROM matched ORDER BY id LIMIT CAST(:most AS integer)
  RETURNING id, webhook_id
)
SELECT json_build_object('id', id, 'webhook_id', webhook_id)::text FROM made ORDER BY webhook_id
"""
# As accepting an event finds its webhooks (queries/events.py), and within the caller's reach.
WANTING = """
  SELECT DISTINCT w.id, w.application_id, w.max_attempts FROM event e
  CROSS JOIN LATERAL jsonb_array_elements_text(CAST(:patterns AS jsonb)) AS p (pattern)
  CROSS JOIN LATERAL (
    SELECT s.webhook_id, s.filter_path FROM webhook.webhook_subscriptions s
    WHERE s.project_id = CAST(:project_id AS uuid) AND s.event_type = p.pattern AND s.enabled OFFSET 0) s
  CROSS JOIN LATERAL (
    SELECT w.id, w.application_id, w.max_attempts FROM webhook.webhooks w
    WHERE w.id = s.webhook_id AND w.status <> 'disabled' AND w.deleted_at IS NULL
      AND (w.application_id IS NULL OR w.application_id = e.application_id)
      AND (w.environment IS NULL OR w.environment = e.environment)
      AND (CAST(:application_id AS uuid) IS NULL OR w.application_id = CAST(:application_id AS uuid)) LIMIT 1) w
  WHERE (s.filter_path IS NULL OR e.data @@ s.filter_path)
    AND (NOT starts_with(:type, :reserved) OR e.data ->> 'webhook_id' IS DISTINCT FROM CAST(w.id AS text))
"""
EVENT = """event AS MATERIALIZED (
  SELECT data, application_id, environment FROM webhook.webhook_events WHERE id = CAST(:id AS uuid)
),"""
NAMED = """
  SELECT id, application_id, max_attempts FROM webhook.webhooks WHERE id = CAST(:webhook_id AS uuid)
"""
TO_ALL = named("replays.to_all", text(MADE.format(event=EVENT, matched=WANTING)))
TO_ONE = named("replays.to_one", text(MADE.format(event="", matched=NAMED)))
TESTED = named(
    "replays.was_test",
    text("""
SELECT EXISTS (
  SELECT FROM webhook.webhook_deliveries
  WHERE event_id = CAST(:id AS uuid) AND event_type = :test AND id >= CAST(:floor AS uuid))
"""),
)
w = webhooks.c
e = webhook_events.c


@dataclass(frozen=True)
class Replayed:
    """The new deliveries, as JSON texts for the answer and as keys for the queue."""

    shown: list[str]
    ids: list[str]


def event(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """What a replay has to know of the event with this key. Its payload is not expunged before the end."""
    shown = (e.id, e.type, e.application_id, e.environment, e.expunged_at)
    found = select(*shown).where(*within(webhook_events, caller), e.id == id).with_for_update(read=True)
    return connection.execute(named("replays.event", found)).mappings().one_or_none()


def was_test(connection: Connection, id: str) -> bool:
    """Whether the event was made to test one webhook."""
    given = {"id": id, "test": TEST, "floor": floor_of(str(id), KEY_SKEW)}
    return bool(connection.execute(TESTED, given).scalar_one())


def webhook(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """How the webhook stands, living or deleted."""
    shown = select(w.status, w.application_id, w.environment, w.deleted_at)
    found = named("replays.webhook", shown.where(*within(webhooks, caller), w.id == id))
    return connection.execute(found).mappings().one_or_none()


def to_all(connection: Connection, caller: Caller, event: RowMapping) -> Replayed:
    """A delivery for every webhook that wants the event now; of more than MOST_WEBHOOKS one more than those."""
    wanted = {
        "patterns": json.dumps(patterns_matching(event["type"])),
        "reserved": RESERVED,
        "application_id": caller.application_id or None,
    }
    return _made(connection, caller, TO_ALL, event, wanted)


def to_one(connection: Connection, caller: Caller, event: RowMapping, webhook_id: str) -> Replayed:
    """A delivery for this webhook."""
    return _made(connection, caller, TO_ONE, event, {"webhook_id": webhook_id})


def _made(
    connection: Connection, caller: Caller, statement: TextClause, event: RowMapping, wanted: dict[str, Any]
) -> Replayed:
    parameters = {
        "project_id": caller.project_id,
        "id": event["id"],
        "type": event["type"],
        "outbox": OUTBOX_SECONDS,
        "most": MOST_WEBHOOKS + 1,
        **wanted,
    }
    shown = [str(one) for one in connection.execute(statement, parameters).scalars()]
    return Replayed(shown, [json.loads(one)["id"] for one in shown])
