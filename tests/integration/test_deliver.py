"""The delivery function on a real database, against real HTTP endpoints."""

import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from functions.deliver import handler as deliver
from functions.deliver.claims import Claim, Lane, claim
from functions.deliver.outbound import PER_HOST
from functions.deliver.unsent import set_aside
from functions.dispatch import handler as dispatch
from functions.domain.headers import HIDDEN
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.locks import while_waiting


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with endpoint() as here:
        yield here


def deliveries(service: Service, query: str = "") -> list[dict]:
    return service.client("GET", f"/v1/deliveries{query}").body["data"]


def attempts(service: Service, delivery: dict) -> list[dict]:
    return service.client("GET", f"/v1/deliveries/{delivery['id']}/attempts").body["data"]


def run(service: Service, queue: str = "delivery", **context: int) -> dict:
    return deliver.handler({"Records": service.messages(queue)}, Context(**context))


def make_due(service: Service) -> None:
    """As if the time had passed: retries, lost messages and leases are due now."""
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET sweep_at = now(), scheduled_at = least(scheduled_at, now()),"
        " lease_expires_at = CASE WHEN lease_expires_at IS NOT NULL THEN now() END WHERE sweep_at IS NOT NULL"
    )


def test_an_event_arrives_signed_with_the_bytes_that_postgres_holds(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, event_types=["invoice.*"])
    raw = '{"type":"invoice.paid","data":{"b": 1.10, "a": [12345678901234567890.123456789, "ü"], "b2":null}}'
    event = service.client("POST", "/v1/events", raw=raw, headers={"hookline-correlation-id": "order-7"}).body
    assert run(service) == {"batchItemFailures": []}
    (got,) = receiver.received
    assert json.loads(got.body)["a"][1] == "ü"
    assert b"12345678901234567890.123456789" in got.body
    assert b"1.10" in got.body
    secret = service.client("GET", f"/v1/webhooks/{webhook['id']}/secret").body["secret"]
    Webhook(secret).verify(got.body, got.headers)
    (delivery,) = deliveries(service)
    assert got.headers["webhook-id"] == event["id"]
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("Hookline/")
    assert got.headers["hookline-event-type"] == "invoice.paid"
    assert got.headers["hookline-delivery-id"] == delivery["id"]
    assert got.headers["hookline-attempt"] == "1"
    assert got.headers["hookline-correlation-id"] == "order-7"
    assert delivery["status"] == "delivered"
    assert delivery["attempts"] == 1
    assert delivery["last_response_status"] == 200
    assert delivery["delivered_at"]
    assert delivery["scheduled_at"] is None
    (attempt,) = attempts(service, delivery)
    assert attempt["response_body"] == "ok"
    assert attempt["remote_address"] == "127.0.0.1"
    assert attempt["request_headers"]["webhook-signature"] == got.headers["webhook-signature"]
    assert attempt["error"] is None


