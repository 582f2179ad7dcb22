"""What a pending delivery waits for, told from its row, its webhook and how that stands."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause, and_, case, func, literal, null, or_, select, tuple_

from functions.api.queries.webhook_standing import FIRST
from functions.domain.reopening import INFINITY
from functions.models import webhook_deliveries, webhook_health, webhooks

w, h = webhooks.c, webhook_health.c


def waiting_for(rows: FromClause) -> ColumnElement[Any]:
    """A word, or null where it waits for nothing but its turn. A few look-ups by key, for pending rows only.

    What keeps the webhook comes first: the delivery's own time may pass and it still would not be sent.
    """
    c = rows.c
    later, tried = c.scheduled_at > func.now(), c.attempts > 0
    held = and_(h.hold_until > func.now(), or_(c.scheduled_at <= h.hold_until, ~tried))
    reason = case(
        (w.deleted_at.is_not(None), null()),
        (w.status != "active", "webhook_resumed"),
        (and_(w.ordering == "strict", _follows(rows)), "line"),
        (c.sweep_at == INFINITY, null()),  # given back this moment
        (and_(held, h.circuit == "closed"), "webhook_held"),
        (held, "webhook_circuit"),
        (and_(later, tried), "retry"),
        (and_(later, h.circuit != "closed"), "webhook_circuit"),
        (and_(later, w.rate_limit_requests.is_not(None), h.rate_due_at > func.now()), "rate_limit"),
        (and_(later, h.slow_until > func.now()), "webhook_slow"),
    )
    of_its_webhook = (
        select(reason)
        .select_from(webhooks.join(webhook_health, h.webhook_id == w.id))
        .where(w.id == c.webhook_id)
        .correlate(rows)
        .scalar_subquery()
    )
    return case((c.status == "pending", of_its_webhook))


def _follows(rows: FromClause) -> ColumnElement[bool]:
    """Whether an older delivery of its webhook is not finished: the first of a range that only one index has."""
    c, older = rows.c, webhook_deliveries.alias("older").c
    place, key = tuple_(older.webhook_id, older.id), c.id.type
    first = (
        select(older.id)
        .where(
            place >= tuple_(c.webhook_id, literal(FIRST, key)),
            place < tuple_(c.webhook_id, c.id),
            older.sweep_at.is_not(None),
        )
        .order_by(older.webhook_id, older.id)
        .limit(1)
    )
    return first.correlate(rows).scalar_subquery().is_not(None)
