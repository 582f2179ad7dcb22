"""What stands in the way of sending one delivery again."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, select, text

from functions.api.caller import Caller
from functions.api.queries.reach import within
from functions.domain.reopening import INFINITY
from functions.models import webhook_deliveries, webhook_events, webhooks
from functions.statements import named

d = webhook_deliveries.c
# Before the delivery itself, as in every statement that locks both (functions/domain/reopening.py).
LOCK_DEAD_LETTER = named(
    "retries.lock_dead_letter",
    text("""
SELECT id FROM webhook.webhook_dlq
WHERE delivery_id = CAST(:id AS uuid) AND project_id = CAST(:project_id AS uuid) AND status = 'pending' FOR UPDATE
"""),
)


def lock(connection: Connection, caller: Caller, id: str) -> Mapping[str, Any] | None:
    """The delivery and how its webhook and event stand; nobody claims or changes it before the transaction ends.

    `has_payload` is None when the event is not kept any more. It is asked for in a statement of its own, which
    locks nothing (docs/decisions/locks-and-partitions.md).
    """
    connection.execute(LOCK_DEAD_LETTER, {"id": id, "project_id": caller.project_id})
    asked = (
        select(
            *(d.status, d.attempts, d.event_id, d.application_id),
            (d.sweep_at == INFINITY).label("held"),
            webhooks.c.status.label("webhook_status"),
            webhooks.c.max_attempts.label("budget"),
            webhooks.c.deleted_at.is_not(None).label("webhook_deleted"),
        )
        .join_from(webhook_deliveries, webhooks, webhooks.c.id == d.webhook_id)
        .where(*within(webhook_deliveries, caller), d.id == id)
        .with_for_update(of=webhook_deliveries)
    )
    found = connection.execute(named("retries.lock", asked)).mappings().one_or_none()
    if found is None:
        return None
    kept = select(webhook_events.c.expunged_at.is_(None)).where(webhook_events.c.id == found["event_id"])
    has_payload = connection.execute(named("retries.has_payload", kept)).scalar_one_or_none()
    return {**found, "has_payload": has_payload}
