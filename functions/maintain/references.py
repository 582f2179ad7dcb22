"""The references that are no foreign keys, and how they are looked at: some rows of a table a statement.

What a row refers to is looked up by its key, row by row: each look-up reads one partition, whereas a join would
read all of them (docs/decisions/plans-that-hold.md).
"""

from dataclasses import dataclass

from sqlalchemy import TextClause, text

from functions.statements import named


@dataclass(frozen=True)
class Table:
    """`statement` answers `{"looked", "last", "found": {reference: [count, sample of ids]}}`."""

    statement: TextClause
    references: tuple[str, ...]


# From here on an event, or a delivery, of the project has to be there: nothing has taken it away yet.
KEPT = """webhook.uuidv7_floor(CAST(:now AS timestamptz) - interval '1 day'
      * least(CAST(:{kind}_days AS integer), CAST(p.retention ->> '{kind}' AS integer)))"""
BY_KEY = """
  SELECT {looked} FROM webhook.{table}
  WHERE id > CAST(:after AS uuid) AND id < CAST(:until AS uuid) ORDER BY id LIMIT CAST(:most AS integer)
"""
BY_PAGE = """
  SELECT {looked} FROM webhook.{table} WHERE ctid >= CAST(:low AS tid) AND ctid < CAST(:high AS tid)
"""
# `c` is the row, `p` its project. LIMIT keeps the planner from making joins of the look-ups.
LOOK = """
WITH looked AS MATERIALIZED ({rows}), c AS MATERIALIZED (
  SELECT {columns} FROM looked c LEFT JOIN webhook.projects p ON p.id = c.project_id {parents}
)
SELECT CAST(json_build_object(
  'looked', (SELECT count(*) FROM looked),
  'last', (SELECT {key} FROM looked ORDER BY {key} DESC LIMIT 1),
  'found', json_build_object({found})
) AS text)
"""
FOUND = "'{name}', (SELECT json_build_array(count(*), (array_agg(c.key))[1:10]) FROM c WHERE {condition})"
PARENT = """
  LEFT JOIN LATERAL (
    SELECT x.id, x.project_id FROM webhook.{table} x WHERE x.id = c.{column} LIMIT 1) {name} ON true
"""
EVENT = PARENT.format(table="webhook_events", column="event_id", name="e")
DELIVERY = PARENT.format(table="webhook_deliveries", column="delivery_id", name="d")


# The columns that are looked at beside a row's own key and its project.
USED = {
    "webhook_deliveries": ("event_id", "application_id", "sweep_at"),
    "webhook_delivery_attempts": ("delivery_id",),
    "webhook_dlq": ("delivery_id", "event_id", "application_id", "status"),
    "audit_log": ("application_id", "actor_id"),
    "webhook_event_ids": ("external_id",),
}


def _table(
    table: str, columns: dict[str, str], parents: str, references: dict[str, str], *, by_key: bool = True
) -> Table:
    """`columns` tell of each row, once, what `references` are then counted by."""
    key, rows = ("id", BY_KEY) if by_key else ("event_id", BY_PAGE)
    look = LOOK.format(
        rows=rows.format(table=table, looked=f"{key}, project_id, {', '.join(USED[table])}"),
        columns=", ".join([f"c.{key} AS key", *(f"{value} AS {name}" for name, value in columns.items())]),
        parents=parents,
        key=key,
        found=", ".join(FOUND.format(name=name, condition=condition) for name, condition in references.items()),
    )
    return Table(named(f"maintain.orphans.{table}", text(look)), tuple(references))


def _application(column: str = "application_id") -> str:
    return (
        f"c.{column} IS NOT NULL AND NOT EXISTS ("
        f"SELECT FROM webhook.applications a WHERE a.id = c.{column} AND a.project_id = c.project_id)"
    )


def _key(column: str) -> str:
    return f"c.{column} IS NOT NULL AND NOT EXISTS (SELECT FROM webhook.api_keys k WHERE k.id = c.{column})"


DELIVERIES = _table(
    "webhook_deliveries",
    {
        "has_event": "e.id IS NOT NULL",
        "is_other": "e.project_id <> c.project_id",
        "has_to": f"c.sweep_at IS NOT NULL OR c.event_id >= {KEPT.format(kind='events')}",
        "no_application": _application(),
    },
    EVENT,
    {
        "deliveries_without_event": "has_to AND NOT has_event",
        "deliveries_of_another_projects_event": "is_other",
        "deliveries_without_application": "no_application",
    },
)
ATTEMPTS = _table(
    "webhook_delivery_attempts",
    {
        "has_delivery": "d.id IS NOT NULL",
        "is_other": "d.project_id <> c.project_id",
        "has_to": f"c.delivery_id >= {KEPT.format(kind='deliveries')}",
    },
    DELIVERY,
    {
        "attempts_without_delivery": "has_to AND NOT has_delivery",
        "attempts_of_another_projects_delivery": "is_other",
    },
)
DEAD_LETTERS = _table(
    "webhook_dlq",
    {
        "has_delivery": "d.id IS NOT NULL",
        "has_event": "e.id IS NOT NULL",
        "is_other": "d.project_id <> c.project_id OR e.project_id <> c.project_id",
        "delivery_has_to": f"c.status = 'pending' OR c.delivery_id >= {KEPT.format(kind='deliveries')}",
        "event_has_to": f"c.status = 'pending' OR c.event_id >= {KEPT.format(kind='events')}",
        "no_application": _application(),
    },
    DELIVERY + EVENT,
    {
        "dead_letters_without_delivery": "delivery_has_to AND NOT has_delivery",
        "dead_letters_without_event": "event_has_to AND NOT has_event",
        "dead_letters_of_another_project": "is_other",
        "dead_letters_without_application": "no_application",
    },
)
AUDIT_LOG = _table(
    "audit_log",
    {
        "no_project": "p.id IS NULL",
        "no_application": _application(),
        "no_key": _key("actor_id"),
    },
    "",
    {
        "audit_entries_without_project": "no_project",
        "audit_entries_without_application": "no_application",
        "audit_entries_without_key": "no_key",
    },
)
# They go with their event, so each has one.
EVENT_IDS = _table(
    "webhook_event_ids",
    {"has_event": "e.id IS NOT NULL", "is_other": "e.project_id <> c.project_id"},
    EVENT,
    {"event_ids_without_event": "NOT has_event", "event_ids_of_another_project": "is_other"},
    by_key=False,
)
NAMES = tuple(
    name for table in (DELIVERIES, ATTEMPTS, DEAD_LETTERS, AUDIT_LOG, EVENT_IDS) for name in table.references
)
