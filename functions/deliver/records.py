"""Recording what came of claims: a batch's states, attempts and dead letters, and how their webhooks are doing."""

import json
import math
import random
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import again, is_transient, transaction
from functions.adapters.outbox import Follow
from functions.adapters.sender import Response
from functions.deliver import evidence, health
from functions.deliver.claims import Claim
from functions.deliver.health import Seen
from functions.domain import expunge, operational, ordering
from functions.domain.disabling import disable
from functions.domain.event_types import TEST
from functions.domain.operational import Notice, Signal
from functions.domain.ordering import Woken
from functions.domain.outbox import LOOK_AHEAD_SECONDS, OUTBOX_SECONDS
from functions.domain.outcome import Answer, Outcome, Reason, State, decide
from functions.settings import settings
from functions.statements import named
from functions.telemetry import logger

WITHOUT_EVIDENCE = {"response_headers": None, "response_body": None, "remote_address": None}
FAILING = 4  # the failed attempt that is told of: by the default schedule, 20 minutes after the first
GONE = "the endpoint answered 410 Gone"


@dataclass(frozen=True)
class Result:
    """One attempt and what was decided about it: once, however often the writing is tried."""

    response: Response
    outcome: Outcome
    row: dict[str, Any]

    @property
    def claim(self) -> Claim:
        claim: Claim = self.response.request.reference
        return claim


@dataclass
class Recorded:
    """What is to be sent after the commit, and the deliveries that had moved on."""

    retries: list[Follow] = field(default_factory=list)
    dead: list[Follow] = field(default_factory=list)
    woken: list[Woken] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)
    stale: set[str] = field(default_factory=set)

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(
            self.retries + other.retries,
            self.dead + other.dead,
            self.woken + other.woken,
            self.notices + other.notices,
            self.stale | other.stale,
        )


# So that RECORD, which may look for partitions while it runs, never waits for a row
# (docs/decisions/locks-and-partitions.md).
LOCK = named(
    "deliver.lock_recorded",
    text("""
SELECT count(*) FROM (
  SELECT FROM webhook.webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
) locked
"""),
)
# `now()` is the database's clock throughout; a function's own clock only dates its attempts. Rows whose token
# moved on (the lease ended and another took over) change nothing, but the attempt was made and is kept. A test
# event that failed has told what it was asked: nobody is to look after it, so it leaves no dead letter. Where the
# payload was expunged meanwhile, neither the answer nor the signature is kept (domain/expunge.py): the row tells,
# which both lock. Where the token moved on it does not tell, and neither is kept either.
RECORD = named(
    "deliver.record",
    text("""
WITH r AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x (
    id uuid, token integer, project_id uuid, attempt_id uuid, attempt smallint, state text, reason text,
    delay_ms bigint, near boolean, request_url text, request_headers jsonb, sent_at timestamptz,
    response_status smallint, response_headers jsonb, response_body text, response_time_ms integer,
    remote_address inet, error_code text, error_message text)
), recorded AS (
  UPDATE webhook.webhook_deliveries d
  SET status = r.state, token = d.token + 1, attempts = r.attempt, lease_expires_at = NULL,
      last_attempt_at = r.sent_at, last_response_status = r.response_status,
      last_error_code = r.error_code, last_error_message = r.error_message,
      scheduled_at = CASE WHEN r.state = 'pending' THEN now() + r.delay_ms * interval '1 ms' END,
      sweep_at = CASE WHEN r.state = 'pending' THEN now() + r.delay_ms * interval '1 ms'
        + CASE WHEN r.near THEN CAST(:outbox AS integer) ELSE - CAST(:look_ahead AS integer) END
        * interval '1 s' END,
      delivered_at = CASE WHEN r.state = 'delivered' THEN now() END,
      failed_at = CASE WHEN r.state = 'failed' THEN now() END
  FROM r WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = r.id AND d.token = r.token
  RETURNING d.id, d.project_id, d.webhook_id, d.event_id, r.state, r.reason, r.attempt, r.error_code,
    r.error_message, r.response_status, d.application_id, d.event_type,
    old.last_error_code IS NOT DISTINCT FROM CAST(:expunged AS text) AS expunged
), attempts AS (
  INSERT INTO webhook.webhook_delivery_attempts (id, project_id, delivery_id, attempt_number, request_url,
    request_headers, request_sent_at, response_status, response_headers, response_body, response_time_ms,
    remote_address, error_code, error_message, expunged_at)
  SELECT r.attempt_id, r.project_id, r.id, r.attempt, r.request_url,
    CASE WHEN NOT d.expunged THEN r.request_headers ELSE r.request_headers - 'webhook-signature' END, r.sent_at,
    r.response_status, CASE WHEN NOT d.expunged THEN r.response_headers END,
    CASE WHEN NOT d.expunged THEN r.response_body END, r.response_time_ms, r.remote_address, r.error_code,
    r.error_message, CASE WHEN d.expunged THEN now() END
  FROM r LEFT JOIN recorded d ON d.id = r.id
  ON CONFLICT (id) DO NOTHING
), dead AS (
  INSERT INTO webhook.webhook_dlq (project_id, application_id, webhook_id, event_id, event_type, delivery_id,
    reason, attempts, last_error_code, last_error_message, last_response_status, sweep_at)
  SELECT project_id, application_id, webhook_id, event_id, event_type, id, reason, attempt,
    error_code, error_message, response_status, now() + CAST(:outbox AS integer) * interval '1 s'
  FROM recorded WHERE state = 'failed' AND event_type <> :test
  RETURNING id, token, project_id
)
SELECT json_build_object(
  'stale', (SELECT json_agg(id) FROM r WHERE id NOT IN (SELECT id FROM recorded)),
  'dead', (SELECT json_agg(json_build_array(id, token, project_id)) FROM dead)
)::text
"""),
)


