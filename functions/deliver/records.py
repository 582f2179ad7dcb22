"""Recording what came of claims: one statement for a batch writes states, attempts, health and dead letters."""

import json
import random
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import again, is_transient, transaction
from functions.adapters.sender import Response
from functions.deliver.claims import Claim, Webhook
from functions.domain import expunge
from functions.domain.headers import masked
from functions.domain.ids import uuid7
from functions.domain.outcome import Failure, Outcome, State, decide
from functions.telemetry import logger

KEPT_BODY_CHARACTERS = 16 << 10  # of a response, as evidence
KEPT_HEADERS_CHARACTERS = 8 << 10
WITHOUT_EVIDENCE = {"response_headers": None, "response_body": None, "remote_address": None}
# A retry this near is sent to the queue at once with a delay; dispatch, which looks once a minute and packs by
# the hundred, is cheaper for those further off and late by a minute at most.
NEAR = timedelta(seconds=90)
OUTBOX_SECONDS = 90  # how long a message that was sent is given before dispatch sends another


@dataclass(frozen=True)
class Follow:
    """A message to send once the record is committed."""

    id: str
    token: int
    project_id: str
    delay_seconds: int = 0


@dataclass(frozen=True)
class Recorded:
    """What is to be sent after the commit, and how many rows had moved on."""

    retries: list[Follow]
    dead: list[Follow]
    stale: int

    def __add__(self, other: "Recorded") -> "Recorded":
        return Recorded(self.retries + other.retries, self.dead + other.dead, self.stale + other.stale)


# `now()` is the database's clock throughout; a function's own clock only dates its attempts. Rows whose token
# moved on (the lease ended and another took over) change nothing, but the attempt was made and is kept. A test
# event that failed has told what it was asked: nobody is to look after it, so it leaves no dead letter. Where the
# payload was expunged meanwhile, neither the answer nor the signature is kept (domain/expunge.py): the row tells,
# which both lock. Where the token moved on it does not tell, and neither is kept either.
RECORD = text("""
WITH r AS MATERIALIZED (
  SELECT * FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x (
    id uuid, token integer, project_id uuid, attempt_id uuid, attempt smallint, state text, delay_ms integer,
    near boolean, request_url text, request_headers jsonb, sent_at timestamptz, response_status smallint,
    response_headers jsonb, response_body text, response_time_ms integer, remote_address inet,
    error_code text, error_message text)
), recorded AS (
  UPDATE webhook.webhook_deliveries d
  SET status = r.state, token = d.token + 1, attempts = r.attempt, lease_expires_at = NULL,
      last_attempt_at = r.sent_at, last_response_status = r.response_status,
      last_error_code = r.error_code, last_error_message = r.error_message,
      scheduled_at = CASE WHEN r.state = 'pending' THEN now() + r.delay_ms * interval '1 ms' END,
      sweep_at = CASE WHEN r.state = 'pending' THEN now() + r.delay_ms * interval '1 ms'
        + CASE WHEN r.near THEN CAST(:outbox AS integer) * interval '1 s' ELSE interval '0' END END,
      delivered_at = CASE WHEN r.state = 'delivered' THEN now() END,
      failed_at = CASE WHEN r.state = 'failed' THEN now() END
  FROM r WHERE d.id = ANY (CAST(:ids AS uuid[])) AND d.id = r.id AND d.token = r.token
  RETURNING d.id, d.project_id, d.webhook_id, d.event_id, d.token, r.state, r.attempt, r.near, r.delay_ms,
    r.error_code, r.error_message, r.response_status, r.sent_at, d.application_id, d.event_type,
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
  SELECT project_id, application_id, webhook_id, event_id, event_type, id, 'attempts_exhausted', attempt,
    error_code, error_message, response_status, now() + CAST(:outbox AS integer) * interval '1 s'
  FROM recorded WHERE state = 'failed' AND event_type <> 'hookline.test'
  RETURNING id, token, project_id
), outcome AS (
  SELECT webhook_id, max(sent_at) FILTER (WHERE state = 'delivered') AS success_at,
    max(sent_at) FILTER (WHERE state <> 'delivered') AS failure_at,
    count(*) FILTER (WHERE state <> 'delivered') AS failures
  FROM recorded GROUP BY webhook_id
), changed AS MATERIALIZED (
  SELECT h.webhook_id, o.success_at, o.failure_at, o.failures FROM outcome o
  JOIN webhook.webhook_health h ON h.webhook_id = o.webhook_id
  WHERE o.failures > 0 OR h.failure_count > 0 OR h.last_success_at IS NULL
    OR o.success_at > h.last_success_at + interval '1 s'
  ORDER BY h.webhook_id FOR UPDATE OF h
), health AS (
  UPDATE webhook.webhook_health h
  SET failure_count = CASE WHEN c.success_at IS NULL THEN h.failure_count + c.failures
        WHEN c.failure_at > c.success_at THEN c.failures ELSE 0 END,
      last_success_at = greatest(h.last_success_at, c.success_at),
      last_failure_at = greatest(h.last_failure_at, c.failure_at)
  FROM changed c WHERE h.webhook_id = c.webhook_id
)
SELECT json_build_object(
  'recorded', (SELECT count(*) FROM recorded),
  'retries', (SELECT json_agg(json_build_array(id, token, project_id, round(delay_ms / 1000.0)))
    FROM recorded WHERE near),
  'dead', (SELECT json_agg(json_build_array(id, token, project_id)) FROM dead)
)::text
""")


