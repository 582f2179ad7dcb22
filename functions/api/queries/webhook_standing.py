"""How a webhook stands (D5, D9): what the delivery function has learnt of its endpoint, and a strict one's line.

None of it is configuration: it changes with every failure, and the webhook's version, its ETag, does not.
"""

from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, text

from functions.domain import ordering
from functions.models import webhook_health
from functions.statements import named

MOST_WAITING = 10_000  # counted of a line: about a ms; more than that and the figure says no more to a person
FIRST, LAST = str(UUID(int=0)), str(UUID(int=2**128 - 1))  # keys before and behind all others
h = webhook_health.c
CLOSED = h.circuit == "closed"
STANDING: tuple[ColumnElement[Any], ...] = (
    h.failure_count,
    h.failing_since,
    h.last_success_at,
    h.last_failure_at,
    h.circuit,
    h.circuit_changed_at,
    case((~CLOSED, h.hold_until)).label("retry_at"),
    case((and_(CLOSED, h.hold_until > func.now()), h.hold_until)).label("held_until"),
    case((h.slow_until > func.now(), h.slow_until)).label("slow_until"),
)
# A range of (webhook_id, id), ordered by both, is what the index has and no other. With an equality the order
# would be that of the key alone, and everybody's older rows might be read along the primary key (api/walk.py).
HEAD = named(
    "webhooks.line_head",
    text("""
SELECT id, event_id, status, attempts, scheduled_at, last_error_code, last_error_message, created_at
FROM webhook.webhook_deliveries
WHERE (webhook_id, id) >= (CAST(:webhook_id AS uuid), CAST(:first AS uuid))
  AND (webhook_id, id) <= (CAST(:webhook_id AS uuid), CAST(:last AS uuid)) AND sweep_at IS NOT NULL
ORDER BY webhook_id, id LIMIT 1
"""),
)
WAITING = named(
    "webhooks.line_waiting",
    text("""
SELECT count(*) FROM (
  SELECT FROM webhook.webhook_deliveries
  WHERE (webhook_id, id) > (CAST(:webhook_id AS uuid), CAST(:head AS uuid))
    AND (webhook_id, id) <= (CAST(:webhook_id AS uuid), CAST(:last AS uuid)) AND sweep_at IS NOT NULL
  ORDER BY webhook_id, id LIMIT CAST(:most AS integer)
) AS behind
"""),
)
FORGET = named(
    "webhooks.forget_health",
    text("""
UPDATE webhook.webhook_health
SET failure_count = 0, strikes = 0, failing_since = NULL, circuit = 'closed', circuit_openings = 0,
  circuit_changed_at = CASE WHEN circuit = 'closed' THEN circuit_changed_at ELSE now() END,
  hold_until = NULL, slow_until = NULL, rate_due_at = NULL, line_until = NULL
WHERE webhook_id = CAST(:webhook_id AS uuid)
"""),
)
FORGET_RATE = named(
    "webhooks.forget_rate",
    text("""
UPDATE webhook.webhook_health SET rate_due_at = NULL, line_until = NULL
WHERE webhook_id = CAST(:webhook_id AS uuid)
"""),
)


def shown(row: RowMapping) -> dict[str, Any]:
    """The columns of STANDING as the API has them."""
    return {
        "circuit": {
            "state": row["circuit"],
            "changed_at": row["circuit_changed_at"],
            "retry_at": row["retry_at"],
        },
        "held_until": row["held_until"],
        "slow_until": row["slow_until"],
        "failing_since": row["failing_since"],
        "failure_count": row["failure_count"],
        "last_success_at": row["last_success_at"],
        "last_failure_at": row["last_failure_at"],
    }


def line(connection: Connection, webhook_id: str) -> dict[str, Any]:
    """The oldest unfinished delivery of a strict webhook, since when it is there, and how many wait behind it."""
    ends = {"webhook_id": webhook_id, "first": FIRST, "last": LAST}
    head = connection.execute(HEAD, ends).mappings().one_or_none()
    if head is None:
        return {"head": None, "waiting": 0, "since": None}
    behind = {**ends, "head": head["id"], "most": MOST_WAITING}
    waiting = connection.execute(WAITING, behind).scalar_one()
    return {"head": _head(head), "waiting": waiting, "since": head["created_at"]}


def lock_line(connection: Connection, webhook_id: str) -> None:
    """Whoever deals with the line of a strict webhook begins here, before its deliveries (domain/ordering.py).

    Of any other webhook deliveries are locked first, and its health last.
    """
    connection.execute(ordering.LOCK, {"webhooks": [webhook_id]})


def forget(connection: Connection, webhook_id: str) -> None:
    """The endpoint was mended, says a person: nothing that failed before counts any more.

    When it last succeeded and failed stays. The health is locked after the webhook and its deliveries.
    """
    connection.execute(FORGET, {"webhook_id": webhook_id})


def forget_rate(connection: Connection, webhook_id: str) -> None:
    """Another limit begins with a full bucket."""
    connection.execute(FORGET_RATE, {"webhook_id": webhook_id})


def _head(row: RowMapping) -> dict[str, Any]:
    error = {"code": row["last_error_code"], "message": row["last_error_message"]}
    return {
        "delivery_id": row["id"],
        "event_id": row["event_id"],
        "status": row["status"],
        "attempts": row["attempts"],
        "scheduled_at": row["scheduled_at"],
        "last_error": error if row["last_error_code"] else None,
    }
