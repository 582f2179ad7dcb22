"""What is read of verified bodies, and what their events are called."""

import json
from typing import Any
from urllib.parse import urlencode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.domain.event_types import is_name
from functions.domain.senders import naming, registry
from functions.domain.senders.base import Kind, Unreadable
from tests.unit.domain.senders.requests_of import received, source

FORM = "application/x-www-form-urlencoded"
ONE_FIELD = {"type_field": "event", "id_field": "uid", "in": "query", "name": "t"}


@pytest.mark.parametrize(
    ("headers", "body", "type", "id"),
    [
        ({"x_github_event": "push", "x_github_delivery": "72d3162e"}, {"ref": "r"}, "push", "72d3162e"),
        ({"x_github_event": "issues", "x_github_delivery": "d"}, {"action": "opened"}, "issues.opened", "d"),
        ({"x_github_event": "push"}, {"action": 5}, "push.5", None),
        ({}, [], "message", None),
    ],
)
def test_github(headers: dict[str, str], body: Any, type: str, id: str | None) -> None:
    request = received(json.dumps(body).encode(), **headers)
    message = registry.sender("github").read(request, source("github"))
    assert (message.type, message.data) == (type, json.dumps(body))
    assert message.id == id or (id is None and len(message.id) == 64)


def test_github_as_a_form_is_what_its_payload_says() -> None:
    payload = '{"zen": "Half measures are as bad as nothing at all. 100 %"}'
    request = received(urlencode({"payload": payload}).encode(), content_type=FORM, x_github_event="ping")
    assert registry.sender("github").read(request, source("github")).data == payload
    for body in (b"other=1", b"payload=%ff", b"&" * 2000 + b"a=1"):
        with pytest.raises(Unreadable):
            registry.sender("github").read(received(body, content_type=FORM), source("github"))


@pytest.mark.parametrize("kind", ["github", "stripe", "standard_webhooks", "token"])
@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"\xff", b'{"a":1,"a":2}', b"NaN", b'"\\u0000"', b'"\\ud800"', b"[" * 65 + b"]" * 65, b"1e400"],
)
def test_what_an_event_could_not_hold_is_unreadable(kind: Kind, body: bytes) -> None:
    request = received(body, webhook_id="m", webhook_signature="s")
    with pytest.raises(Unreadable):
        registry.sender(kind).read(request, source(kind, verification=ONE_FIELD))


def test_data_keeps_every_digit_and_space() -> None:
    body = b'{ "n": 1.10,\n "big": 12345678901234567890123 }'
    assert registry.sender("token").read(received(body), source("token")).data == body.decode()


def test_a_form_is_an_object() -> None:
    request = received(b"a=1&b=%C3%BC&a=2&event=done&uid=7", content_type=f"{FORM}; charset=utf-8")
    message = registry.sender("token").read(request, source("token", verification=ONE_FIELD))
    assert json.loads(message.data) == {"a": ["1", "2"], "b": "ü", "event": "done", "uid": "7"}
    assert (message.id, message.type) == ("7", "done")


def test_without_an_id_the_same_body_is_the_same_message() -> None:
    sender, of = registry.sender("token"), source("token")
    one, again, other = (sender.read(received(body), of).id for body in (b"[1]", b"[1]", b"[2]"))
    assert one == again != other


@pytest.mark.parametrize(
    ("names", "word", "type"),
    [
        ({}, "push", "push"),
        ({}, "Push Hook", "Push_Hook"),
        ({}, "orders/create", "orders_create"),
        ({}, "..a..b.", "a.b"),
        ({}, "", "message"),
        ({}, "…", "_"),
        ({}, "hookline.webhook.disabled", "hookline_webhook.disabled"),
        ({"push": "code.pushed"}, "push", "code.pushed"),
        ({"Push Hook": "code.pushed"}, "Push Hook", "code.pushed"),
        ({"*": "other", "issues.*": "issue", "issues.opened": "new"}, "issues.opened", "new"),
        ({"*": "other", "issues.*": "issue"}, "issues.closed", "issue"),
        ({"*": "other", "a.*": "far", "a.b.*": "near"}, "a.b.c", "near"),
        ({"*": "other"}, "push", "other"),
    ],
)
def test_what_an_event_is_called(names: dict[str, str], word: str, type: str) -> None:
    assert naming.event_type(names, word) == type


@given(st.text(max_size=600))
def test_any_word_becomes_a_name(word: str) -> None:
    name = naming.event_type({}, word)
    assert is_name(name)
    assert not name.startswith("hookline.")


@given(st.text(max_size=600))
def test_any_id_becomes_one_that_can_be_stored(id: str) -> None:
    made = naming.external_id("01a1f8df-c445-7d27-83ba-de6472adf856", id)
    assert len(made) <= 255
    assert made.isprintable()
    assert made.startswith("01a1f8df-c445-7d27-83ba-de6472adf856/")


def test_secrets_that_are_made_are_taken() -> None:
    kinds: tuple[Kind, ...] = ("standard_webhooks", "github", "stripe", "generic_hmac", "token", "changedetection")
    for kind in kinds:
        made = registry.new_secret(kind)
        registry.check_secret(kind, made)
        assert made != registry.new_secret(kind)
    for wrong in ("secret", "whsec_", "whsec_AAAA", "whpk_AAAA", "whpk_???", "whsk_" + "A" * 43 + "="):
        with pytest.raises(ValueError, match="must"):
            registry.check_secret("standard_webhooks", wrong)
