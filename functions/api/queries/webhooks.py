"""Webhooks, with their health and subscriptions."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Text,
    bindparam,
    cast,
    exists,
    func,
    insert,
    or_,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, TEXT

from functions.api import paging
from functions.api.caller import Caller
from functions.api.queries import webhook_standing
from functions.api.queries.reach import within
from functions.domain import retry
from functions.domain.event_types import patterns_matching
from functions.domain.headers import HIDDEN
from functions.models import webhook_health, webhook_subscriptions, webhooks
from functions.statements import named

SUBSCRIPTION = (
    webhook_subscriptions.c.id,
    webhook_subscriptions.c.event_type,
    webhook_subscriptions.c.filter,
    webhook_subscriptions.c.enabled,
    webhook_subscriptions.c.created_at,
)
w = webhooks.c
WEBHOOK = (
    w.id,
    w.application_id,
    w.name,
    w.url,
    w.description,
    w.environment,
    w.status,
    w.status_reason,
    func.coalesce(w.status_changed_at, w.created_at).label("status_changed_at"),
    w.headers,
    w.auth_type,
    w.timeout_seconds,
    w.max_attempts,
    w.retry_strategy,
    cast(w.ip_allowlist, ARRAY(Text)).label("ip_allowlist"),
    w.rate_limit_requests,
    w.rate_limit_per_seconds,
    w.ordering,
    w.signing_algorithm,
    *webhook_standing.STANDING,
    w.created_at,
    w.updated_at,
    w.created_by,
    w.updated_by,
    w.version,
)
LOCKED = (
    w.id,
    w.project_id,
    w.application_id,
    w.headers,
    w.auth_type,
    w.credentials,
    w.signing_algorithm,
    w.signing_secret,
    w.version,
)
DATA_KEY = named(
    "webhooks.data_key", text("SELECT data_key FROM webhook.projects WHERE id = CAST(:project_id AS uuid)")
)
ADD_HEALTH = named(
    "webhooks.add_health",
    text("INSERT INTO webhook.webhook_health (webhook_id) VALUES (CAST(:id AS uuid))"),
)
ADD_SUBSCRIPTIONS = named(
    "webhooks.add_subscriptions",
    text("""
INSERT INTO webhook.webhook_subscriptions
  (project_id, webhook_id, application_id, event_type, filter, filter_path)
SELECT w.project_id, w.id, w.application_id, pattern, CAST(:filter AS jsonb), CAST(:path AS jsonpath)
FROM webhook.webhooks w CROSS JOIN unnest(:patterns) AS pattern
WHERE w.id = CAST(:webhook_id AS uuid) AND w.project_id = CAST(:project_id AS uuid)
""").bindparams(bindparam("patterns", type_=ARRAY(TEXT))),
)
# The rows stay as the parents of their deliveries; their secrets and subscriptions go.
DELETE = """
WITH deleted AS (
  UPDATE webhook.webhooks
  SET deleted_at = now(), updated_at = now(), updated_by = CAST(:key_id AS uuid), version = version + 1,
    signing_secret = '', credentials = NULL
  WHERE {which} = CAST(:id AS uuid) AND project_id = CAST(:project_id AS uuid) AND deleted_at IS NULL
  RETURNING id, name, url, status
), gone AS (
  DELETE FROM webhook.webhook_subscriptions s USING deleted WHERE s.webhook_id = deleted.id
), rotated AS (
  DELETE FROM webhook.webhook_expiring_secrets e USING deleted WHERE e.webhook_id = deleted.id
)
SELECT CAST(id AS text) AS id, name, url, status FROM deleted
"""
DELETE_ONE = named("webhooks.delete", text(DELETE.format(which="id")))
DELETE_OF_APPLICATION = named("webhooks.delete_of_application", text(DELETE.format(which="application_id")))


@dataclass(frozen=True)
class Subscribed:
    """What a webhook starts with: the same filter for each pattern."""

    patterns: list[str]
    filter: dict[str, Any] | None = None
    path: str | None = None  # the filter, compiled


@dataclass(frozen=True)
class Filter:
    """What a list of webhooks is narrowed to; None or empty means any."""

    status: str = ""
    application_id: str = ""  # its key
    environment: str = ""
    event_type: str = ""  # a name that they get, or a pattern that they are subscribed to
    search: str = ""  # anywhere in the name, the URL or the description, whatever the case
    created_after: datetime | None = None
    created_before: datetime | None = None


def data_key(connection: Connection, project_id: str) -> bytes:
    """The project's encrypted data key."""
    return bytes(connection.execute(DATA_KEY, {"project_id": project_id}).scalar_one())


def add_webhook(connection: Connection, values: dict[str, Any], subscribed: Subscribed) -> None:
    """`values` by column."""
    connection.execute(named("webhooks.add", insert(webhooks).values(values)))
    connection.execute(ADD_HEALTH, {"id": values["id"]})
    start = {
        "project_id": values["project_id"],
        "webhook_id": values["id"],
        "patterns": subscribed.patterns,
        "filter": None if subscribed.filter is None else json.dumps(subscribed.filter),
        "path": subscribed.path,
    }
    connection.execute(ADD_SUBSCRIPTIONS, start)


