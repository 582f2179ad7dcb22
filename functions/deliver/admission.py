"""What may be sent to a webhook now: its circuit, rate limit, share and order, for a whole batch at once (P6, P7).

Most webhooks have no say in it: they are well, and nobody limited them. The others are gates. What a gate holds
back is given another time and uses no attempt; the times of what is held back follow one another in a line, so
that it neither comes all at once nor is looked at again and again.
"""

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice, takewhile
from typing import NamedTuple

from sqlalchemy import Connection, text

from functions.adapters.outbox import Follow
from functions.domain.outbox import LOOK_AHEAD_SECONDS, NEAR_SECONDS, OUTBOX_SECONDS
from functions.settings import settings
from functions.statements import named

RUN = 50  # of one strict webhook's line an invocation: about a second's worth at endpoints nearby
# Apart from each other, in milliseconds, in the line of those that wait for a circuit, or for a slow endpoint.
STEP_MS, SLOW_STEP_MS = 5, 20
# Until those behind a probe, or beyond a slow webhook's share, are looked at again.
PROBED_MS, SHARED_MS = 2_000, 1_000
PROBE_MARGIN_SECONDS = 10  # beyond the webhook's timeout, a probe that was not recorded is lost: another may go


class Gate(NamedTuple):
    """A webhook that has a say in what is sent to it when."""

    webhook_id: str
    strict: bool
    unhealthy: bool  # slow lately, held, or its circuit is not closed


class _Standing(NamedTuple):
    """A delivery in a line."""

    id: str
    token: int
    ready: bool


@dataclass
class Admitted:
    """`tokens` are those that may be claimed now, `held` those that are due later, and soon."""

    tokens: dict[str, int] = field(default_factory=dict)
    held: list[Follow] = field(default_factory=list)