def rows_of(responses: list[Response]) -> list[dict[str, Any]]:
    """What is to be written of these responses: decided once, however often the writing is tried."""
    return [_row(response) for response in responses]


def record(rows: list[dict[str, Any]]) -> Recorded:
    """Write outcomes; writing the same ones twice changes nothing. Raises sqlalchemy.exc.DBAPIError.

    One that the database will not take must not keep back the others, nor be sent again for ever: such a batch is
    halved until it stands alone, and is then recorded without what the endpoint said.
    """
    try:
        return again(lambda: _write(rows))
    except DBAPIError as error:
        if is_transient(error):
            raise
        logger.exception("outcomes not taken by the database", count=len(rows))
        if len(rows) == 1:
            return _write([rows[0] | WITHOUT_EVIDENCE])
        middle = len(rows) // 2
        return record(rows[:middle]) + record(rows[middle:])


def _write(rows: list[dict[str, Any]]) -> Recorded:
    parameters = {
        "rows": json.dumps(rows),
        "ids": [row["id"] for row in rows],
        "outbox": OUTBOX_SECONDS,
        "expunged": expunge.CODE,
    }
    with transaction() as connection:
        answer = json.loads(connection.execute(RECORD, parameters).scalar_one())
    return Recorded(
        retries=[Follow(id, token, project, int(delay)) for id, token, project, delay in answer["retries"] or ()],
        dead=[Follow(id, token, project) for id, token, project in answer["dead"] or ()],
        stale=len(rows) - answer["recorded"],
    )


def _row(response: Response) -> dict[str, Any]:
    claim: Claim = response.request.reference
    outcome = decide(
        claim.budget,
        status=response.status,
        failure=response.failure,
        chance=random.random(),  # noqa: S311 - jitter is no secret
    )
    return {
        "id": claim.id,
        "token": claim.token,
        "project_id": claim.webhook.project_id,
        "attempt_id": uuid7(),
        "attempt": claim.attempt,
        **_state(outcome),
        "request_url": response.request.url,
        "request_headers": _sent(response),
        "sent_at": response.sent_at.isoformat(),
        "response_status": response.status,
        "response_headers": _headers(response.headers),
        "response_body": _text(response.body.decode("utf-8", "replace")[:KEPT_BODY_CHARACTERS]),
        "response_time_ms": response.time_ms,
        "remote_address": response.remote_address,
        **_error(outcome.failure),
    }


def _sent(response: Response) -> dict[str, str]:
    """The request's headers without the webhook's credentials."""
    webhook: Webhook = response.request.reference.webhook
    if webhook.credentials is None:
        return response.request.headers
    return masked(response.request.headers, (name for name, value in webhook.headers.items() if value is None))


def _state(outcome: Outcome) -> dict[str, Any]:
    retry = outcome.state is State.RETRY
    return {
        "state": outcome.state,
        "delay_ms": int(outcome.delay.total_seconds() * 1000),
        "near": retry and outcome.delay < NEAR,
    }


def _error(failure: Failure | None) -> dict[str, str | None]:
    return {
        "error_code": failure.code if failure else None,
        "error_message": failure.message if failure else None,
    }


def _headers(headers: dict[str, str]) -> dict[str, str]:
    kept, room = {}, KEPT_HEADERS_CHARACTERS
    for name, value in headers.items():
        room -= len(name) + len(value)
        if room < 0:
            break
        kept[_text(name)] = _text(value)
    return kept


def _text(text: str) -> str:
    """Whatever an endpoint sends, as text that Postgres takes: it has no NUL."""
    return text.replace("\x00", "\N{REPLACEMENT CHARACTER}")