def webhook(connection: Connection, caller: Caller, id: str) -> dict[str, Any] | None:
    """The webhook as the API shows it, with its subscriptions but without its line, and its `version`."""
    asked = named("webhooks.get", _webhooks(caller).where(w.id == id))
    found = connection.execute(asked).mappings().one_or_none()
    if found is None:
        return None
    return {**_with_subscriptions(connection, [found])[0], "version": found["version"]}


def list_webhooks(
    connection: Connection, caller: Caller, wanted: Filter, *, limit: int, cursor: str
) -> list[dict[str, Any]]:
    statement = named("webhooks.list", selected(caller, wanted, limit=limit, cursor=cursor))
    return _with_subscriptions(connection, connection.execute(statement).mappings().all())


def selected(caller: Caller, wanted: Filter, *, limit: int, cursor: str) -> Select[Any]:
    """One page of webhooks, without their subscriptions."""
    return paging.after(_webhooks(caller).where(*_conditions(wanted)), w.id, limit=limit, cursor=cursor)


def lock(connection: Connection, caller: Caller, id: str) -> RowMapping | None:
    """The webhook, which nobody else changes or deletes before the transaction ends, with what is encrypted of it.

    Not FOR UPDATE: events are accepted for it meanwhile, and their deliveries refer to its key.
    """
    locked = select(*LOCKED).where(*_live(caller), w.id == id).with_for_update(key_share=True)
    return connection.execute(named("webhooks.lock", locked)).mappings().one_or_none()


def change_webhook(connection: Connection, caller: Caller, id: str, values: dict[str, Any]) -> None:
    """`values` by column, of a webhook that is locked."""
    by = {"updated_by": caller.key_id, "updated_at": func.now(), "version": w.version + 1}
    connection.execute(named("webhooks.change", update(webhooks).where(w.id == id).values(**values, **by)))


def delete_webhook(connection: Connection, caller: Caller, id: str) -> None:
    """One that is locked."""
    connection.execute(DELETE_ONE, {"id": id, "project_id": caller.project_id, "key_id": caller.key_id})


def delete_webhooks_of_application(
    connection: Connection, project_id: str, application_id: str, key_id: str
) -> list[dict[str, Any]]:
    """The application goes and takes its webhooks along (C1). What each was, in brief."""
    parameters = {"id": application_id, "project_id": project_id, "key_id": key_id}
    return [dict(row) for row in connection.execute(DELETE_OF_APPLICATION, parameters).mappings()]


def _webhooks(caller: Caller) -> Select[Any]:
    joined = select(*WEBHOOK).join_from(webhooks, webhook_health, webhook_health.c.webhook_id == w.id)
    return joined.where(*_live(caller))


def _live(caller: Caller) -> list[ColumnElement[Any]]:
    return [*within(webhooks, caller), w.deleted_at.is_(None)]


def _conditions(wanted: Filter) -> list[ColumnElement[Any]]:
    equal = {w.status: wanted.status, w.application_id: wanted.application_id, w.environment: wanted.environment}
    conditions = [column == value for column, value in equal.items() if value]
    if wanted.event_type:
        conditions.append(_subscribed_to(wanted.event_type))
    if wanted.search:
        texts = (w.name, w.url, func.coalesce(w.description, ""))
        conditions.append(or_(*(func.strpos(func.lower(t), func.lower(wanted.search)) > 0 for t in texts)))
    return conditions + paging.created_between(w.id, w.created_at, wanted.created_after, wanted.created_before)


def _subscribed_to(event_type: str) -> ColumnElement[Any]:
    s = webhook_subscriptions.c
    patterns = [event_type] if event_type.endswith("*") else patterns_matching(event_type)
    return exists().where(
        s.project_id == w.project_id, s.webhook_id == w.id, s.event_type.in_(patterns), s.enabled
    )


def _with_subscriptions(connection: Connection, rows: Sequence[RowMapping]) -> list[dict[str, Any]]:
    """One query for the subscriptions of all rows, in the order they were made."""
    of = webhook_subscriptions.c.webhook_id
    wanted = select(of, *SUBSCRIPTION).where(of.in_([row["id"] for row in rows]))
    asked = named("webhooks.subscriptions", wanted.order_by(webhook_subscriptions.c.id))
    by_webhook: dict[str, list[dict[str, Any]]] = {}
    for found in connection.execute(asked).mappings():
        subscription = dict(found)
        by_webhook.setdefault(subscription.pop("webhook_id"), []).append(subscription)
    return [{**_shown(row), "subscriptions": by_webhook.get(row["id"], [])} for row in rows]


def _shown(row: RowMapping) -> dict[str, Any]:
    """Columns as the API has them: nothing secret, objects where several columns are one thing."""
    shown = {name: value for name, value in row.items() if name not in NOT_SHOWN}
    shown |= webhook_standing.shown(row)
    requests, seconds = row["rate_limit_requests"], row["rate_limit_per_seconds"]
    return shown | {
        "headers": {name: HIDDEN if value is None else value for name, value in row["headers"].items()},
        "auth": {"type": row["auth_type"]},
        "rate_limit": requests and {"requests": requests, "per_seconds": seconds},
        "retry_strategy": retry.filled(row["retry_strategy"]),
        "line": None,
    }


NOT_SHOWN = {  # as they are
    *("version", "auth_type", "rate_limit_requests", "rate_limit_per_seconds"),
    *("circuit", "circuit_changed_at", "retry_at"),
}
