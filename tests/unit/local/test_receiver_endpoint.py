from datetime import UTC, datetime, timedelta
from http import HTTPStatus

import pytest
from standardwebhooks import Webhook

from local.receiver.behaviour import Behaviour
from local.receiver.endpoint import Endpoint

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_QQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQQ"
BODY = '{"what": "☃"}'.encode()


def signed(
    event_id: str, body: bytes = BODY, *, secret: str = SECRET, at: datetime | None = None
) -> dict[str, str]:
    at = at or datetime.now(UTC)
    return {
        "webhook-id": event_id,
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign(event_id, at, body.decode()),
    }


def endpoint(remember: int = 100, **behaviour) -> Endpoint:
    return Endpoint(SECRET, Behaviour.parse(behaviour), remember=remember)


def test_a_delivery_with_a_valid_signature_is_accepted_and_its_time_kept():
    here = endpoint()
    assert here.receive(signed("e1"), BODY, 1_000) == HTTPStatus.OK
    assert here.receipts["e1"].first_ns == here.receipts["e1"].accepted_ns == 1_000
    assert (here.counts.requests, here.counts.events, here.counts.accepted) == (1, 1, 1)


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        (signed("e1", secret=OTHER), BODY),
        (signed("e1"), BODY + b" "),
        (signed("e1"), b"\xff"),
        (signed("e1", at=datetime.now(UTC) - timedelta(hours=1)), BODY),
        (signed("e1") | {"webhook-id": "e2"}, BODY),
        (signed("e1") | {"webhook-signature": "v1,not base64"}, BODY),
        (signed("e1") | {"webhook-signature": "nonsense"}, BODY),
        ({}, BODY),
    ],
    ids=["other key", "other body", "not utf-8", "too old", "other id", "no base64", "no version", "no headers"],
)
def test_what_was_not_signed_like_this_is_refused_and_counts_as_nothing_received(headers, body):
    here = endpoint()
    assert here.receive(headers, body, 1) == HTTPStatus.UNAUTHORIZED
    assert here.counts.bad_signatures == 1
    assert len(here.counts.bad_signature_reasons) == 1
    assert not here.receipts


def test_an_event_that_comes_again_after_it_was_accepted_is_a_duplicate():
    here = endpoint()
    for at in (1, 2, 3):
        here.receive(signed("e1"), BODY, at)
    assert here.receipts["e1"].accepted == 3
    assert here.receipts["e1"].accepted_ns == 1
    assert (here.counts.accepted, here.counts.duplicates) == (1, 2)


def test_an_attempt_after_a_refused_one_is_no_duplicate():
    here = endpoint(mode="fail-first")
    assert here.receive(signed("e1"), BODY, 1) == HTTPStatus.SERVICE_UNAVAILABLE
    assert here.receive(signed("e1"), BODY, 2) == HTTPStatus.OK
    assert (here.counts.refused, here.counts.accepted, here.counts.duplicates) == (1, 1, 0)
    receipt = here.receipts["e1"]
    assert (receipt.first_ns, receipt.accepted_ns, receipt.refused) == (1, 2, 1)


def test_an_endpoint_that_is_healed_accepts_what_it_refused():
    here = endpoint(mode="always-fail")
    here.receive(signed("e1"), BODY, 1)
    here.receive(signed("e1"), BODY, 2)
    here.behaviour = Behaviour()
    assert here.receive(signed("e1"), BODY, 3) == HTTPStatus.OK
    assert here.receipts["e1"].refused == 2


def test_only_so_many_events_are_remembered_and_it_is_said_how_many_were_not():
    here = endpoint(remember=3)
    for n in range(5):
        here.receive(signed(f"e{n}"), BODY, n)
    assert list(here.receipts) == ["e2", "e3", "e4"]
    assert (here.counts.events, here.counts.forgotten) == (5, 2)


def test_the_counts_add_up():
    here = endpoint(mode="fail-first", every=2)
    for n in range(6):
        here.receive(signed(f"e{n}"), BODY, n)
        here.receive(signed(f"e{n}"), BODY, n)
    here.receive({}, BODY, 9)
    counts = here.counts
    assert (counts.accepted, counts.duplicates, counts.refused, counts.bad_signatures) == (6, 3, 3, 1)
    assert counts.requests == counts.accepted + counts.duplicates + counts.refused + counts.bad_signatures
