"""What is kept of an attempt: request and response, its headers, body, time and address (D6)."""

from datetime import timedelta
from typing import Any

from functions.adapters.sender import Response
from functions.deliver.claims import Claim, Webhook
from functions.domain.headers import masked
from functions.domain.ids import uuid7
from functions.domain.outbox import NEAR_SECONDS
from functions.domain.outcome import Failure, Outcome, State

KEPT_BODY_CHARACTERS = 16 << 10  # of a response, as evidence
KEPT_HEADERS_CHARACTERS = 8 << 10
NEAR = timedelta(seconds=NEAR_SECONDS)


def row(claim: Claim, response: Response, outcome: Outcome) -> dict[str, Any]:
    """The attempt in the shape that recording takes. What the endpoint said is kept as far as there is room."""
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
        "reason": outcome.reason,
        "delay_ms": int(outcome.delay.total_seconds() * 1000),
        "near": retry and outcome.delay <= NEAR,
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