# Deliveries before the webhooks' health, each in key order, as recording an outcome locks them. Those of strict
# webhooks are not locked here: whoever deals with a line holds the health of its webhook.
LOCK = named(
    "deliver.lock_gates",
    text("""
WITH d AS MATERIALIZED (
  SELECT id FROM webhook.webhook_deliveries
  WHERE id = ANY (CAST(:ids AS uuid[])) AND status IN ('pending', 'delivering')
    AND token = CAST(CAST(:tokens AS jsonb) ->> CAST(id AS text) AS integer)
  ORDER BY id FOR UPDATE
), h AS MATERIALIZED (
  SELECT webhook_id FROM webhook.webhook_health WHERE webhook_id = ANY (CAST(:webhooks AS uuid[]))
  ORDER BY webhook_id FOR UPDATE
)
SELECT json_build_object('still', (SELECT json_agg(id) FROM d), 'webhooks', (SELECT count(*) FROM h))::text
"""),
)
# The front of each line, in the order of the index: by the key alone the primary key would do, and that has the
# finished ones, too. A claimer that died has left a lease behind which ends.
LINES = named(
    "deliver.lines",
    text("""
SELECT coalesce(json_agg(json_build_array(l.id, l.front)), '[]')::text FROM (
  SELECT w.id, (
    SELECT json_agg(json_build_array(f.id, f.token, f.ready) ORDER BY f.id) FROM (
      SELECT d.id, d.token, CASE WHEN d.status = 'delivering' THEN d.lease_expires_at <= now()
        ELSE d.sweep_at = 'infinity' OR d.scheduled_at <= now() + interval '1 s' END AS ready
      FROM webhook.webhook_deliveries d
      WHERE d.webhook_id = w.id AND d.sweep_at IS NOT NULL
      ORDER BY d.webhook_id, d.id LIMIT CAST(:run AS integer)) f) AS front
  FROM unnest(CAST(:webhooks AS uuid[])) AS w (id)) l
"""),
)
# All in one: what may go now, what becomes of the token bucket and the circuit, and where in its line what is held
# back comes to stand. Times are in milliseconds from now, `every` and `span` in seconds.
#
# The bucket is kept as the time at which it is full again (the generic cell rate algorithm, ITU-T I.371): it holds
# `requests`, each of which comes back after `every`. While there is a line, what is new stands behind it. Times
# that are further off than any of ours can be were written while a clock was wrong, and do not count.
ADMIT = named(
    "deliver.admit",
    text("""
WITH facts AS (
  SELECT h.webhook_id, h.circuit, h.hold_until, x.wanted, w.timeout_seconds,
    coalesce(h.hold_until > now() AND h.hold_until <= now() + CAST(:longest AS integer) * interval '1 s', false)
      AS waits, h.circuit <> 'closed' AS broken,
    CASE WHEN h.slow_until > now() THEN greatest(0, CASE WHEN h.strikes > 0
      THEN CAST(:struck_share AS integer) ELSE CAST(:slow_share AS integer) END - x.busy) END AS share,
    CAST(w.rate_limit_per_seconds AS float8) AS span,
    CAST(w.rate_limit_per_seconds AS float8) / w.rate_limit_requests AS every,
    least(greatest(h.rate_due_at, now()), now() + w.rate_limit_per_seconds * interval '1 s') AS rate_due_at,
    x.strict,
    CASE WHEN NOT x.strict THEN h.line_until END AS line_until,
    coalesce(CAST(:fresh AS boolean) AND NOT x.strict AND h.line_until > now(), false) AS behind
  FROM jsonb_to_recordset(CAST(:asked AS jsonb))
    AS x (webhook_id uuid, wanted integer, busy integer, strict boolean)
  JOIN webhook.webhook_health h ON h.webhook_id = x.webhook_id
  JOIN webhook.webhooks w ON w.id = x.webhook_id
), roomy AS (
  SELECT *, CASE WHEN every IS NULL THEN wanted WHEN behind THEN 0
    ELSE greatest(0, floor((span - extract(epoch FROM rate_due_at - now())) / every + 1e-6)) END AS room
  FROM facts
), allowing AS (
  SELECT *, CAST(CASE WHEN waits THEN 0 WHEN broken THEN least(wanted, 1)
    ELSE least(wanted, coalesce(share, wanted), room) END AS integer) AS allowed
  FROM roomy
), lined AS MATERIALIZED (
  SELECT *, CASE WHEN NOT strict THEN wanted - allowed WHEN allowed = 0 THEN 1 ELSE 0 END AS held,
    rate_due_at + allowed * every * interval '1 s' AS bucket,
    broken AND allowed > 0 AS probes,
    CASE WHEN waits AND circuit <> 'half_open' THEN hold_until
      WHEN waits OR broken THEN now() + CAST(:probed_ms AS integer) * interval '1 ms'
      WHEN share < room THEN now() + CAST(:shared_ms AS integer) * interval '1 ms'
      ELSE rate_due_at + ((allowed + 1) * every - span) * interval '1 s' END AS earliest,
    CASE WHEN waits OR broken THEN CAST(:step_ms AS float8)
      WHEN share < room THEN CAST(:slow_step_ms AS float8) ELSE every * 1000 END AS step_ms
  FROM allowing
), health AS (
  UPDATE webhook.webhook_health h
  SET rate_due_at = coalesce(l.bucket, h.rate_due_at),
    circuit = CASE WHEN l.probes THEN 'half_open' ELSE h.circuit END,
    circuit_changed_at = CASE WHEN l.probes AND h.circuit = 'open' THEN now() ELSE h.circuit_changed_at END,
    hold_until = CASE WHEN l.probes
      THEN now() + (l.timeout_seconds + CAST(:probe_margin AS integer)) * interval '1 s' ELSE h.hold_until END,
    line_until = CASE WHEN l.held > 0 THEN least(
        greatest(l.earliest, l.line_until, now()) + l.held * l.step_ms * interval '1 ms',
        now() + CAST(:most AS integer) * interval '1 s') ELSE h.line_until END
  FROM lined l WHERE h.webhook_id = l.webhook_id AND (l.held > 0 OR l.probes OR l.every IS NOT NULL)
)
SELECT json_agg(json_build_array(webhook_id, allowed,
  greatest(0, extract(epoch FROM greatest(earliest, line_until) - now()) * 1000), step_ms))::text FROM lined
"""),
)
# By keys that it is told and without a join, as CLAIM. Without a delay: in line behind another delivery.
HOLD_BACK = named(
    "deliver.hold_back",
    text("""
WITH held AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'pending', token = d.token + 1, lease_expires_at = NULL, (scheduled_at, sweep_at) = (
    SELECT coalesce(due, d.scheduled_at), CASE WHEN due IS NULL THEN timestamptz 'infinity'
      WHEN ms <= CAST(:near AS integer) * 1000 THEN due + CAST(:outbox AS integer) * interval '1 s'
      ELSE due - CAST(:look_ahead AS integer) * interval '1 s' END
    FROM (SELECT ms, now() + ms * interval '1 ms' AS due
      FROM (SELECT CAST(CAST(:delays AS jsonb) ->> CAST(d.id AS text) AS integer) AS ms) given) due)
  WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.status IN ('pending', 'delivering')
    AND d.token = CAST(CAST(:tokens AS jsonb) ->> CAST(d.id AS text) AS integer)
  RETURNING d.id, d.token, d.project_id
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id) ORDER BY id), '[]')::text FROM held
"""),
)


def admit(
    connection: Connection,
    gates: list[Gate],
    named: Mapping[str, list[str]],
    tokens: Mapping[str, int],
    busy: Mapping[str, int],
    *,
    fresh: bool,
) -> Admitted:
    """Decide about the deliveries (webhook → ids, in key order) of these gates, and write down what is held back.

    Until the transaction ends nobody else decides about these webhooks. Of a strict webhook those at the front of
    its line are admitted, whichever were named.
    """
    still = _lock(connection, gates, named, tokens)
    fronts = dict(_fronts(connection, [gate.webhook_id for gate in gates if gate.strict]))
    asked = []
    for gate in gates:
        its = {id: tokens[id] for id in named[gate.webhook_id]}
        if gate.strict:
            asked.append(_Asked(gate, its, _ready(fronts[gate.webhook_id], its)))
        else:
            asked.append(_Asked(gate, its, {id: token for id, token in its.items() if id in still}))
    verdicts = _verdicts(connection, [one for one in asked if one.ready], busy, fresh=fresh)
    admitted = Admitted()
    later: dict[str, int] = {}
    delays: dict[str, int] = {}
    for one in asked:
        verdict = verdicts.get(one.gate.webhook_id, NOTHING)
        admitted.tokens |= dict(islice(one.ready.items(), verdict.allowed))
        held = one.held(verdict.allowed)
        later |= held | one.behind(verdict.allowed)
        delays |= {id: verdict.delay_ms(n) for n, id in enumerate(held)}
    admitted.held = _hold_back(connection, later, delays) if later else []
    return admitted


