"""The audit log (E6): every change made through the API, written in the transaction that makes it."""

from typing import Any, Literal

from sqlalchemy import Connection, text

from functions.api.caller import Caller
from functions.api.rendering import to_json
from functions.statements import named

Level = Literal["info", "warning"]

WRITE = named(
    "audit_log.write",
    text("""
INSERT INTO webhook.audit_log (project_id, application_id, event, level, actor_type, actor_id, resource_type,
  resource_id, before, after, correlation_id, request_id, source_ip)
SELECT CAST(:project_id AS uuid), CAST(:application_id AS uuid), :event, :level, :actor_type,
  CAST(:actor_id AS uuid), :resource_type, id, before, after, :correlation_id, :request_id,
  CAST(:source_ip AS inet)
FROM jsonb_to_recordset(CAST(:resources AS jsonb)) AS r (id text, before jsonb, after jsonb)
"""),
)


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
    resource = {"id": resource_id, "before": before, "after": after}
    _write(connection, caller, event, [resource], level, project_id, application_id)


def record_each(
    connection: Connection,
    caller: Caller,
    event: str,
    gone: list[dict[str, Any]],
    *,
    project_id: str = "",
    application_id: str | None = None,
) -> None:
    """The same `event` for each of what went along with something else: `gone` is what each was, with its id."""
    resources = [{"id": one["id"], "before": one} for one in gone]
    _write(connection, caller, event, resources, "warning", project_id, application_id)


def _write(
    connection: Connection,
    caller: Caller,
    event: str,
    resources: list[dict[str, Any]],
    level: Level,
    project_id: str,
    application_id: str | None,
) -> None:
    parameters = {
        "project_id": project_id or caller.project_id,
        "application_id": caller.application_id or application_id,
        "event": event,
        "level": level,
        "actor_type": "admin" if caller.admin else "api_key",
        "actor_id": caller.key_id or None,
        "resource_type": event.partition(".")[0],
        "resources": to_json(resources),
        "correlation_id": caller.correlation_id,
        "request_id": caller.request_id,
        "source_ip": caller.source_ip or None,
    }
    connection.execute(WRITE, parameters)
