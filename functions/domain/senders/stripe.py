"""Stripe's webhooks.

https://docs.stripe.com/webhooks#verify-manually: `Stripe-Signature` is `t=<Unix seconds>,v1=<hex>[,v1=<hex>]…`,
each the HMAC-SHA256 of `t.body` under the endpoint's whole secret, `whsec_` included; other schemes are
to be ignored. A retry has the same event id, and a time and signature of its own.
"""

import hmac
from collections.abc import Sequence

from functions.domain.senders.base import Json, Message, NothingToRecord, NotVerified, Received, Source, Unreadable
from functions.domain.senders.reading import field, when
from functions.domain.senders.signatures import check_any, check_fresh, header


class Stripe(NothingToRecord):
    def verify(self, received: Received, secrets: Sequence[bytes], source: Source) -> None:
        items = [item.partition("=") for item in header(received, "Stripe-Signature").split(",")]
        timestamp = next((value for name, _, value in items if name == "t"), None)
        if timestamp is None:
            raise NotVerified("there is no time in Stripe-Signature")
        check_fresh(timestamp, received, source.replay_window_seconds)
        signed = timestamp.encode() + b"." + received.body
        given = [value for name, _, value in items if name == "v1"]
        check_any(given, [hmac.digest(key, signed, "sha256").hex() for key in secrets])

    def read(self, received: Received, source: Source) -> Message:
        read = Json.of(received.body)
        id, type = field(read.value, "id"), field(read.value, "type")
        if not id or not type:
            raise Unreadable("the body is no event of Stripe: it has no `id` or no `type`")
        return Message(id, type, read.text, occurred_at=when(read.value, "created"))


SENDER = Stripe()