class _Verdict(NamedTuple):
    """How many may go now, and when those that are held back are due."""

    allowed: int
    base_ms: float = 0
    step_ms: float | None = 0

    def delay_ms(self, n: int) -> int:
        most = settings().limits.line_most_seconds * 1000
        return int(min(self.base_ms + n * (self.step_ms or 0), most))


NOTHING = _Verdict(0)


@dataclass(frozen=True)
class _Asked:
    """The deliveries to one webhook that messages named, and those that are ready to go.

    Both with their tokens and in key order.
    """

    gate: Gate
    named: Mapping[str, int]
    ready: Mapping[str, int]

    def held(self, allowed: int) -> dict[str, int]:
        """Those that are to be given another time: of a line its head alone."""
        if self.gate.strict:
            return {} if allowed else dict(islice(self.ready.items(), 1))
        return dict(islice(self.ready.items(), allowed, None))

    def behind(self, allowed: int) -> dict[str, int]:
        """Those that were named and stand in line, behind the head and what goes with it."""
        if not self.gate.strict:
            return {}
        front = set(islice(self.ready, max(allowed, 1)))
        return {id: token for id, token in self.named.items() if id not in front}


def _lock(
    connection: Connection, gates: list[Gate], named: Mapping[str, list[str]], tokens: Mapping[str, int]
) -> set[str]:
    """The deliveries of unordered webhooks whose tokens are still theirs."""
    ids = [id for gate in gates if not gate.strict for id in named[gate.webhook_id]]
    given = {
        "ids": ids,
        "tokens": json.dumps({id: tokens[id] for id in ids}),
        "webhooks": [gate.webhook_id for gate in gates],
    }
    return set(json.loads(connection.execute(LOCK, given).scalar_one())["still"] or ())


def _fronts(connection: Connection, strict: list[str]) -> list[tuple[str, list[_Standing]]]:
    """The front of each webhook's line; the webhooks' health is locked."""
    if not strict:
        return []
    found = connection.execute(LINES, {"webhooks": strict, "run": RUN}).scalar_one()
    return [(webhook_id, [_Standing(*one) for one in front or ()]) for webhook_id, front in json.loads(found)]


def _ready(front: list[_Standing], named: Mapping[str, int]) -> dict[str, int]:
    """Those at the front which may go. What a message names is due, whatever the clocks say."""
    run = takewhile(lambda one: one.ready or named.get(one.id) == one.token, front)
    return {one.id: one.token for one in run}


def _verdicts(
    connection: Connection, asked: list[_Asked], busy: Mapping[str, int], *, fresh: bool
) -> dict[str, _Verdict]:
    if not asked:
        return {}
    limits = settings().limits
    rows = [
        {
            "webhook_id": one.gate.webhook_id,
            "wanted": len(one.ready),
            "busy": busy.get(one.gate.webhook_id, 0),
            "strict": one.gate.strict,
        }
        for one in asked
    ]
    given = {
        "asked": json.dumps(rows),
        "fresh": fresh,
        "struck_share": limits.struck_share,
        "slow_share": limits.slow_share,
        "probed_ms": PROBED_MS,
        "shared_ms": SHARED_MS,
        "step_ms": STEP_MS,
        "slow_step_ms": SLOW_STEP_MS,
        "probe_margin": PROBE_MARGIN_SECONDS,
        "most": limits.line_most_seconds,
        "longest": max(limits.circuit_most_seconds, limits.hold_most_seconds),
    }
    decided = json.loads(connection.execute(ADMIT, given).scalar_one())
    return {webhook_id: _Verdict(*rest) for webhook_id, *rest in decided}


def _hold_back(connection: Connection, tokens: dict[str, int], delays: dict[str, int]) -> list[Follow]:
    """Those without a delay wait in line. Answers those that are due so soon that dispatch would be late."""
    given = {
        "ids": list(tokens),
        "tokens": json.dumps(tokens),
        "delays": json.dumps(delays),
        "near": NEAR_SECONDS,
        "outbox": OUTBOX_SECONDS,
        "look_ahead": LOOK_AHEAD_SECONDS,
    }
    held = json.loads(connection.execute(HOLD_BACK, given).scalar_one())
    return [
        Follow(id, token, project, math.ceil(delays[id] / 1000))
        for id, token, project in held
        if id in delays and delays[id] <= NEAR_SECONDS * 1000
    ]
