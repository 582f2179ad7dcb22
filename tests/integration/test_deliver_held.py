"""Deliveries that are not sent: their webhook waits or is gone, or their payload is."""

import json

import pytest

from functions.deliver import handler as deliver
from functions.deliver.claims import Claim, Lane, claim
from functions.deliver.unsent import set_aside
from functions.dispatch import handler as dispatch
from tests.integration.conftest import Context, Service
from tests.integration.deliver_scene import deliveries, failed_at, run
from tests.integration.endpoint import Endpoint
from tests.integration.locks import while_waiting

HELD = "SELECT status, attempts, sweep_at = 'infinity' FROM webhook.webhook_deliveries"


def test_nothing_is_sent_to_a_deleted_webhook(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204
    run(service)
    assert receiver.received == []
    (delivery,) = deliveries(service)
    assert delivery["status"] == "failed"
    assert delivery["last_error"]["code"] == "webhook_deleted"


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


@pytest.mark.parametrize("gone", [1, 2])
def test_an_event_that_left_the_database_fails_its_own_delivery_and_no_other(
    service: Service, receiver: Endpoint, gone: int
) -> None:
    service.webhook(url=receiver.url)
    events = [{"type": "invoice.paid", "data": {"n": n}} for n in range(2)]
    sent = service.client("POST", "/v1/events/batch", {"events": events}).body["data"]
    for event in sent[:gone]:
        service.sql.run("DELETE FROM webhook.webhook_events WHERE id = :id", id=event["id"])
    assert run(service) == {"batchItemFailures": []}
    assert [got.headers["webhook-id"] for got in receiver.received] == [event["id"] for event in sent[gone:]]
    for event in sent[:gone]:
        (delivery,) = deliveries(service, f"?event_id={event['id']}")
        assert (delivery["status"], delivery["attempts"]) == ("failed", 0)
        assert delivery["last_error"]["code"] == "event_gone"
    assert failed_at(service) == [True, True]
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_dlq") == [[0]]


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