def results_of(done: list[tuple[Response, int]]) -> list[Result]:
    """What these responses mean, each with how long it took to answer, in ms."""
    return [_result(response, answer_ms) for response, answer_ms in done]


def record(results: list[Result], ended: Collection[str] = ()) -> Recorded:
    """Write outcomes; writing the same ones twice changes nothing. Raises sqlalchemy.exc.DBAPIError.

    `ended` are the strict webhooks of which this invocation has no further delivery at hand: the next of their
    lines is woken.

    One that the database will not take must not keep back the others, nor be sent again for ever: such a batch is
    halved until it stands alone, and is then recorded without what the endpoint said.
    """
    notices = _disable_gone(results)
    recorded = _record(results, ended)
    recorded.notices += notices
    return recorded


def _disable_gone(results: list[Result]) -> list[Notice]:
    """Before the outcome is written, since whoever changes a webhook locks it before its deliveries. Were this
    process to die in between, the delivery would be held like the others of a disabled webhook."""
    gone = {result.claim.webhook.id for result in results if result.outcome.reason is Reason.GONE}

    def write() -> list[Notice]:
        with transaction() as connection:
            return disable(connection, sorted(gone), GONE)

    return again(write) if gone else []


def _record(results: list[Result], ended: Collection[str]) -> Recorded:
    rows = [result.row for result in results]
    try:
        return again(lambda: _write(results, rows, ended))
    except DBAPIError as error:
        if is_transient(error):
            raise
        logger.exception("outcomes not taken by the database", count=len(results))
        if len(results) == 1:
            return _write(results, [rows[0] | WITHOUT_EVIDENCE], ended)
        middle = len(results) // 2
        return _record(results[:middle], ended) + _record(results[middle:], ended)


def _write(results: list[Result], rows: list[dict[str, Any]], ended: Collection[str]) -> Recorded:
    ids = [row["id"] for row in rows]
    given = {
        "rows": json.dumps(rows),
        "ids": ids,
        "outbox": OUTBOX_SECONDS,
        "look_ahead": LOOK_AHEAD_SECONDS,
        "expunged": expunge.CODE,
        "test": TEST,
    }
    with transaction() as connection:
        connection.execute(LOCK, {"ids": ids})
        answer = json.loads(connection.execute(RECORD, given).scalar_one())
        stale = set(answer["stale"] or ())
        taken = [result for result in results if result.claim.id not in stale]
        notices = _note(connection, taken)
        finished = {one.claim.webhook.id for one in taken if one.outcome.state is not State.RETRY}
        woken = ordering.wake(connection, [id for id in ended if id in finished])
    return Recorded(
        retries=[_retry(result) for result in taken if result.row["near"]],
        dead=[Follow(id, token, project) for id, token, project in answer["dead"] or ()],
        woken=woken,
        notices=notices,
        stale=stale,
    )


def _note(connection: Connection, taken: list[Result]) -> list[Notice]:
    """What the outcomes say of their webhooks, and what there is to tell of it."""
    seen = [Seen(one.claim.webhook.id, one.response.sent_at, one.outcome, one.claim.event.type) for one in taken]
    signals = [*health.signals(health.note(connection, seen), seen), *(one for one in map(_signal, taken) if one)]
    return operational.notify(connection, signals)


def _signal(result: Result) -> Signal | None:
    claim, outcome = result.claim, result.outcome
    if outcome.state is State.FAILED:
        return Signal(operational.EXHAUSTED, claim.webhook.id, claim.id)
    if outcome.state is State.RETRY and claim.budget.step == FAILING:
        return Signal(operational.FAILING, claim.webhook.id, claim.id)
    return None


def _retry(result: Result) -> Follow:
    claim, seconds = result.claim, result.row["delay_ms"] / 1000
    return Follow(claim.id, claim.token + 1, claim.webhook.project_id, math.ceil(seconds))


def _result(response: Response, answer_ms: int) -> Result:
    claim: Claim = response.request.reference
    outcome = decide(
        Answer(response.status, response.failure, response.headers, min(answer_ms, response.time_ms)),
        claim.budget,
        settings().limits,
        now=datetime.now(UTC),
        chance=random.random(),  # noqa: S311 - jitter is no secret
    )
    return Result(response, outcome, evidence.row(claim, response, outcome))
