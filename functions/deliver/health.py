"""How webhooks are doing (P6, D5): what outcomes make of their circuit, their lane and their count of failures."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import NamedTuple

from sqlalchemy import Connection, text

from functions.domain.event_types import RESERVED
from functions.domain.operational import RECOVERED, SLOW, Signal
from functions.domain.outcome import Outcome, State
from functions.settings import settings
from functions.statements import named

SLOW_TOLD_AFTER_SECONDS = 600  # an endpoint that is slow now and then is told of once

# Last in its transaction and locked in key order, so that what it locks is not locked for long. A webhook that is
# well, and was seen to be so within this second, is not even locked.
#
# Any success closes the circuit. A probe whose failure speaks of its event only has been answered: that closes it,
# too. Results of requests that were under way when the circuit opened change nothing.
NOTE = named(
    "deliver.note_health",
    text("""
WITH o AS (
  SELECT * FROM jsonb_to_recordset(CAST(:outcomes AS jsonb)) AS x (webhook_id uuid, success_at timestamptz,
    failure_at timestamptz, failing_at timestamptz, failures integer, new_strikes integer, slow boolean,
    hold_ms integer)
), changed AS MATERIALIZED (
  SELECT h.*, o.success_at, o.failure_at, o.failing_at, o.failures, o.new_strikes, o.slow, o.hold_ms
  FROM o JOIN webhook.webhook_health h ON h.webhook_id = o.webhook_id
  WHERE o.failures > 0 OR o.slow OR h.failure_count > 0 OR h.strikes > 0 OR h.circuit <> 'closed'
    OR h.last_success_at IS NULL OR o.success_at > h.last_success_at + interval '1 s'
  ORDER BY h.webhook_id FOR UPDATE OF h
), struck AS MATERIALIZED (
  SELECT *, CASE WHEN success_at IS NULL THEN strikes + new_strikes
      WHEN failure_at > success_at THEN new_strikes ELSE 0 END AS next_strikes,
    success_at IS NOT NULL OR circuit = 'half_open' AND failures > 0 AND new_strikes = 0 AS answered
  FROM changed
), turned AS MATERIALIZED (
  SELECT *, CASE WHEN answered THEN 'closed' WHEN circuit = 'half_open' AND new_strikes > 0 THEN 'open'
      WHEN circuit = 'closed' AND next_strikes >= CAST(:strikes AS integer) THEN 'open'
      ELSE circuit END AS next_circuit
  FROM struck
), opened AS MATERIALIZED (
  SELECT *, next_circuit = 'open' AND circuit <> 'open' AS opens,
    CASE WHEN success_at IS NOT NULL THEN 0 WHEN next_circuit = 'open' AND circuit <> 'open'
      THEN circuit_openings + 1 ELSE circuit_openings END AS next_openings
  FROM turned
), health AS (
  UPDATE webhook.webhook_health h
  SET failure_count = CASE WHEN n.success_at IS NULL THEN h.failure_count + n.failures
        WHEN n.failure_at > n.success_at THEN n.failures ELSE 0 END,
      last_success_at = greatest(h.last_success_at, n.success_at),
      last_failure_at = greatest(h.last_failure_at, n.failure_at),
      failing_since = CASE WHEN n.success_at IS NULL THEN coalesce(h.failing_since, n.failing_at)
        ELSE n.failing_at END,
      strikes = n.next_strikes, circuit = n.next_circuit, circuit_openings = n.next_openings,
      circuit_changed_at = CASE WHEN n.next_circuit <> h.circuit THEN now() ELSE h.circuit_changed_at END,
      hold_until = greatest(
        CASE WHEN n.opens THEN now() + least(CAST(:open AS integer) * power(2, least(n.next_openings - 1, 20)),
            CAST(:most AS integer)) * interval '1 s'
          WHEN n.next_circuit = 'closed' AND h.circuit <> 'closed' THEN NULL ELSE h.hold_until END,
        CASE WHEN n.hold_ms > 0 THEN now() + n.hold_ms * interval '1 ms' END),
      slow_until = CASE WHEN n.slow THEN now() + CAST(:slow AS integer) * interval '1 s' ELSE h.slow_until END
  FROM opened n WHERE h.webhook_id = n.webhook_id
)
SELECT json_agg(json_build_array(webhook_id, circuit, next_circuit, success_at IS NOT NULL AND circuit <> 'closed',
  slow AND coalesce(slow_until < now() - CAST(:told AS integer) * interval '1 s', true)))::text
