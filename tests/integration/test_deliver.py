"""The delivery function on a real database, against real HTTP endpoints."""

import json

import pytest
from standardwebhooks.webhooks import Webhook

from functions.deliver import handler as deliver
from functions.deliver.claims import Lane, claim
from functions.dispatch import handler as dispatch
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.deliver_scene import attempts, deliveries, make_due, run
from tests.integration.endpoint import Endpoint, endpoint


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
    counts = dict.fromkeys(("deliveries", "lines", "dead_letters", "jobs", "rescrapes", "disabled"), 0)
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
