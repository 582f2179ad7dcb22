"""The HTTP request of a claim: the event's data as it is stored, signed, with the delivery headers."""

from functions import VERSION
from functions.adapters.sender import Request
from functions.deliver.claims import Claim
from functions.deliver.opened import Opened
from functions.domain.signing import signature


def request(claim: Claim, opened: Opened, timestamp: int) -> Request:
    """`timestamp` in Unix seconds: the moment of this attempt. The claim's event has its data."""
    body = (claim.event.data or "").encode()
    return Request(
        reference=claim,
        url=claim.webhook.url,
        headers={
            **opened.headers,
            "content-type": "application/json",
            "user-agent": f"Hookline/{VERSION}",
            "webhook-id": claim.event.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": signature(opened.signers, claim.event.id, timestamp, body),
            "hookline-event-type": claim.event.type,
            "hookline-delivery-id": claim.id,
            "hookline-attempt": str(claim.attempt),
            "hookline-correlation-id": claim.event.correlation_id,
        },
        body=body,
        timeout_ms=claim.webhook.timeout_seconds * 1000,
        allowed=claim.webhook.allowed,
    )
