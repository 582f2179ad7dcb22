"""GitHub's webhooks.

https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries: `X-Hub-Signature-256` is
`sha256=` and the hex HMAC-SHA256 of the body. No time is signed, and no other header either: what keeps a delivery
from being taken twice is its id, which a redelivery has again
(https://docs.github.com/en/webhooks/using-webhooks/best-practices-for-using-webhooks).
"""

import hmac
from collections.abc import Sequence

from functions.domain.senders.base import Json, Message, NothingToRecord, Received, Source, Unreadable
from functions.domain.senders.reading import FORM, NO_TYPE, content_type, digest, field, form
from functions.domain.senders.signatures import check_any, header


class GitHub(NothingToRecord):
    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        given = header(received, "X-Hub-Signature-256")
        check_any([given], ["sha256=" + hmac.digest(key, received.body, "sha256").hex() for key in secrets])

    def read(self, received: Received, source: Source) -> Message:
        """`issues` with the action `opened` is `issues.opened`."""
        read = Json.of(_payload(received))
        event = received.headers.get("x-github-event") or NO_TYPE
        action = field(read.value, "action")
        return Message(
            id=received.headers.get("x-github-delivery") or digest(event.encode(), received.body),
            type=f"{event}.{action}" if action else event,
            data=read.text,
        )


def _payload(received: Received) -> bytes:
    """A webhook may be set up to send JSON, or a form whose field `payload` is the JSON."""
    if content_type(received) != FORM:
        return received.body
    payload = form(received).get("payload")
    if payload is None:
        raise Unreadable("the form has no payload")
    return payload[0].encode()


SENDER = GitHub()
