"""Webhooks, with their health and subscriptions, and the secrets behind them."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, bindparam, func, insert, select, text, update
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from functions.api import paging
from functions.models import projects, webhook_health, webhook_subscriptions, webhooks

SUBSCRIPTION = (
    webhook_subscriptions.c.id,
    webhook_subscriptions.c.event_type,
    webhook_subscriptions.c.enabled,
    webhook_subscriptions.c.created_at,
)
WEBHOOK = (
    webhooks.c.id,
    webhooks.c.name,
    webhooks.c.url,
    webhooks.c.description,
    webhooks.c.status,
    webhooks.c.timeout_seconds,
    webhooks.c.max_attempts,
    webhook_health.c.failure_count,
    webhook_health.c.last_success_at,
    webhook_health.c.last_failure_at,
    webhooks.c.created_at,
    webhooks.c.updated_at,
    webhooks.c.created_by,
    webhooks.c.updated_by,
)
DATA_KEY = text("SELECT data_key FROM webhook.projects WHERE id = CAST(:project_id AS uuid)")
ADD_HEALTH = text("INSERT INTO webhook.webhook_health (webhook_id) VALUES (CAST(:id AS uuid))")
ADD_SUBSCRIPTIONS = text("""
INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type)
SELECT CAST(:project_id AS uuid), CAST(:webhook_id AS uuid), pattern FROM unnest(:patterns) AS pattern
""").bindparams(bindparam("patterns", type_=ARRAY(TEXT)))
# The rows stay as the parents of their deliveries; their secrets and subscriptions go.
DELETE = """
WITH deleted AS (
  UPDATE webhook.webhooks
  SET deleted_at = now(), updated_at = now(), updated_by = CAST(:key_id AS uuid), version = version + 1,
    signing_secret = '', credentials = NULL
  WHERE {which} = CAST(:id AS uuid) AND project_id = CAST(:project_id AS uuid) AND deleted_at IS NULL
  RETURNING id, name, url
), gone AS (
  DELETE FROM webhook.webhook_subscriptions s USING deleted WHERE s.webhook_id = deleted.id
), rotated AS (
  DELETE FROM webhook.webhook_expiring_secrets e USING deleted WHERE e.webhook_id = deleted.id
)
SELECT id, name, url FROM deleted
"""
DELETE_ONE = text(DELETE.format(which="id"))
DELETE_OF_APPLICATION = text(DELETE.format(which="application_id"))


def data_key(connection: Connection, project_id: str) -> bytes:
    """The project's encrypted data key."""
    return bytes(connection.execute(DATA_KEY, {"project_id": project_id}).scalar_one())


def add_webhook(connection: Connection, values: dict[str, Any], patterns: list[str]) -> None:
    """`values` by column; the webhook starts with a subscription for each pattern."""
    connection.execute(insert(webhooks).values(values))
    connection.execute(ADD_HEALTH, {"id": values["id"]})
    subscribed = {"project_id": values["project_id"], "webhook_id": values["id"], "patterns": patterns}
    connection.execute(ADD_SUBSCRIPTIONS, subscribed)


def webhook(connection: Connection, project_id: str, id: str) -> dict[str, Any] | None:
    """The webhook with its subscriptions, if the project has it."""
    found = connection.execute(_webhooks(project_id).where(webhooks.c.id == id)).mappings().one_or_none()
    return _with_subscriptions(connection, [found])[0] if found else None


def list_webhooks(connection: Connection, project_id: str, *, limit: int, cursor: str) -> list[dict[str, Any]]:
    statement = paging.after(_webhooks(project_id), webhooks.c.id, limit=limit, cursor=cursor)
    return _with_subscriptions(connection, connection.execute(statement).mappings().all())


def change_webhook(connection: Connection, project_id: str, id: str, values: dict[str, Any]) -> bool:
    """Whether the project has the webhook; `values` by column."""
    changed = update(webhooks).where(*_live(project_id), webhooks.c.id == id)
    return connection.execute(changed.values(**values, updated_at=func.now())).rowcount == 1


def delete_webhook(connection: Connection, project_id: str, id: str, key_id: str) -> bool:
    parameters = {"id": id, "project_id": project_id, "key_id": key_id}
    return connection.execute(DELETE_ONE, parameters).one_or_none() is not None


def delete_webhooks_of_application(
    connection: Connection, project_id: str, application_id: str, key_id: str
) -> list[dict[str, Any]]:
    """The application goes and takes its webhooks along (C1). The id, name and URL of each."""
    parameters = {"id": application_id, "project_id": project_id, "key_id": key_id}
    return [dict(row) for row in connection.execute(DELETE_OF_APPLICATION, parameters).mappings()]


def secret(connection: Connection, project_id: str, id: str) -> RowMapping | None:
    """The encrypted signing secret and the project's encrypted data key."""
    statement = (
        select(webhooks.c.signing_secret, projects.c.data_key)
        .join_from(webhooks, projects, projects.c.id == webhooks.c.project_id)
        .where(*_live(project_id), webhooks.c.id == id)
    )
    return connection.execute(statement).mappings().one_or_none()


def _webhooks(project_id: str) -> Select[Any]:
    joined = select(*WEBHOOK).join_from(webhooks, webhook_health, webhook_health.c.webhook_id == webhooks.c.id)
    return joined.where(*_live(project_id))


def _live(project_id: str) -> tuple[Any, ...]:
    return webhooks.c.project_id == project_id, webhooks.c.deleted_at.is_(None)


def _with_subscriptions(connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """One query for the subscriptions of all rows, in the order they were made."""
    of = webhook_subscriptions.c.webhook_id
    wanted = select(of, *SUBSCRIPTION).where(of.in_([row["id"] for row in rows]))
    by_webhook: dict[str, list[dict[str, Any]]] = {}
    for found in connection.execute(wanted.order_by(webhook_subscriptions.c.id)).mappings():
        subscription = dict(found)
        by_webhook.setdefault(subscription.pop("webhook_id"), []).append(subscription)
    return [{**row, "subscriptions": by_webhook.get(row["id"], [])} for row in rows]