FROM opened WHERE circuit <> next_circuit OR slow
"""),
)
MARK_SLOW = named(
    "deliver.mark_slow",
    text("""
WITH marked AS MATERIALIZED (
  SELECT webhook_id FROM webhook.webhook_health WHERE webhook_id = ANY (CAST(:webhooks AS uuid[]))
  ORDER BY webhook_id FOR UPDATE
)
UPDATE webhook.webhook_health h SET slow_until = now() + CAST(:slow AS integer) * interval '1 s'
FROM marked WHERE h.webhook_id = marked.webhook_id
RETURNING h.webhook_id, coalesce(old.slow_until < now() - CAST(:told AS integer) * interval '1 s', true)
"""),
)


class Seen(NamedTuple):
    """What came of one attempt."""

    webhook_id: str
    sent_at: datetime
    outcome: Outcome
    event_type: str


class Turn(NamedTuple):
    """A webhook whose circuit turned, or that was slow."""

    webhook_id: str
    before: str
    circuit: str
    recovered: bool
    newly_slow: bool


def note(connection: Connection, seen: Iterable[Seen]) -> list[Turn]:
    """Write down what these outcomes say of their webhooks; which of them turned."""
    summaries: dict[str, _Summary] = {}
    for one in sorted(seen, key=lambda one: one.sent_at):
        if (summary := summaries.get(one.webhook_id)) is None:
            summary = summaries[one.webhook_id] = _Summary(one.webhook_id)
        summary.add(one)
    if not summaries:
        return []
    limits = settings().limits
    given = {
        "outcomes": json.dumps([vars(one) for one in summaries.values()], default=datetime.isoformat),
        "strikes": limits.circuit_strikes,
        "open": limits.circuit_open_seconds,
        "most": limits.circuit_most_seconds,
        "slow": limits.slow_seconds,
        "told": SLOW_TOLD_AFTER_SECONDS,
    }
    turned = connection.execute(NOTE, given).scalar_one()
    return [Turn(*row) for row in json.loads(turned or "[]")]


def mark_slow(connection: Connection, unanswered: Mapping[str, str]) -> list[Signal]:
    """Put webhooks into the slow lane before their answers are there; what there is to tell of it.

    `unanswered` is the event type of what each has not answered, by the webhook's id.
    """
    given = {
        "webhooks": sorted(unanswered),
        "slow": settings().limits.slow_seconds,
        "told": SLOW_TOLD_AFTER_SECONDS,
    }
    marked = connection.execute(MARK_SLOW, given).all()
    slow = (str(webhook_id) for webhook_id, newly in marked if newly)
    return [Signal(SLOW, webhook_id) for webhook_id in slow if _is_told_of(unanswered[webhook_id])]


def signals(turns: list[Turn], seen: Iterable[Seen]) -> list[Signal]:
    """What there is to tell of turns that these outcomes brought about."""
    told = {one.webhook_id for one in seen if _is_told_of(one.event_type)}
    slow = [Signal(SLOW, turn.webhook_id) for turn in turns if turn.newly_slow and turn.webhook_id in told]
    recovered = (turn for turn in turns if turn.recovered and turn.webhook_id in told)
    return [*slow, *(Signal(RECOVERED, turn.webhook_id) for turn in recovered)]


def _is_told_of(event_type: str) -> bool:
    """What becomes of operational events is not told: two that listen to each other would never be silent."""
    return not event_type.startswith(RESERVED)


@dataclass
class _Summary:
    """The outcomes of one webhook in a batch, added in the order of their times, in the shape that NOTE takes."""

    webhook_id: str
    success_at: datetime | None = None
    failure_at: datetime | None = None
    failing_at: datetime | None = None  # the first failure with no success after it
    failures: int = 0
    new_strikes: int = 0
    slow: bool = False
    hold_ms: int = 0

    def add(self, one: Seen) -> None:
        if one.outcome.state is State.DELIVERED:
            self.success_at, self.failing_at = one.sent_at, None
        else:
            self.failure_at = one.sent_at
            self.failing_at = self.failing_at or one.sent_at
            self.failures += 1
            self.new_strikes += one.outcome.strike
        self.slow |= one.outcome.slow
        self.hold_ms = max(self.hold_ms, int(one.outcome.hold.total_seconds() * 1000))
