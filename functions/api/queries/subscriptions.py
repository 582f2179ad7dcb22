"""Subscriptions of one webhook."""

from collections.abc import Sequence

from sqlalchemy import Connection, RowMapping, delete, select, text

from functions.api import paging
from functions.api.queries.webhooks import SUBSCRIPTION
from functions.models import webhook_subscriptions, webhooks

# FOR SHARE of the parent: a webhook that is deleted meanwhile gets no subscription.
ADD = text("""
WITH parent AS (
  SELECT id, project_id FROM webhook.webhooks
  WHERE id = CAST(:webhook_id AS uuid) AND project_id = CAST(:project_id AS uuid) AND deleted_at IS NULL
  FOR SHARE
)
INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type, enabled)
SELECT project_id, id, :event_type, :enabled FROM parent
ON CONFLICT DO NOTHING
RETURNING id, event_type, enabled, created_at
""")


def add_subscription(
    connection: Connection, project_id: str, webhook_id: str, *, event_type: str, enabled: bool
) -> RowMapping | None:
    """The new subscription; None when the webhook has one for this pattern (or is no more)."""
    parameters = {
        "project_id": project_id,
        "webhook_id": webhook_id,
        "event_type": event_type,
        "enabled": enabled,
    }
    return connection.execute(ADD, parameters).mappings().one_or_none()


def count(connection: Connection, webhook_id: str) -> int:
    counted = text("SELECT count(*) FROM webhook.webhook_subscriptions WHERE webhook_id = CAST(:id AS uuid)")
    return int(connection.execute(counted, {"id": webhook_id}).scalar_one())


def list_subscriptions(
    connection: Connection, project_id: str, webhook_id: str, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    s = webhook_subscriptions.c
    statement = select(*SUBSCRIPTION).where(s.project_id == project_id, s.webhook_id == webhook_id)
    return connection.execute(paging.after(statement, s.id, limit=limit, cursor=cursor)).mappings().all()


def has_webhook(connection: Connection, project_id: str, webhook_id: str) -> bool:
    w = webhooks.c
    statement = select(w.id).where(w.project_id == project_id, w.id == webhook_id, w.deleted_at.is_(None))
    return connection.execute(statement).one_or_none() is not None


def delete_subscription(connection: Connection, project_id: str, webhook_id: str, id: str) -> bool:
    s = webhook_subscriptions.c
    statement = delete(webhook_subscriptions).where(
        s.project_id == project_id, s.webhook_id == webhook_id, s.id == id
    )
    return connection.execute(statement).rowcount == 1
