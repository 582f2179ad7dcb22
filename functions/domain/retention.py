"""How long partitions stay, and which of their rows are needed for longer (A6, C7, D11).

Needed are: a delivery that is not finished; the event and the attempts of one; the same for a delivery whose dead
letter waits for a person. Of the audit log and of metrics nothing is ever needed.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import Connection, text

from functions.domain.ids import KEY_SKEW, floor_of, uuid7_floor
from functions.domain.partitions import Partition, Series
from functions.settings import Retention
from functions.statements import named

# One statement, so that a delivery which is reopened meanwhile is seen as the one or the other: its dead letter
# pending, or itself unfinished. The deliveries are found by the index of unfinished ones (OFFSET 0 keeps the
# planner from reading all those of the events instead).
NEEDED = {
    "webhook_events": """
SELECT EXISTS (
  SELECT FROM (SELECT event_id FROM webhook.webhook_deliveries WHERE sweep_at IS NOT NULL OFFSET 0) d
  WHERE d.event_id >= CAST(:first AS uuid) AND d.event_id < CAST(:behind AS uuid)
) OR EXISTS (
  SELECT FROM webhook.webhook_dlq
  WHERE status = 'pending' AND event_id >= CAST(:first AS uuid) AND event_id < CAST(:behind AS uuid))
""",
    "webhook_deliveries": """
SELECT EXISTS (SELECT FROM webhook.{partition} WHERE sweep_at IS NOT NULL) OR EXISTS (
  SELECT FROM webhook.webhook_dlq
  WHERE status = 'pending' AND delivery_id >= CAST(:first AS uuid) AND delivery_id < CAST(:behind AS uuid))
""",
    "webhook_delivery_attempts": """
WITH needed AS MATERIALIZED (
  SELECT id FROM webhook.webhook_deliveries WHERE sweep_at IS NOT NULL AND id < CAST(:behind AS uuid)
  UNION ALL
  SELECT delivery_id FROM webhook.webhook_dlq WHERE status = 'pending' AND delivery_id < CAST(:behind AS uuid)
)
SELECT EXISTS (SELECT FROM needed n JOIN webhook.{partition} a ON a.delivery_id = n.id)
""",
}
# The same for some rows.
NEEDED_OF = {
    "webhook_events": """
SELECT CAST(event_id AS text) FROM webhook.webhook_deliveries
WHERE event_id = ANY (CAST(:ids AS uuid[])) AND id >= CAST(:floor AS uuid) AND sweep_at IS NOT NULL
UNION SELECT CAST(event_id AS text) FROM webhook.webhook_dlq
WHERE status = 'pending' AND event_id = ANY (CAST(:ids AS uuid[]))
""",
    "webhook_deliveries": """
SELECT CAST(id AS text) FROM webhook.{partition} WHERE id = ANY (CAST(:ids AS uuid[])) AND sweep_at IS NOT NULL
UNION SELECT CAST(delivery_id AS text) FROM webhook.webhook_dlq
WHERE status = 'pending' AND delivery_id = ANY (CAST(:ids AS uuid[]))
""",
    "webhook_delivery_attempts": """
WITH needed AS MATERIALIZED (
  SELECT id FROM webhook.webhook_deliveries WHERE sweep_at IS NOT NULL AND id < CAST(:behind AS uuid)
  UNION ALL
  SELECT delivery_id FROM webhook.webhook_dlq WHERE status = 'pending' AND delivery_id < CAST(:behind AS uuid)
)
SELECT CAST(a.id AS text) FROM webhook.{partition} a JOIN needed n ON n.id = a.delivery_id
WHERE a.id = ANY (CAST(:ids AS uuid[]))
""",
}
LOCK = "SELECT FROM webhook.{partition} WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"
# A retry locks the delivery and then looks whether its event is there: what is being retried is waited for. A
# replay locks the event itself. Two statements, each by told keys (docs/decisions/locks-and-partitions.md).
LOCK_DELIVERIES = named(
    "retention.lock_deliveries",
    text("""
SELECT FROM webhook.webhook_deliveries
WHERE event_id = ANY (CAST(:ids AS uuid[])) AND id >= CAST(:floor AS uuid) ORDER BY id FOR SHARE
"""),
)
DELETE = "DELETE FROM webhook.{partition} WHERE id = ANY (CAST(:ids AS uuid[]))"
OWN_IDS = """
SELECT CAST(id AS text) FROM webhook.{partition}
WHERE external_id IS NOT NULL AND id > CAST(:after AS uuid) ORDER BY id LIMIT CAST(:limit AS integer)
"""
FORGET_OWN_IDS = """
DELETE FROM webhook.webhook_event_ids i USING webhook.{partition} e
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND i.project_id = e.project_id AND i.external_id = e.external_id
  AND i.event_id = e.id
