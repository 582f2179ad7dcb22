"""What is sent: headers, credentials, addresses, and how much at a time."""

import pytest

from functions.deliver.outbound import PER_HOST
from functions.dispatch import handler as dispatch
from functions.domain.headers import HIDDEN
from tests.integration.conftest import Context, Service
from tests.integration.deliver_scene import attempts, deliveries, make_due, run, without_rules
from tests.integration.endpoint import Endpoint, endpoint


def test_a_request_carries_custom_headers_and_authorization_and_the_record_hides_them(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(
        url=receiver.url,
        headers={"X-Tenant": "acme", "X-Api-Key": "k-123", "x-thing": "Bearer b-456"},
        auth={"type": "bearer", "token": "t-789"},
    )
    service.event()
    run(service)
    (got,) = receiver.received
    assert got.headers["x-tenant"] == "acme"
    assert got.headers["x-api-key"] == "k-123"
    assert got.headers["x-thing"] == "Bearer b-456"
    assert got.headers["authorization"] == "Bearer t-789"
    (attempt,) = attempts(service, deliveries(service)[0])
    recorded = attempt["request_headers"]
    assert recorded["X-Tenant"] == "acme"
    assert {recorded[name] for name in ("X-Api-Key", "x-thing", "authorization")} == {HIDDEN}
    assert recorded["webhook-signature"] == got.headers["webhook-signature"]
    stored = str(service.sql.run("SELECT a::text FROM webhook.webhook_delivery_attempts a"))
    assert not any(secret in stored for secret in ("k-123", "b-456", "t-789"))


def test_basic_credentials_and_a_header_of_ones_own_for_authorization(
    service: Service, receiver: Endpoint
) -> None:
    auth = {"type": "basic", "username": "Aladdin", "password": "open sesame"}
    service.webhook(url=receiver.url, auth=auth, event_types=["a"])
    service.webhook(url=receiver.url, headers={"Authorization": "Token t"}, event_types=["b"])
    for type in ("a", "b"):
        service.event(type=type)
        run(service)
    sent = [got.headers["authorization"] for got in receiver.received]
    assert sent == ["Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "Token t"]
    recorded = [attempts(service, one)[0]["request_headers"] for one in deliveries(service)]
    assert [{name.lower(): value for name, value in one.items()}["authorization"] for one in recorded] == [
        HIDDEN
    ] * 2


def test_nothing_stored_can_stand_for_a_header_of_hooklines_own(service: Service, receiver: Endpoint) -> None:
    """Were a reserved name ever stored, by an older version or by hand."""
    service.webhook(url=receiver.url, headers={"x-tenant": "acme"})
    forged = '{"x-tenant": "acme", "Webhook-Id": "forged", "Content-Type": "text/plain", "Host": "evil"}'
    service.sql.run("UPDATE webhook.webhooks SET headers = CAST(:forged AS jsonb)", forged=forged)
    event = service.event()
    run(service)
    (got,) = receiver.received
    assert got.headers["webhook-id"] == event["id"]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["host"].startswith("127.0.0.1")
    assert got.headers["x-tenant"] == "acme"


def test_a_webhook_is_only_reached_at_the_addresses_it_allows(service: Service, receiver: Endpoint) -> None:
    """Two webhooks of one host: the one that may not go there does not ride on the other's open connection."""
    service.webhook(url=receiver.url, event_types=["first"])
    service.webhook(url=receiver.url, event_types=["second"], ip_allowlist=["198.51.100.0/24"])
    service.webhook(url=receiver.url, event_types=["third"], ip_allowlist=["198.51.100.0/24", "127.0.0.0/8"])
    for type in ("first", "second", "third"):
        service.event(type=type)
        run(service)
    third, second, first = deliveries(service)
    assert (first["status"], third["status"]) == ("delivered", "delivered")
    assert second["last_error"]["code"] == "address_not_in_allowlist"
    assert (second["status"], second["attempts"]) == ("pending", 1)
    assert [got.headers["hookline-event-type"] for got in receiver.received] == ["first", "third"]


def test_a_host_gets_no_more_than_its_share_at_a_time_and_others_do_not_wait_for_it(
    service: Service, receiver: Endpoint
) -> None:
    import threading
    import time

    lock, now, most = threading.Lock(), 0, 0

    def slowly() -> None:
        nonlocal now, most
        with lock:
            now, most = now + 1, max(most, now + 1)
        time.sleep(0.05)
        with lock:
            now -= 1

    receiver.before = slowly
    with endpoint() as another:
        service.webhook(url=receiver.url, event_types=["many"])
        service.webhook(url=another.url, event_types=["few"])
        events = [{"type": "many", "data": n} for n in range(150)] + [{"type": "few", "data": n} for n in range(5)]
        service.client("POST", "/v1/events/batch", {"events": events})
        run(service)
        assert len(another.received) == 5
    assert len(receiver.received) == 150
    assert 1 < most <= PER_HOST
    left = service.client("GET", "/v1/deliveries?status=pending").body["data"]
    assert left == []


@pytest.mark.parametrize(
    ("url", "code"),
    [
        ("http://127.0.0.1:1/", "connection_failed"),
        ("http://name.invalid/", "dns_error"),
        ("http://2130706433:80/", "connection_failed"),
        ("http://10.1:80/", "address_refused"),
        ("http://[::ffff:10.0.0.1]/", "address_refused"),
    ],
)
def test_what_cannot_or_may_not_be_reached_has_a_code(service: Service, url: str, code: str) -> None:
    webhook = service.webhook()
    service.sql.run("UPDATE webhook.webhooks SET url = :url WHERE id = :id", url=url, id=webhook["id"])
    service.event()
    run(service)
    assert deliveries(service)[0]["last_error"]["code"] == code


def test_a_redirect_is_a_failure_and_not_followed(service: Service, receiver: Endpoint) -> None:
    with endpoint() as elsewhere:
        service.webhook(url=receiver.url)
        service.event()
        receiver.status, receiver.headers = 302, {"location": elsewhere.url}
        run(service)
        assert elsewhere.received == []
    assert deliveries(service)[0]["last_response_status"] == 302


def test_a_long_response_is_cut_and_its_status_counts(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    receiver.body = b"x" * 1_000_000
    run(service)
    (delivery,) = deliveries(service)
    assert delivery["status"] == "delivered"
    assert len(attempts(service, delivery)[0]["response_body"]) == 16 << 10


@pytest.mark.parametrize(
    "spoilt",
    [
        "credentials = ''",
        "credentials = decode(repeat('00', 64), 'hex')",
        """headers = '{"x-api-key": null}'""",
        """headers = '{"x-api-key": null}', credentials = NULL, auth_type = 'none'""",
        "signing_algorithm = 'ed25519'",
        "signing_secret = ''",
    ],
)
def test_secrets_that_cannot_be_used_use_up_no_attempt_and_keep_no_other_webhook_back(
    service: Service, receiver: Endpoint, spoilt: str
) -> None:
    secret = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"  # 24 bytes: no ed25519 seed
    broken = service.webhook(url=receiver.url, auth={"type": "bearer", "token": "t"}, secret=secret)
    service.webhook(url=receiver.url)
    without_rules(service, "webhooks", "webhooks_hidden_headers_have_credentials", "webhooks_signs_while_it_lives")
    service.sql.run(f"UPDATE webhook.webhooks SET {spoilt} WHERE id = :id", id=broken["id"])
    service.event()
    assert run(service) == {"batchItemFailures": []}
    assert sorted((one["status"], one["attempts"]) for one in deliveries(service)) == [
        ("delivered", 1),
        ("pending", 0),
    ]


def test_while_kms_is_away_deliveries_wait_and_use_no_attempt(
    service: Service, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.adapters import vault

    service.webhook(url=receiver.url)
    service.event()
    monkeypatch.setenv("AWS_ENDPOINT_URL_KMS", "http://127.0.0.1:1")
    vault._plain_keys.clear()
    vault._kms.cache_clear()
    assert run(service) == {"batchItemFailures": []}
    refused = service.client("POST", "/v1/webhooks", {"name": "n", "url": receiver.url})
    assert (refused.status, refused.body["error"]["code"]) == (503, "unavailable")
    (delivery,) = deliveries(service)
    assert (delivery["status"], delivery["attempts"]) == ("pending", 0)
    monkeypatch.delenv("AWS_ENDPOINT_URL_KMS")
    monkeypatch.setattr(vault, "_away_until", 0.0)
    vault._kms.cache_clear()
    make_due(service)
    dispatch.handler({}, Context())
    run(service)
    assert deliveries(service)[0]["status"] == "delivered"
