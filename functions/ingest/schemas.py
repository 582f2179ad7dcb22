"""The schemas that events are checked by."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, text

from functions.statements import named

# The version that is in force. An archived type is not checked.
SCHEMAS = named(
    "event_types.schemas",
    text("""
SELECT t.name, v.schema FROM webhook.webhook_event_types t
JOIN webhook.webhook_event_type_versions v ON v.event_type_id = t.id AND v.version = t.schema_version
WHERE t.project_id = CAST(:project_id AS uuid) AND t.name = ANY (CAST(:names AS text[]))
  AND t.archived_at IS NULL AND v.schema IS NOT NULL
"""),
)


def schemas_of(connection: Connection, project_id: str, names: Sequence[str]) -> dict[str, Any]:
    """By name of the event type, those that have one."""
    rows = connection.execute(SCHEMAS, {"project_id": project_id, "names": list(names)})
    return {row.name: row.schema for row in rows}
