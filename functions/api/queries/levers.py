"""What levers do to a webhook: its status, and test events."""

import json
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, text, update

from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.domain.event_types import TEST
from functions.domain.outbox import OUTBOX_SECONDS
from functions.models import webhooks
from functions.statements import named

w = webhooks.c
STANDING = (w.id, w.application_id, w.status, w.status_reason, w.ordering, w.version)
# Nobody else gets the event, so it is matched with nothing. Its delivery is of the type `hookline.test` whatever
# the endpoint is told: by it deliveries of tests are told apart, and leave no dead letter.
SEND_TEST = named(
    "levers.send_test",
    text("""
WITH event AS (
  INSERT INTO webhook.webhook_events
    (project_id, application_id, environment, type, data, correlation_id, webhooks_matched)
  SELECT project_id, application_id, environment, :type,
    coalesce(jsonb_extract_path(CAST(:body AS jsonb), 'data'), jsonb_build_object('webhook_id', id, 'test', true)),
    :correlation_id, 1
  FROM webhook.webhooks WHERE id = CAST(:webhook_id AS uuid)
  RETURNING id
), delivery AS (
  INSERT INTO webhook.webhook_deliveries
    (project_id, application_id, webhook_id, event_id, event_type, max_attempts, scheduled_at, sweep_at)
  SELECT w.project_id, w.application_id, w.id, event.id, :test, 1, now(),
    now() + CAST(:outbox AS integer) * interval '1 s'
  FROM webhook.webhooks w CROSS JOIN event WHERE w.id = CAST(:webhook_id AS uuid)
  RETURNING id, event_id
)
SELECT json_build_object('event_id', event_id, 'delivery_id', id)::text FROM delivery
"""),
)


def webhook(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """How the webhook stands, if it is not deleted."""
    found = select(*STANDING).where(*within(webhooks, caller), w.id == id, w.deleted_at.is_(None))
    return connection.execute(named("levers.webhook", found)).mappings().one_or_none()


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The same; until the transaction ends nobody else changes it, and no delivery to it is held back."""
    found = select(*STANDING).where(*within(webhooks, caller), w.id == id, w.deleted_at.is_(None))
    locked = named("levers.lock_webhook", found.with_for_update(key_share=True))
    return connection.execute(locked).mappings().one_or_none()


def set_status(connection: Connection, caller: Caller, id: str, status: str, reason: str | None) -> None:
    """Of a webhook that is locked."""
    changed = (
        update(webhooks)
        .where(w.id == id)
        .values(
            status=status,
            status_reason=reason,
            status_changed_at=func.now(),
            updated_at=func.now(),
            updated_by=caller.key_id,
            version=w.version + 1,
        )
    )
    connection.execute(named("levers.set_status", changed))


def send_test(connection: Connection, caller: Caller, id: str, *, type: str, body: str) -> dict[str, Any]:
    """An event with one delivery, to this webhook alone. Its data is the request's `body`'s, digit by digit."""
    parameters = {
        "webhook_id": id,
        "type": type,
        "body": body or "{}",
        "correlation_id": caller.correlation_id,
        "test": TEST,
        "outbox": OUTBOX_SECONDS,
    }
    made: dict[str, Any] = json.loads(connection.execute(SEND_TEST, parameters).scalar_one())
    return made
