"""Giving up one delivery by hand, so that what stands in line behind it is not kept waiting (P7)."""

from sqlalchemy import Connection, RowMapping, func, select, text

from functions.api.caller import Caller
from functions.api.queries import webhook_standing
from functions.api.queries.reach import within
from functions.models import webhook_deliveries
from functions.statements import named

d = webhook_deliveries.c
# So that its ordering stays what it is.
LOCK_WEBHOOK = named(
    "skips.lock_webhook",
    text("SELECT ordering FROM webhook.webhooks WHERE id = CAST(:id AS uuid) FOR SHARE"),
)
# The dead letter is for the record: nobody is to look after it, and no message of it goes to the queue. A test
# event leaves none, as when it fails. What the last attempt came to is kept in it.
GIVE_UP = named(
    "skips.give_up",
    text("""
WITH given_up AS (
  UPDATE webhook.webhook_deliveries
  SET status = 'failed', token = token + 1, lease_expires_at = NULL, scheduled_at = NULL, sweep_at = NULL,
    failed_at = now(), last_error_code = 'skipped', last_error_message = 'given up by hand'
  WHERE id = CAST(:id AS uuid)
  RETURNING id, project_id, application_id, webhook_id, event_id, event_type, attempts,
    old.last_error_code AS code, old.last_error_message AS message, last_response_status
)
INSERT INTO webhook.webhook_dlq (project_id, application_id, webhook_id, event_id, event_type, delivery_id,
  reason, attempts, last_error_code, last_error_message, last_response_status,
  status, resolved_at, resolved_by, updated_by, notes)
SELECT project_id, application_id, webhook_id, event_id, event_type, id,
  'skipped', attempts, code, message, last_response_status,
  'discarded', now(), :by, CAST(:by AS uuid), :notes
FROM given_up WHERE event_type <> 'hookline.test'
"""),
)


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The delivery's status, webhook and application, and whether it is `leased` to somebody who delivers it.

    Nobody claims or changes it before the transaction ends. Its webhook is locked first, as everywhere, and the
    line that it is in.
    """
    mine = [*within(webhook_deliveries, caller), d.id == id]
    of = named("skips.webhook", select(d.webhook_id).where(*mine))
    found = connection.execute(of).scalar_one_or_none()
    if found is None:
        return None
    if connection.execute(LOCK_WEBHOOK, {"id": found}).scalar_one() == "strict":
        webhook_standing.lock_line(connection, str(found))
    leased = func.coalesce(d.lease_expires_at > func.now(), False).label("leased")
    asked = select(d.status, d.webhook_id, d.application_id, leased).where(*mine).with_for_update()
    return connection.execute(named("skips.lock", asked)).mappings().one_or_none()


def give_up(connection: Connection, caller: Caller, id: str, notes: str | None) -> None:
    """One that is locked and not finished."""
    connection.execute(GIVE_UP, {"id": id, "by": caller.key_id, "notes": notes})
