"""The delivery function on a real database, against real HTTP endpoints."""

import json
from collections.abc import Iterator

import pytest
from standardwebhooks.webhooks import Webhook

from functions.deliver import handler as deliver
from functions.deliver.outbound import PER_HOST
from functions.dispatch import handler as dispatch
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint, endpoint


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
        "UPDATE webhook.webhook_deliveries SET sweep_at = now(),"
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
    assert dispatch.handler({}, Context()) == {"deliveries": 0, "dead_letters": 0, "jobs": 0}
    make_due(service)
    assert dispatch.handler({}, Context())["deliveries"] == 1
    run(service)
    assert deliveries(service)[0]["status"] == "delivered"


def test_a_claim_whose_function_died_is_found_when_its_lease_ends(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    service.event()
    (record,) = service.messages()
    (pair,) = json.loads(record["body"])["deliveries"]
    from functions.deliver.claims import claim

    (taken,) = claim(dict([pair]), 60_000)
    assert deliveries(service)[0]["status"] == "delivering"
    assert claim(dict([pair]), 60_000) == []
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
    from functions.deliver import records

    monkeypatch.setattr(records, "_text", str)
    with endpoint() as evil:
        evil.body = b"\x00"
        service.webhook(url=receiver.url)
        service.webhook(url=evil.url)
        service.event()
        assert run(service) == {"batchItemFailures": []}
        assert [one["status"] for one in deliveries(service)] == ["delivered", "delivered"]
        bodies = [attempts(service, one)[0]["response_body"] for one in deliveries(service)]
        assert sorted(bodies, key=str) == [None, "ok"]


def test_recording_twice_changes_nothing(service: Service, receiver: Endpoint) -> None:
    """A commit whose answer was lost is tried again."""
    from functions.deliver import records

    service.webhook(url=receiver.url)
    service.event()
    written: list[list[dict]] = []
    original = records._write
    records._write = lambda rows: (written.append(rows), original(rows))[1]  # type: ignore[assignment]
    try:
        run(service)
    finally:
        records._write = original
    again = records.record(written[0])
    assert again.stale == 1
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
