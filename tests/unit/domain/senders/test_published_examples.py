"""What the senders publish: signatures of their documentation, and requests made by their own libraries."""

import base64
import json
from datetime import UTC, datetime

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from standardwebhooks import Webhook

from functions.domain.senders import registry
from functions.domain.senders.base import NotVerified, Unreadable
from tests.unit.domain.senders.requests_of import NOW, SHOPIFY, SLACK, received, shopify_like, source, stripe

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_githubs_published_signature() -> None:
    """https://docs.github.com/en/webhooks/using-webhooks/validating-webhook-deliveries, "Testing"."""
    signature = "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17"
    request = received(b"Hello, World!", x_hub_signature_256=signature)
    registry.sender("github").verify(request, [b"It's a Secret to Everybody"], source("github"))


def test_standard_webhooks_published_signature() -> None:
    """The example that the specification's libraries are tested with."""
    request = received(
        b'{"test": 2432232314}',
        at=datetime.fromtimestamp(1614265330, UTC),
        webhook_id="msg_p5jXN8AQM9LWM0D4loKWxJek",
        webhook_timestamp="1614265330",
        webhook_signature="v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    )
    sender = registry.sender("standard_webhooks")
    sender.verify(request, [STANDARD.encode()], source("standard_webhooks"))
    assert sender.read(request, source("standard_webhooks")).id == "msg_p5jXN8AQM9LWM0D4loKWxJek"


@pytest.mark.parametrize("family", ["webhook", "svix"])
def test_what_the_specifications_library_signs(family: str) -> None:
    body = '{"type":"user.created","timestamp":"2026-11-20T11:59:58Z","data":{"id":"ü"}}'
    signature = Webhook(STANDARD).sign(msg_id="msg_1", timestamp=NOW, data=body)
    headers = {f"{family}_id": "msg_1", f"{family}_timestamp": f"{NOW.timestamp():.0f}"}
    request = received(body.encode(), **headers, **{f"{family}_signature": f"v1,bm9uZQ== {signature}"})
    sender, of = registry.sender("standard_webhooks"), source("standard_webhooks")
    sender.verify(request, [b"whsec_" + base64.b64encode(b"n" * 24), STANDARD.encode()], of)
    message = sender.read(request, of)
    assert (message.id, message.type, message.data) == ("msg_1", "user.created", body)
    assert message.occurred_at == datetime(2026, 11, 20, 11, 59, 58, tzinfo=UTC)


def test_standard_webhooks_by_a_public_key() -> None:
    private = Ed25519PrivateKey.generate()
    public = "whpk_" + base64.b64encode(private.public_key().public_bytes_raw()).decode()
    registry.check_secret("standard_webhooks", public)
    signed = f"msg_1.{NOW.timestamp():.0f}.".encode() + b"{}"
    headers = {"webhook_id": "msg_1", "webhook_timestamp": f"{NOW.timestamp():.0f}"}
    good = base64.b64encode(private.sign(signed)).decode()
    sender, of = registry.sender("standard_webhooks"), source("standard_webhooks")
    sender.verify(received(b"{}", **headers, webhook_signature=f"v1a,{good}"), [public.encode()], of)
    for wrong in (f"v1,{good}", f"v1a,{good[:-3]}{chr(ord(good[-3]) + 1)}==", "v1a,???", "v1a,"):
        with pytest.raises(NotVerified):
            sender.verify(received(b"{}", **headers, webhook_signature=wrong), [public.encode()], of)


def test_slacks_published_signature() -> None:
    """https://docs.slack.dev/authentication/verifying-requests-from-slack: a form, and its fields the data."""
    body = (
        b"token=xyzz0WbapA4vBCDEFasx0q6G&team_id=T1DC2JH3J&team_domain=testteamnow&channel_id=G8PSS9T3V"
        b"&channel_name=foobar&user_id=U2CERLKJA&user_name=roadrunner&command=%2Fwebhook-collect&text="
        b"&response_url=https%3A%2F%2Fhooks.slack.com%2Fcommands%2FT1DC2JH3J%2F397700885554%2F96rGlfmibIGlgcZRskXaIFfN"
        b"&trigger_id=398738663015.47445629121.803a0bc887a14d10d2c447fce8b6703c"
    )
    request = received(
        body,
        at=datetime.fromtimestamp(1531420618, UTC),
        x_slack_request_timestamp="1531420618",
        x_slack_signature="v0=a2114d57b48eac39b9ad189dd8316235a7b4a8d21a10bd27519666489c69b503",
        content_type="application/x-www-form-urlencoded",
    )
    sender, of = registry.sender("generic_hmac"), source("generic_hmac", verification=SLACK)
    sender.verify(request, [b"8f742231b10e8888abcd99yyyzzz85a5"], of)
    data = json.loads(sender.read(request, of).data)
    assert (data["command"], data["text"]) == ("/webhook-collect", "")


def test_shopifys_way_of_signing() -> None:
    """https://shopify.dev/docs/apps/build/webhooks/subscribe/https: base64, the topic in a header."""
    body = b'{"id":820982911946154508}'
    request = shopify_like(body, "hush-hush", x_shopify_topic="orders/create", x_shopify_webhook_id="b54557e4")
    sender, of = registry.sender("generic_hmac"), source("generic_hmac", verification=SHOPIFY)
    sender.verify(request, [b"hush-hush"], of)
    message = sender.read(request, of)
    assert (message.id, message.type, message.data) == ("b54557e4", "orders/create", body.decode())


def test_stripes_event_as_it_documents_one() -> None:
    """https://docs.stripe.com/api/events/object, and its thin events of API v2."""
    snapshot = {
        "id": "evt_1NG8Du2eZvKYlo2CUI79vXWy",
        "object": "event",
        "created": 1686089970,
        "type": "setup_intent.created",
        "data": {"object": {"id": "seti_1NG8Du2eZvKYlo2C9XMqbR0x"}},
    }
    thin = {
        "id": "evt_test_65R9Ijk8dKEYZcXeRWn16R9A7j1FSQ3w3TGDPLLGSM4CW0",
        "object": "v2.core.event",
        "type": "v1.billing.meter.error_report_triggered",
        "created": "2024-09-17T06:20:52.246Z",
    }
    sender, of = registry.sender("stripe"), source("stripe")
    for event, at in (
        (snapshot, datetime(2023, 6, 6, 22, 19, 30, tzinfo=UTC)),
        (thin, datetime(2024, 9, 17, 6, 20, 52, 246000, tzinfo=UTC)),
    ):
        request = stripe(json.dumps(event).encode(), "whsec_test_secret")
        sender.verify(request, [b"whsec_test_secret"], of)
        message = sender.read(request, of)
        assert (message.id, message.type, message.occurred_at) == (event["id"], event["type"], at)
    with pytest.raises(Unreadable, match="no event of Stripe"):
        sender.read(stripe(b"{}", "s"), of)


def test_stripes_other_schemes_are_ignored() -> None:
    request = stripe(b"{}", "whsec_a")
    of = source("stripe")
    signature = request.headers["stripe-signature"]
    time, _, good = signature.partition(",")
    several = received(b"{}", stripe_signature=f"{time},v1={'0' * 64},v0={'0' * 64},{good}")
    registry.sender("stripe").verify(several, [b"whsec_a"], of)
    older = received(b"{}", stripe_signature=signature.replace("v1=", "v0="))
    with pytest.raises(NotVerified):
        registry.sender("stripe").verify(older, [b"whsec_a"], of)
