"""One bit changed anywhere in what is signed, or in the signature, and it is refused."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook

from functions.domain.senders import registry
from functions.domain.senders.base import Kind, NotVerified, Received
from tests.unit.domain.senders.requests_of import (
    NOW,
    SHOPIFY,
    SLACK,
    github,
    received,
    shopify_like,
    slack_like,
    source,
    stripe,
)

STANDARD = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
PLAIN = "a-secret-of-ours"


def standard(body: bytes) -> Received:
    signature = Webhook(STANDARD).sign(msg_id="msg_1", timestamp=NOW, data=body.decode())
    return received(
        body, webhook_id="msg_1", webhook_timestamp=f"{NOW.timestamp():.0f}", webhook_signature=signature
    )


@dataclass(frozen=True)
class Case:
    kind: Kind
    request: Callable[[bytes], Received]
    headers: tuple[str, ...]  # that are signed, or are the signature or the token
    verification: dict[str, Any]
    secret: str = PLAIN
    signs_body: bool = True
    signs_time: bool = False

    def verify(self, request: Received, *secrets: str) -> None:
        of = source(self.kind, verification=self.verification)
        keys = [secret.encode() for secret in secrets or (self.secret,)]
        registry.sender(self.kind).verify(request, keys, of)


STANDARD_HEADERS = ("webhook-id", "webhook-timestamp", "webhook-signature")
CASES = {
    "standard_webhooks": Case("standard_webhooks", standard, STANDARD_HEADERS, {}, STANDARD, signs_time=True),
    "github": Case("github", lambda body: github(body, PLAIN), ("x-hub-signature-256",), {}),
    "stripe": Case("stripe", lambda body: stripe(body, PLAIN), ("stripe-signature",), {}, signs_time=True),
    "generic with a time": Case(
        "generic_hmac",
        lambda body: slack_like(body, PLAIN),
        ("x-slack-signature", "x-slack-request-timestamp"),
        SLACK,
        signs_time=True,
    ),
    "generic": Case("generic_hmac", lambda body: shopify_like(body, PLAIN), ("x-shopify-hmac-sha256",), SHOPIFY),
    "token": Case(
        "token",
        lambda body: received(body, authorization=f"Bearer {PLAIN}"),
        ("authorization",),
        {"in": "header", "name": "Authorization", "prefix": "Bearer "},
        signs_body=False,
    ),
    "basic": Case(
        "token",
        lambda body: received(body, authorization="Basic aG9va3M6YS1zZWNyZXQtb2Ytb3Vycw=="),
        ("authorization",),
        {"in": "basic", "username": "hooks"},
        signs_body=False,
    ),
}
BODIES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=200).map(str.encode)


def flipped(data: bytes, bit: int) -> bytes:
    bit %= len(data) * 8
    return bytes(byte ^ (1 << bit % 8) if at == bit // 8 else byte for at, byte in enumerate(data))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@given(body=BODIES, bit=st.integers(0, 1 << 16))
def test_one_bit_of_the_body(case: Case, body: bytes, bit: int) -> None:
    request = case.request(body)
    case.verify(request)
    changed = replace(request, body=flipped(body, bit))
    if case.signs_body:
        with pytest.raises(NotVerified):
            case.verify(changed)
    else:
        case.verify(changed)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_bit_of_every_header(case: Case) -> None:
    request = case.request('{"a":"ü"}'.encode())
    for name in case.headers:
        value = request.headers[name].encode()
        for bit in range(len(value) * 8):
            changed = {**request.headers, name: flipped(value, bit).decode("latin-1")}
            if changed[name].lower().startswith("basic ") and changed[name][6:] == request.headers[name][6:]:
                continue  # the scheme may be in any case
            with pytest.raises(NotVerified):
                case.verify(replace(request, headers=changed))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_header_is_needed(case: Case) -> None:
    request = case.request(b"{}")
    for name in case.headers:
        for headers in (
            {one: value for one, value in request.headers.items() if one != name},
            {**request.headers, name: ""},
        ):
            with pytest.raises(NotVerified):
                case.verify(replace(request, headers=headers))


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
def test_every_live_secret_is_taken_and_no_other(case: Case) -> None:
    request = case.request(b"{}")
    other = "whsec_" + "A" * 32 if case.kind == "standard_webhooks" else "another-secret"
    case.verify(request, other, case.secret)
    with pytest.raises(NotVerified):
        case.verify(request, other)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("ahead", [False, True])
def test_the_replay_window_where_a_time_is_signed(case: Case, ahead: bool) -> None:
    request = case.request(b"{}")
    edge = timedelta(seconds=-300 if ahead else 300)
    case.verify(replace(request, at=NOW + edge))
    late = replace(request, at=NOW + edge * 301 / 300)
    if case.signs_time:
        with pytest.raises(NotVerified, match="seconds from now"):
            case.verify(late)
    else:
        case.verify(late)


@pytest.mark.parametrize("text", ["", "1.5", "-5", "+5", " 1700000000", "٣", "9" * 14, "1e9", "0x10"])
def test_what_is_no_unix_time(text: str) -> None:
    case = CASES["stripe"]
    signature = case.request(b"{}").headers["stripe-signature"].partition(",")[2]
    with pytest.raises(NotVerified):
        case.verify(received(b"{}", stripe_signature=f"t={text},{signature}"))


def test_a_time_in_milliseconds_is_a_time() -> None:
    import hashlib
    import hmac

    how = {**SLACK, "signed": "{timestamp}.{body}", "prefix": "", "algorithm": "sha512"}
    ms = f"{NOW.timestamp() * 1000:.0f}"
    made = hmac.new(PLAIN.encode(), f"{ms}.{{}}".encode(), hashlib.sha512).hexdigest()
    request = received(b"{}", x_slack_signature=made, x_slack_request_timestamp=ms)
    registry.sender("generic_hmac").verify(request, [PLAIN.encode()], source("generic_hmac", verification=how))


@pytest.mark.parametrize(
    ("kind", "how"), [("token", {"in": "basic", "username": "hooks"}), ("changedetection", {})]
)
def test_basic_authentication_is_the_same_wherever_it_is_taken(kind: Kind, how: dict[str, Any]) -> None:
    sender, of = registry.sender(kind), source(kind, verification=how)
    credentials = base64.b64encode(b"hooks:a-secret").decode()
    for good in (f"Basic {credentials}", f"basic {credentials}", f"BASIC  {credentials}"):
        sender.verify(received(b"{}", authorization=good), [b"a-secret"], of)
    decodes_alike = credentials.replace("XQ=", "XR=")
    assert decodes_alike != credentials
    assert base64.b64decode(decodes_alike) == base64.b64decode(credentials)
    for wrong in (decodes_alike, credentials.rstrip("="), "%%%", base64.b64encode(b"hooks:\xff").decode(), ""):
        with pytest.raises(NotVerified):
            sender.verify(received(b"{}", authorization=f"Basic {wrong}"), [b"a-secret"], of)


def test_a_token_in_the_query() -> None:
    how = {"in": "query", "name": "token"}
    sender, of = registry.sender("token"), source("token", verification=how)
    sender.verify(received(b"{}", query={"token": PLAIN}), [PLAIN.encode()], of)
    for query in ({}, {"token": ""}, {"token": PLAIN + "x"}, {"Token": PLAIN}, {"token": f"{PLAIN},{PLAIN}"}):
        with pytest.raises(NotVerified):
            sender.verify(received(b"{}", query=query), [PLAIN.encode()], of)
