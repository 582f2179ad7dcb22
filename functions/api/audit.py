"""The audit log (E6): every change made through the API, written in the transaction that makes it."""

from typing import Any, Literal

from sqlalchemy import Connection, text

from functions.api.caller import Caller
from functions.api.rendering import to_json

Level = Literal["info", "warning"]

WRITE = text("""
INSERT INTO webhook.audit_log (project_id, application_id, event, level, actor_type, actor_id, resource_type,
  resource_id, before, after, correlation_id, request_id, source_ip)
VALUES (CAST(:project_id AS uuid), CAST(:application_id AS uuid), :event, :level, :actor_type,
  CAST(:actor_id AS uuid), :resource_type, :resource_id, CAST(:before AS jsonb), CAST(:after AS jsonb),
  :correlation_id, :request_id, CAST(:source_ip AS inet))
""")


def record(
    connection: Connection,
    caller: Caller,
    event: str,
    resource_id: str,
    *,
    before: Any = None,
    after: Any = None,
    level: Level = "info",
    project_id: str = "",
    application_id: str | None = None,
) -> None:
    """Write down that `caller` did `event` (`webhook.updated`: the resource's type is its first part).

    `before` and `after` are what the API shows of the resource: never a secret, a key or a credential.
    `project_id` is for the admin key, which has none of its own; `application_id` is what the resource is bound
    to. `warning` is for what takes something away, shows a secret or sends again.
    """
    parameters = {
        "project_id": project_id or caller.project_id,
        "application_id": caller.application_id or application_id,
        "event": event,
        "level": level,
        "actor_type": "admin" if caller.admin else "api_key",
        "actor_id": caller.key_id or None,
        "resource_type": event.partition(".")[0],
        "resource_id": resource_id,
        "before": None if before is None else to_json(before),
        "after": None if after is None else to_json(after),
        "correlation_id": caller.correlation_id,
        "request_id": caller.request_id,
        "source_ip": caller.source_ip or None,
    }
    connection.execute(WRITE, parameters)