"""
RECALL_OWN_IDS = """
INSERT INTO webhook.webhook_event_ids (project_id, external_id, event_id)
SELECT e.project_id, e.external_id, e.id FROM webhook.{partition} e
WHERE e.id = ANY (CAST(:ids AS uuid[])) AND EXISTS (SELECT FROM webhook.projects p WHERE p.id = e.project_id)
ORDER BY e.project_id, e.external_id ON CONFLICT DO NOTHING
"""


def days(series: Series, retention: Retention) -> int:
    """How long rows of the table stay."""
    return {
        "webhook_events": retention.events_days,
        "audit_log": retention.audit_log_days,
        "request_metrics": retention.metrics_days,
        "operation_metrics": retention.metrics_days,
    }.get(series.table, retention.deliveries_days)


def is_due(series: Series, partition: Partition, retention: Retention, now: datetime) -> bool:
    """Whether the youngest row that the partition can have is as old as rows may get."""
    return partition.end + timedelta(days=days(series, retention)) <= now


def is_needed(connection: Connection, series: Series, partition: Partition) -> bool:
    """Whether anything in the partition is needed, in the caller's transaction. It may be attached or not."""
    if series.table not in NEEDED:
        return False
    statement = named("retention.is_needed", text(NEEDED[series.table].format(partition=partition.name)))
    return bool(connection.execute(statement, _bounds(partition)).scalar_one())


def hurry(connection: Connection, most_ms: int) -> None:
    """What follows in this transaction is given up after so long: others wait."""
    connection.execute(named("retention.hurry", text(f"SET LOCAL statement_timeout = {most_ms}")))


def stand_back(connection: Connection, lock_ms: int) -> None:
    """In this transaction no row is waited for longer than this."""
    connection.execute(named("retention.stand_back", text(f"SET LOCAL lock_timeout = {lock_ms}")))


def needed_of(connection: Connection, series: Series, partition: Partition, ids: Sequence[str]) -> set[str]:
    """Which of these rows are needed, as this moment has it."""
    if series.table not in NEEDED_OF:
        return set()
    statement = named("retention.needed_of", text(NEEDED_OF[series.table].format(partition=partition.name)))
    return set(connection.execute(statement, _keys(ids) | _bounds(partition)).scalars())


def lock(connection: Connection, series: Series, partition: Partition, ids: Sequence[str]) -> None:
    """Until the transaction ends, what `needed_of` says of these rows stays true."""
    connection.execute(named("retention.lock", text(LOCK.format(partition=partition.name))), {"ids": list(ids)})
    if series.table == "webhook_events":
        connection.execute(LOCK_DELIVERIES, _keys(ids))


def delete(connection: Connection, series: Series, partition: Partition, ids: Sequence[str]) -> int:
    """Delete these rows, and the callers' own ids of events."""
    if series.table == "webhook_events":
        forget_own_ids(connection, partition, ids)
    statement = named("retention.delete", text(DELETE.format(partition=partition.name)))
    return connection.execute(statement, {"ids": list(ids)}).rowcount


def with_own_id(connection: Connection, partition: Partition, after: str, limit: int) -> list[str]:
    """The keys behind `after` of events that have an id of their callers' own."""
    statement = named("retention.own_ids", text(OWN_IDS.format(partition=partition.name)))
    return [str(id) for id in connection.execute(statement, {"after": after, "limit": limit}).scalars()]


def forget_own_ids(connection: Connection, partition: Partition, ids: Sequence[str]) -> int:
    """The callers may use the ids of these events again."""
    statement = named("retention.forget_own_ids", text(FORGET_OWN_IDS.format(partition=partition.name)))
    return connection.execute(statement, {"ids": list(ids)}).rowcount


def recall_own_ids(connection: Connection, partition: Partition, ids: Sequence[str]) -> int:
    """These events are found by their own ids again, but for those that were used anew meanwhile."""
    statement = named("retention.recall_own_ids", text(RECALL_OWN_IDS.format(partition=partition.name)))
    return connection.execute(statement, {"ids": list(ids)}).rowcount


def _bounds(partition: Partition) -> dict[str, str]:
    return {"first": uuid7_floor(partition.start), "behind": uuid7_floor(partition.end)}


def _keys(ids: Sequence[str]) -> dict[str, object]:
    """An event's key may be ahead of its deliveries' by what is allowed for its caller's clock."""
    return {"ids": list(ids), "floor": floor_of(min(ids), KEY_SKEW)}
