"""Deliveries that fail: when they are tried again, and what is left of them."""

import pytest

from functions.deliver import handler as deliver
from functions.dispatch import handler as dispatch
from tests.integration.conftest import Context, Service
from tests.integration.deliver_scene import deliveries, failed_at, make_due, run, without_rules
from tests.integration.endpoint import Endpoint


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
    without_rules(service, "webhooks", "webhooks_retry_strategy_fields", "webhooks_retry_strategy_values")
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
