"""Deleting a project's finished rows for good, where it has them kept for less long than the others (D11).

What is still needed stays, however old it is: an unfinished delivery, one whose dead letter is pending, and the
events of both. Rows are looked for in key order, a batch at a time; the dead letters of deliveries are locked
before them, as everywhere, and nothing that locks looks at another partitioned table
(docs/decisions/locks-and-partitions.md).
"""

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from functions.domain.ids import KEY_SKEW, floor_of
from functions.statements import named

BATCH = 500

OLD_DELIVERIES = named(
    "forget.old_deliveries",
    text("""
SELECT id FROM webhook.webhook_deliveries
WHERE project_id = CAST(:project AS uuid) AND id > CAST(:after AS uuid) AND id < CAST(:before AS uuid)
  AND sweep_at IS NULL
ORDER BY id LIMIT CAST(:most AS integer)
"""),
)
LOCK_LETTERS = named(
    "forget.lock_letters",
    text(
        "SELECT id FROM webhook.webhook_dlq WHERE delivery_id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE"
    ),
)
LOCK_DELIVERIES = named(
    "forget.lock_deliveries",
    text("""
SELECT id FROM webhook.webhook_deliveries
WHERE id = ANY (CAST(:ids AS uuid[])) AND sweep_at IS NULL ORDER BY id FOR UPDATE SKIP LOCKED
"""),
)
# Asked when the deliveries are locked: no dead letter of them can be made any more.
PENDING = named(
    "forget.pending",
    text("""
SELECT delivery_id FROM webhook.webhook_dlq
WHERE delivery_id = ANY (CAST(:ids AS uuid[])) AND status = 'pending'
"""),
)
DELETE_ATTEMPTS = named(
    "forget.attempts",
    text("""
DELETE FROM webhook.webhook_delivery_attempts
WHERE delivery_id = ANY (CAST(:ids AS uuid[])) AND id >= CAST(:floor AS uuid)
"""),
)
DELETE_LETTERS = named(
    "forget.letters",
    text("DELETE FROM webhook.webhook_dlq WHERE delivery_id = ANY (CAST(:ids AS uuid[]))"),
)
DELETE_DELIVERIES = named(
    "forget.deliveries",
    text("DELETE FROM webhook.webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[]))"),
)

OLD_EVENTS = named(
    "forget.old_events",
    text("""
SELECT id FROM webhook.webhook_events
WHERE project_id = CAST(:project AS uuid) AND id > CAST(:after AS uuid) AND id < CAST(:before AS uuid)
ORDER BY id LIMIT CAST(:most AS integer)
"""),
)
# A replay locks the event before it makes deliveries of it: it is there first, or finds nothing.
LOCK_EVENTS = named(
    "forget.lock_events",
    text("""
SELECT id FROM webhook.webhook_events
WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE SKIP LOCKED
"""),
)
NEEDED = named(
    "forget.needed",
    text("""
SELECT DISTINCT d.event_id FROM webhook.webhook_deliveries d
WHERE d.event_id = ANY (CAST(:ids AS uuid[])) AND d.id >= CAST(:floor AS uuid)
  AND (d.sweep_at IS NOT NULL OR d.failed_at IS NOT NULL AND EXISTS (
    SELECT FROM webhook.webhook_dlq l WHERE l.delivery_id = d.id AND l.status = 'pending'))
"""),
)
DELETE_EVENTS = named(
    "forget.events",
    text("DELETE FROM webhook.webhook_events WHERE id = ANY (CAST(:ids AS uuid[])) RETURNING external_id"),
)
DELETE_IDS = named(
    "forget.event_ids",
    text("""
DELETE FROM webhook.webhook_event_ids
WHERE project_id = CAST(:project AS uuid) AND external_id = ANY (CAST(:names AS text[]))
  AND event_id = ANY (CAST(:ids AS uuid[]))
"""),
)


@dataclass(frozen=True)
class Old:
    """The rows of one project with keys between these two, both exclusive."""

    project_id: str
    after: str
    before: str


@dataclass(frozen=True)
class Forgotten:
    """How many rows went, by what they were; `last` is the key to go on behind, None at the end."""

    counts: dict[str, int]
    last: str | None


def deliveries(connection: Connection, old: Old) -> Forgotten:
    """The next batch of deliveries with all that hangs on them, in the caller's transaction."""
    found = _candidates(connection, OLD_DELIVERIES, old)
    if not found:
        return Forgotten({}, None)
    connection.execute(LOCK_LETTERS, {"ids": found})
    locked = _keys(connection, LOCK_DELIVERIES, {"ids": found})
    pending = set(_keys(connection, PENDING, {"ids": locked}))
    ids = [id for id in locked if id not in pending]
    counts = {"deliveries": len(ids), "needed": len(pending)}
    if ids:
        # An attempt is never older than its delivery.
        counts["attempts"] = connection.execute(DELETE_ATTEMPTS, {"ids": ids, "floor": floor_of(ids[0])}).rowcount
        counts["dead_letters"] = connection.execute(DELETE_LETTERS, {"ids": ids}).rowcount
        connection.execute(DELETE_DELIVERIES, {"ids": ids})
    return Forgotten(counts, _last(found))


def events(connection: Connection, old: Old) -> Forgotten:
    """The next batch of events with their own ids, in the caller's transaction."""
    found = _candidates(connection, OLD_EVENTS, old)
    if not found:
        return Forgotten({}, None)
    locked = _keys(connection, LOCK_EVENTS, {"ids": found})
    # A caller's own key may be ahead of its deliveries' by what is allowed for its clock.
    needed = set(_keys(connection, NEEDED, {"ids": locked, "floor": floor_of(found[0], KEY_SKEW)}))
    ids = [id for id in locked if id not in needed]
    if ids:
        names = [name for name in connection.execute(DELETE_EVENTS, {"ids": ids}).scalars() if name is not None]
        connection.execute(DELETE_IDS, {"project": old.project_id, "names": names, "ids": ids})
    return Forgotten({"events": len(ids), "needed": len(needed)}, _last(found))


def _candidates(connection: Connection, statement: TextClause, old: Old) -> list[str]:
    bounds = {"project": old.project_id, "after": old.after, "before": old.before, "most": BATCH}
    return _keys(connection, statement, bounds)


def _keys(connection: Connection, statement: TextClause, given: dict[str, Any]) -> list[str]:
    return [str(id) for id in connection.execute(statement, given).scalars()]


def _last(found: list[str]) -> str | None:
    return found[-1] if len(found) == BATCH else None
