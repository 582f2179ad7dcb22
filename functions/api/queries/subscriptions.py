"""Subscriptions of one webhook. They are part of its configuration: whoever writes one holds the webhook's row."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, RowMapping, Select, delete, func, select, text, update

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries import reach
from functions.api.queries.webhooks import SUBSCRIPTION
from functions.api.rendering import to_json
from functions.domain.filters import compile_filter
from functions.models import webhook_subscriptions, webhooks
from functions.statements import named

# Equal as JSON: a filter for 1 is one for 1.0. The unique index, which compares texts, is narrower than this.
TAKEN = """
SELECT FROM webhook.webhook_subscriptions o WHERE o.webhook_id = CAST(:webhook_id AS uuid)
  AND o.event_type = {event_type} AND o.filter IS NOT DISTINCT FROM {filter}
"""
ADD = named(
    "subscriptions.add",
    text(f"""
INSERT INTO webhook.webhook_subscriptions
  (project_id, webhook_id, application_id, event_type, filter, filter_path, enabled)
SELECT w.project_id, w.id, w.application_id, :event_type, CAST(:filter AS jsonb), CAST(:filter_path AS jsonpath),
  :enabled
FROM webhook.webhooks w
WHERE w.id = CAST(:webhook_id AS uuid) AND w.project_id = CAST(:project_id AS uuid)
  AND NOT EXISTS ({TAKEN.format(event_type=":event_type", filter="CAST(:filter AS jsonb)")})
RETURNING id, event_type, filter, enabled, created_at
"""),  # noqa: S608 - made of the constant above
)
CHANGE = named(
    "subscriptions.change",
    text(f"""
WITH wanted AS (
  SELECT id, coalesce(CAST(:new_event_type AS text), event_type) AS event_type,
    CASE WHEN :new_filter THEN CAST(:filter AS jsonb) ELSE filter END AS filter,
    CASE WHEN :new_filter THEN CAST(:filter_path AS jsonpath) ELSE filter_path END AS filter_path,
    coalesce(CAST(:enabled AS boolean), enabled) AS enabled
  FROM webhook.webhook_subscriptions WHERE id = CAST(:id AS uuid) AND webhook_id = CAST(:webhook_id AS uuid)
)
UPDATE webhook.webhook_subscriptions s
SET event_type = w.event_type, filter = w.filter, filter_path = w.filter_path, enabled = w.enabled,
  updated_at = now()
FROM wanted w
WHERE s.id = w.id AND NOT EXISTS ({TAKEN.format(event_type="w.event_type", filter="w.filter")} AND o.id <> w.id)
RETURNING s.id, s.event_type, s.filter, s.enabled, s.created_at
"""),  # noqa: S608 - made of the constant above
)


def find_webhook(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The version and application of a webhook that the caller may see."""
    found = named("subscriptions.find_webhook", _webhook(caller, id))
    return connection.execute(found).mappings().one_or_none()


def lock_webhook(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """As `find_webhook`; nobody else changes or deletes it, or writes a subscription of it, before the end."""
    locked = named("subscriptions.lock_webhook", _webhook(caller, id).with_for_update(key_share=True))
    return connection.execute(locked).mappings().one_or_none()


def bump_webhook(connection: Connection, caller: Caller, id: str) -> int:
    """A subscription is part of the webhook's configuration: the webhook's new version."""
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": webhooks.c.version + 1}
    changed = update(webhooks).where(webhooks.c.id == id).values(**by).returning(webhooks.c.version)
    return int(connection.execute(named("subscriptions.bump_webhook", changed)).scalar_one())


def add_subscription(
    connection: Connection, caller: Caller, webhook_id: str, values: dict[str, Any]
) -> RowMapping | None:
    """The new subscription of a webhook that is locked; None when it has an equal one. Raises FilterError."""
    of = {"project_id": caller.project_id, "webhook_id": webhook_id}
    return connection.execute(ADD, {**values, **of, **_filter(values["filter"])}).mappings().one_or_none()


def change_subscription(
    connection: Connection, webhook_id: str, id: str, values: dict[str, Any]
) -> RowMapping | None:
    """`values` are what changes of a subscription that is there. None when the webhook has an equal one.

    Raises FilterError.
    """
    parameters = {
        "id": id,
        "webhook_id": webhook_id,
        "new_event_type": values.get("event_type"),
        "new_filter": "filter" in values,
        "enabled": values.get("enabled"),
        **_filter(values.get("filter")),
    }
    return connection.execute(CHANGE, parameters).mappings().one_or_none()


def delete_subscription(connection: Connection, webhook_id: str, id: str) -> RowMapping | None:
    """What it was; None when the webhook has no such subscription."""
    s = webhook_subscriptions.c
    gone = delete(webhook_subscriptions).where(s.webhook_id == webhook_id, s.id == id).returning(*SUBSCRIPTION)
    return connection.execute(named("subscriptions.delete", gone)).mappings().one_or_none()


def count(connection: Connection, webhook_id: str) -> int:
    counted = select(func.count()).where(webhook_subscriptions.c.webhook_id == webhook_id)
    return int(connection.execute(named("subscriptions.count", counted)).scalar_one())


def subscription(connection: Connection, webhook_id: str, id: str) -> RowMapping | None:
    s = webhook_subscriptions.c
    statement = select(*SUBSCRIPTION).where(s.webhook_id == webhook_id, s.id == id)
    return connection.execute(named("subscriptions.get", statement)).mappings().one_or_none()


def list_subscriptions(
    connection: Connection, webhook_id: str, *, limit: int, cursor: str
) -> Sequence[RowMapping]:
    s = webhook_subscriptions.c
    statement = select(*SUBSCRIPTION).where(s.webhook_id == webhook_id)
    page = named("subscriptions.list", paging.after(statement, s.id, limit=limit, cursor=cursor))
    return connection.execute(page).mappings().all()


def _webhook(caller: Caller, id: str) -> Select[Any]:
    w = webhooks.c
    living = (*reach.within(webhooks, caller), w.id == id, w.deleted_at.is_(None))
    return select(w.id, w.application_id, w.version).where(*living)


def _filter(filter: dict[str, Any] | None) -> dict[str, str | None]:
    """The two columns of a filter: as people wrote it, and compiled."""
    if filter is None:
        return {"filter": None, "filter_path": None}
    return {"filter": to_json(filter), "filter_path": compile_filter(filter)}
