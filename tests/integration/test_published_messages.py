"""What each sender publishes goes from `/in/…` to a subscriber, with a valid signature at both ends."""

import json
import time
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import pytest
import standardwebhooks

from tests.integration.conftest import Service
from tests.integration.deliver_scene import run
from tests.integration.endpoint import Endpoint
from tests.integration.inbound_scene import PAYLOADS
from tests.integration.sources_scene import github, post, rows, secret_of, source
from tests.unit.domain.senders import requests_of
from tests.unit.domain.senders.requests_of import SHOPIFY, SLACK, shopify_like, slack_like, stripe
from tests.unit.domain.senders.test_changedetection import enveloped, rendered

NEW, KNOWN, REFUSED = 202, 200, 401
FORM = {"content-type": "application/x-www-form-urlencoded"}
Sign = Callable[[str, bytes], dict[str, str]]


def now() -> datetime:
    return datetime.now(UTC)


def standard(secret: str, body: bytes) -> dict[str, str]:
    signature = standardwebhooks.Webhook(secret).sign(msg_id="msg_1", timestamp=now(), data=body.decode())
    return {"webhook-id": "msg_1", "webhook-timestamp": f"{int(time.time())}", "webhook-signature": signature}


def firecrawl(secret: str, body: bytes) -> dict[str, str]:
    signature = requests_of.github(body, secret).headers["x-hub-signature-256"]  # the same hash, another header
    return {"x-firecrawl-signature": signature}


@dataclass(frozen=True)
class Published:
    kind: str
    body: bytes
    sign: Sign
    type: str
    values: dict[str, Any] = field(default_factory=dict)
    signs_body: bool = True  # or shows a token


def of_file(name: str) -> bytes:
    return (PAYLOADS / name).read_bytes()


MESSAGES = {
    "github": Published(
        "github",
        of_file("github/issues.opened.json"),
        lambda secret, body: github(body, "issues", secret=secret),
        "issues.opened",
    ),
    "stripe": Published(
        "stripe",
        of_file("stripe/setup_intent.created.json"),
        lambda secret, body: stripe(body, secret, now()).headers,
        "setup_intent.created",
        {"secret": "whsec_1234"},
    ),
    "standard_webhooks": Published(
        "standard_webhooks", of_file("standard_webhooks/contact.created.json"), standard, "contact.created"
    ),
    "slack": Published(
        "generic_hmac",
        of_file("slack/command.form"),
        lambda secret, body: slack_like(body, secret, now()).headers | FORM,
        "message",
        {"verification": SLACK},
    ),
    "shopify": Published(
        "generic_hmac",
        of_file("shopify/orders.create.json"),
        lambda secret, body: shopify_like(body, secret, x_shopify_topic="orders/create").headers,
        "orders_create",
        {"verification": SHOPIFY},
    ),
    "gitlab": Published(
        "token",
        of_file("gitlab/push.json"),
        lambda secret, _: {"x-gitlab-token": secret, "x-gitlab-event": "Push Hook"},
        "Push_Hook",
        {"verification": {"in": "header", "name": "X-Gitlab-Token", "type_header": "X-Gitlab-Event"}},
        signs_body=False,
    ),
    "basic": Published(
        "token",
        b'{"id":"evt_1","type":"charge.refunded","amount":129.90}',
        lambda secret, _: {"authorization": f"Basic {b64encode(f'hooks:{secret}'.encode()).decode()}"},
        "charge.refunded",
        {"verification": {"in": "basic", "username": "hooks"}},
        signs_body=False,
    ),
    "changedetection": Published(
        "changedetection",
        enveloped(rendered()).encode(),
        lambda secret, _: {"x-hookline-token": secret},
        "change.detected",
        signs_body=False,
    ),
    **{
        f"firecrawl, {name}": Published(
            "firecrawl", of_file(f"firecrawl/{name}.json"), firecrawl, name, {"secret": "whs_1234"}
        )
        for name in ("crawl.started", "crawl.page", "crawl.completed", "batch_scrape.page")
    },
}


def carried(message: Published) -> Any:
    """What the event's data is to be."""
    if message.kind == "changedetection":
        return json.loads(rendered())
    return dict(parse_qsl(message.body.decode(), True)) if message.body[:1] != b"{" else json.loads(message.body)


def flipped(text: bytes, at: int) -> bytes:
    return text[:at] + bytes([text[at] ^ 1]) + text[at + 1 :]


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_from_a_senders_signature_to_a_subscribers(
    service: Service, receiver: Endpoint, message: Published
) -> None:
    webhook = service.webhook(url=receiver.url, event_types=[message.type])
    made = source(service, message.kind, **message.values)
    body, secret = message.body, secret_of(service, made)
    headers = message.sign(secret, body)
    answer = post(made["id"], body, headers)
    assert answer.status == NEW, answer.body
    run(service)
    (delivered,) = receiver.received
    verifier = standardwebhooks.Webhook(
        service.client("GET", f"/v1/webhooks/{webhook['id']}/secret").body["secret"]
    )
    assert verifier.verify(delivered.body, delivered.headers) == carried(message)
    assert delivered.headers["webhook-id"] == answer.body["id"]
    assert delivered.headers["hookline-event-type"] == message.type
    again = post(made["id"], body, message.sign(secret, body))
    assert (again.status, again.body) == (KNOWN, answer.body)
    run(service)
    assert len(receiver.received) == 1


@pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES)
def test_one_bit_changed_anywhere_is_refused_and_leaves_no_row(service: Service, message: Published) -> None:
    made = source(service, message.kind, **message.values)
    before, body = rows(service), message.body
    headers = message.sign(secret_of(service, made), body)
    shown = [
        name for name in headers if "signature" in name or "hmac" in name or "token" in name or "auth" in name
    ]
    assert shown
    for at in (0, len(body) // 2, len(body) - 1) if message.signs_body else ():
        assert post(made["id"], flipped(body, at), headers).status == REFUSED
    for name in shown:
        for at in (0, len(headers[name]) // 2, len(headers[name]) - 1):
            wrong = {name: flipped(headers[name].encode(), at).decode()}
            assert post(made["id"], body, headers | wrong).status == REFUSED, (name, at)
    assert rows(service) == before