def test_a_failure_is_recorded_acknowledged_and_retried_with_the_same_id(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    service.event()
    receiver.status, receiver.body = 503, b"\x00down\xff"
    assert run(service) == {"batchItemFailures": []}
    (delivery,) = deliveries(service)
    assert delivery["status"] == "pending"
    assert delivery["attempts"] == 1
    assert delivery["last_error"] == {"code": "http_status", "message": "the endpoint answered 503"}
    assert delivery["scheduled_at"] > delivery["last_attempt_at"]
    assert attempts(service, delivery)[0]["response_body"] == "\ufffddown\ufffd"
    receiver.status = 200
    make_due(service)
    dispatch.handler({}, Context())
    run(service, "retry")
    (delivery,) = deliveries(service)
    assert delivery["status"] == "delivered"
    assert delivery["attempts"] == 2
    first, second = receiver.received
    assert first.headers["webhook-id"] == second.headers["webhook-id"]
    assert first.body == second.body
    assert second.headers["hookline-attempt"] == "2"


def test_a_near_retry_is_on_the_queue_already(service: Service, receiver: Endpoint) -> None:
    """The first retry comes after 5 to 10 s, without waiting for dispatch."""
    service.webhook(url=receiver.url)
    service.event()
    receiver.status = 500
    run(service)
    waiting = service.sqs.get_queue_attributes(
        QueueUrl=settings().retry_queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"


def test_stale_and_repeated_messages_do_nothing(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    records = service.messages()
    deliver.handler({"Records": records}, Context())
    deliver.handler({"Records": records}, Context())
    assert len(receiver.received) == 1
    assert deliveries(service)[0]["attempts"] == 1


def test_a_message_that_was_never_sent_is_sent_by_dispatch(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    service.messages()
    counts = {"deliveries": 0, "lines": 0, "dead_letters": 0, "jobs": 0, "disabled": 0}
    assert dispatch.handler({}, Context()) == counts
    make_due(service)
    assert dispatch.handler({}, Context())["deliveries"] == 1
    run(service)
    assert deliveries(service)[0]["status"] == "delivered"


def test_a_claim_whose_function_died_is_found_when_its_lease_ends(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    (record,) = service.messages()
    (pair,) = json.loads(record["body"])["deliveries"]
    (taken,) = claim(dict([pair]), 60_000, Lane.FRESH, {}).claims
    assert deliveries(service)[0]["status"] == "delivering"
    assert claim(dict([pair]), 60_000, Lane.FRESH, {}).claims == []
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() WHERE sweep_at IS NOT NULL")
    assert dispatch.handler({}, Context())["deliveries"] == 0, "a lease that still runs is left alone"
    make_due(service)
    assert dispatch.handler({}, Context())["deliveries"] == 1
    run(service)
    assert deliveries(service)[0]["status"] == "delivered"
    assert taken.token == 2


def test_what_there_is_no_time_for_goes_back_without_using_an_attempt(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    service.event()
    run(service, remaining_ms=5_000)
    assert receiver.received == []
    (delivery,) = deliveries(service)
    assert delivery["status"] == "pending"
    assert delivery["attempts"] == 0
    make_due(service)
    dispatch.handler({}, Context())
    run(service)
    assert deliveries(service)[0]["attempts"] == 1


def test_an_exhausted_delivery_dies_through_its_queue_and_reopens_when_redriven(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    receiver.status = 500
    assert run(service) == {"batchItemFailures": []}
    (delivery,) = deliveries(service)
    assert delivery["status"] == "failed"
    (dead,) = service.messages("retry")
    first = deliver.handler({"Records": [dead]}, Context())
    again = deliver.handler({"Records": [dead]}, Context())
    assert first == again == {"batchItemFailures": [{"itemIdentifier": dead["messageId"]}]}
    redriven = {**dead, "messageId": "another"}
    receiver.status = 200
    assert deliver.handler({"Records": [redriven]}, Context()) == {"batchItemFailures": []}
    ((letter, by),) = service.sql.run("SELECT status, resolved_by FROM webhook.webhook_dlq")
    assert (letter, by) == ("resolved", "queue")
    assert deliver.handler({"Records": [redriven]}, Context()) == {"batchItemFailures": []}, "a stray duplicate"
    run(service, "retry")
    (delivery,) = deliveries(service)
    assert delivery["status"] == "delivered"
    assert (delivery["attempts"], delivery["max_attempts"]) == (2, 2)


def test_a_dead_letter_whose_message_was_lost_gets_another(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    receiver.status = 500
    run(service)
    (lost,) = service.messages("retry")
    service.sql.run("UPDATE webhook.webhook_dlq SET sweep_at = now()")
    assert dispatch.handler({}, Context())["dead_letters"] == 1
    (another,) = service.messages("retry")
    assert deliver.handler({"Records": [lost]}, Context()) == {"batchItemFailures": []}, "the lost one is stale"
    failed = deliver.handler({"Records": [another]}, Context())
    assert failed == {"batchItemFailures": [{"itemIdentifier": another["messageId"]}]}


@pytest.mark.parametrize(
    "body", ["", "{}", "[]", "nonsense", '{"v":2,"deliveries":[]}', '{"v":1,"deliveries":[["x",1]]}']
)
def test_a_foreign_message_fails_alone(service: Service, receiver: Endpoint, body: str) -> None:
    service.webhook(url=receiver.url)
    service.event()
    (ours,) = service.messages()
    foreign = {**ours, "messageId": "foreign", "body": body}
    failed = deliver.handler({"Records": [foreign, ours]}, Context())
    assert failed == {"batchItemFailures": [{"itemIdentifier": "foreign"}]}
    assert len(receiver.received) == 1


def test_nothing_is_sent_to_a_deleted_webhook(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204
    run(service)
    assert receiver.received == []
    (delivery,) = deliveries(service)
    assert delivery["status"] == "failed"
    assert delivery["last_error"]["code"] == "webhook_deleted"


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


def test_an_answer_the_database_will_not_take_keeps_nothing_else_back(
    service: Service, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever an endpoint may find to send: its own delivery is recorded without it, the others in full."""
    from functions.deliver import evidence

    monkeypatch.setattr(evidence, "_text", str)
    with endpoint() as evil:
        evil.body = b"\x00"
        service.webhook(url=receiver.url)
        service.webhook(url=evil.url)
        service.event()
        assert run(service) == {"batchItemFailures": []}
        assert [one["status"] for one in deliveries(service)] == ["delivered", "delivered"]
        bodies = [attempts(service, one)[0]["response_body"] for one in deliveries(service)]
        assert sorted(bodies, key=str) == [None, "ok"]


def test_recording_twice_changes_nothing(
    service: Service, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit whose answer was lost is tried again."""
    from functions.deliver import invocation, records

    service.webhook(url=receiver.url)
    service.event()
    written: list[list[records.Result]] = []
    original = records.record
    monkeypatch.setattr(
        invocation, "record", lambda results, ended: (written.append(results), original(results))[1]
    )
    run(service)
    (delivery,) = deliveries(service)
    assert records.record(written[0]).stale == {delivery["id"]}
    (delivery,) = deliveries(service)
    assert delivery["attempts"] == 1
    assert len(attempts(service, delivery)) == 1


def test_a_database_that_restarts_meanwhile_is_waited_for(
    service: Service, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.adapters import database

    monkeypatch.setattr(database, "PAUSES_SECONDS", (0.01, 0.01))
    service.webhook(url=receiver.url)
    service.event()

    def cut_all_connections() -> None:
        service.sql.run(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

    receiver.before = cut_all_connections
    assert run(service) == {"batchItemFailures": []}
    assert deliveries(service)[0]["status"] == "delivered"


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


def test_health_counts_failures_in_a_row(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    receiver.status = 500
    for _ in range(2):
        service.event()
        run(service)
    path = f"/v1/webhooks/{webhook['id']}"
    assert service.client("GET", path).body["failure_count"] == 2
    receiver.status = 200
    service.event()
    run(service)
    healed = service.client("GET", path).body
    assert healed["failure_count"] == 0
    assert healed["last_success_at"]
    assert healed["last_failure_at"]


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
    service.sql.run(f"UPDATE webhook.webhooks SET {spoilt} WHERE id = :id", id=broken["id"])
    service.event()
    assert run(service) == {"batchItemFailures": []}
    assert sorted((one["status"], one["attempts"]) for one in deliveries(service)) == [
        ("delivered", 1),
        ("pending", 0),
    ]


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


def seconds_to_wait(service: Service) -> list[float]:
    (waited,) = service.sql.run(
        "SELECT extract(epoch FROM scheduled_at - last_attempt_at), extract(epoch FROM sweep_at - scheduled_at)"
        " FROM webhook.webhook_deliveries"
    )
    return [float(seconds) for seconds in waited]


@pytest.mark.parametrize(
    ("strategy", "seconds"),
    [
        ({"kind": "fixed", "delay_seconds": 7}, [7, 7]),
        ({"kind": "linear", "step_seconds": 40}, [40, 80]),
        ({"kind": "custom", "delays_seconds": [3, 500]}, [3, 500]),
        ({"kind": "exponential", "initial_seconds": 2, "factor": 3, "jitter": False}, [2, 6]),
    ],
)
def test_retries_wait_as_the_webhooks_strategy_says(
    service: Service, receiver: Endpoint, strategy: dict, seconds: list[int]
) -> None:
    service.webhook(url=receiver.url, retry_strategy=strategy)
    service.event()
    receiver.status = 500
    run(service)
    assert seconds_to_wait(service)[0] == pytest.approx(seconds[0], abs=1)
    make_due(service)
    dispatch.handler({}, Context())
    run(service, "retry")
    assert seconds_to_wait(service)[0] == pytest.approx(seconds[1], abs=1)


@pytest.mark.parametrize(
    "stored",
    ['{"kind": "custom"}', '{"kind": "fixed", "delay_seconds": "soon"}', '{"kind": "linear", "step_seconds": -1}'],
)
def test_a_strategy_that_is_not_usable_is_the_default_and_keeps_no_other_webhook_back(
    service: Service, receiver: Endpoint, stored: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = service.webhook(url=receiver.url)
    service.webhook(url=receiver.url)
    service.sql.run(
        "UPDATE webhook.webhooks SET retry_strategy = CAST(:s AS jsonb) WHERE id = :id", s=stored, id=broken["id"]
    )
    service.event()
    receiver.status = 500
    assert run(service) == {"batchItemFailures": []}
    waits = [
        row[0] for row in service.sql.run("SELECT scheduled_at - last_attempt_at FROM webhook.webhook_deliveries")
    ]
    assert all(4 < wait.total_seconds() <= 12 for wait in waits)
    assert "retry strategy not usable" in caplog.text


def test_a_redriven_delivery_starts_its_schedule_anew(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, max_attempts=2, retry_strategy={"kind": "linear", "step_seconds": 100})
    service.event()
    receiver.status = 500
    run(service)
    make_due(service)
    dispatch.handler({}, Context())
    run(service, "retry")
    (dead,) = service.messages("retry")
    deliver.handler({"Records": [dead]}, Context())
    deliver.handler({"Records": [{**dead, "messageId": "redriven"}]}, Context())
    run(service, "retry")
    (delivery,) = deliveries(service)
    assert (delivery["attempts"], delivery["max_attempts"]) == (3, 4)
    assert seconds_to_wait(service)[0] == pytest.approx(100, abs=1)


def failed_at(service: Service) -> list[bool]:
    """For every delivery, that is: whether it is failed exactly when it has the time of that."""
    return [
        failed == (at is not None)
        for failed, at in service.sql.run("SELECT status = 'failed', failed_at FROM webhook.webhook_deliveries")
    ]


def test_the_time_of_failure_is_there_while_a_delivery_is_failed(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, max_attempts=1, event_types=["a"])
    gone = service.webhook(url=receiver.url, event_types=["b"])
    service.event(type="a")
    service.event(type="b")
    service.client("DELETE", f"/v1/webhooks/{gone['id']}")
    receiver.status = 500
    run(service)
    assert [one["status"] for one in deliveries(service)] == ["failed", "failed"]
    assert failed_at(service) == [True, True]
    (dead,) = service.messages("retry")
    deliver.handler({"Records": [dead]}, Context())
    deliver.handler({"Records": [{**dead, "messageId": "redriven"}]}, Context())
    assert sorted(one["status"] for one in deliveries(service)) == ["failed", "pending"]
    assert failed_at(service) == [True, True]
    receiver.status = 200
    run(service, "retry")
    assert deliveries(service, f"?webhook_id={webhook['id']}")[0]["status"] == "delivered"
    assert failed_at(service) == [True, True]


def test_a_dead_letter_says_of_which_application_and_type_it_is(service: Service, receiver: Endpoint) -> None:
    application = service.client("POST", "/v1/applications", {"name": "Acme", "uid": "acme"}).body["id"]
    service.webhook(url=receiver.url, max_attempts=1, application_id="acme")
    service.event(application_id="acme")
    receiver.status = 500
    run(service)
    rows = service.sql.run("SELECT application_id, event_type FROM webhook.webhook_dlq")
    assert [[str(bound), type] for bound, type in rows] == [[application, "invoice.paid"]]


def test_a_test_event_that_fails_leaves_no_dead_letter(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    service.sql.run("UPDATE webhook.webhook_deliveries SET event_type = 'hookline.test'")
    receiver.status = 500
    run(service)
    assert deliveries(service)[0]["status"] == "failed"
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_dlq") == [[0]]
    assert service.messages("retry") == []


def test_an_event_whose_payload_is_expunged_is_not_sent(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    service.sql.run("UPDATE webhook.webhook_events SET data = NULL, expunged_at = now()")
    assert run(service) == {"batchItemFailures": []}
    assert receiver.received == []
    (delivery,) = deliveries(service)
    assert (delivery["status"], delivery["attempts"]) == ("failed", 0)
    assert delivery["last_error"]["code"] == "payload_expunged"
    assert failed_at(service) == [True]


HELD = "SELECT status, attempts, sweep_at = 'infinity' FROM webhook.webhook_deliveries"


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_deliveries_of_a_webhook_that_is_not_active_are_held_without_an_attempt(
    service: Service, receiver: Endpoint, status: str
) -> None:
    webhook = service.webhook(url=receiver.url, event_types=["a"])
    service.webhook(url=receiver.url, event_types=["b"])
    service.event(type="a")
    service.event(type="b")
    service.sql.run("UPDATE webhook.webhooks SET status = :s WHERE id = :id", s=status, id=webhook["id"])
    records = service.messages()
    assert deliver.handler({"Records": records}, Context()) == {"batchItemFailures": []}
    assert [got.headers["hookline-event-type"] for got in receiver.received] == ["b"]
    assert sorted(service.sql.run(HELD), key=str) == [["delivered", 1, None], ["pending", 0, True]]
    (held,) = deliveries(service, "?event_type=a")
    assert held["status"] == "pending"
    assert held["scheduled_at"] is not None
    assert dispatch.handler({}, Context())["deliveries"] == 0
    deliver.handler({"Records": records}, Context())
    assert len(receiver.received) == 1, "the message that was held is stale"
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/resume", {}).status == 200
    run(service, "retry")
    assert {one["status"] for one in deliveries(service)} == {"delivered"}


def test_a_delivery_is_not_held_when_its_webhook_is_resumed_at_the_last_moment(
    service: Service, receiver: Endpoint
) -> None:
    """Claimed while paused; resumed, and everything held given back, before it was held: it must not be missed."""
    service.webhook(url=receiver.url)
    service.event()
    service.sql.run("UPDATE webhook.webhooks SET status = 'paused'")
    claims = claimed(service)
    while_waiting(service, "UPDATE webhook.webhooks SET status = 'active'", lambda: set_aside(claims))
    assert service.sql.run(HELD) == [["pending", 0, False]]
    assert dispatch.handler({}, Context())["deliveries"] == 1
    run(service)
    assert deliveries(service)[0]["status"] == "delivered"


def test_a_delivery_is_not_held_for_ever_when_its_webhook_is_deleted_at_the_last_moment(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    service.event()
    service.sql.run("UPDATE webhook.webhooks SET status = 'paused'")
    claims = claimed(service)
    while_waiting(
        service, "UPDATE webhook.webhooks SET deleted_at = now(), credentials = NULL", lambda: set_aside(claims)
    )
    assert service.sql.run(HELD) == [["pending", 0, False]]
    dispatch.handler({}, Context())
    run(service)
    assert deliveries(service)[0]["last_error"]["code"] == "webhook_deleted"


def test_a_webhook_that_is_being_paused_waits_for_what_is_being_held(service: Service, receiver: Endpoint) -> None:
    """The other half: whoever changes the status after a hold has begun, comes after it and finds what it held."""
    webhook = service.webhook(url=receiver.url)
    service.event()
    service.sql.run("UPDATE webhook.webhooks SET status = 'paused'")
    set_aside(claimed(service))
    path = f"/v1/webhooks/{webhook['id']}/resume"
    resumed = while_waiting(
        service, "SELECT id FROM webhook.webhooks FOR SHARE", lambda: service.client("POST", path, {})
    )
    assert (resumed.status, resumed.body["released"]) == (200, 1)


def claimed(service: Service) -> list[Claim]:
    (record,) = service.messages()
    return claim(dict(json.loads(record["body"])["deliveries"]), 60_000, Lane.FRESH, {}).claims
