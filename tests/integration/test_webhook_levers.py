"""Levers on one webhook: recovering it, the window that a lever reaches, test events."""

from typing import Any

import pytest

from tests.integration.conftest import Service
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import (
    ago,
    audited,
    bound_client,
    delivery,
    failed,
    job,
    run,
    sent,
    start,
    work,
)

UNKNOWN = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def test_a_webhook_is_recovered_since_a_time(service: Service) -> None:
    webhook, other = service.webhook(), service.webhook()
    old, *recent = failed(service, webhook, 4)
    failed(service, other, 2)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET created_at = now() - interval '2 hours' WHERE id = :id", id=old
    )
    started = start(service, f"/v1/webhooks/{webhook['id']}/recover", {"since": ago(hours=1)})
    assert (started["kind"], started["total"]) == ("recover", 3)
    work(service)
    assert set(sent(service)) == set(recent)
    assert job(service, started["id"])["changed"] == 3
    (entry,) = audited(service, "webhook.recovered")
    assert (entry["resource"]["id"], entry["after"]["id"]) == (webhook["id"], started["id"])
    ((resolved,),) = service.sql.run("SELECT count(*) FROM webhook.webhook_dlq WHERE status = 'resolved'")
    assert resolved == 3


@pytest.mark.parametrize("lever", ["recover", "replay-missing"])
def test_a_window_is_in_the_past_not_empty_and_90_days_at_most(service: Service, lever: str) -> None:
    path = f"/v1/webhooks/{service.webhook()['id']}/{lever}"
    for body, wrong in (
        ({}, "since"),
        ({"since": None}, "since"),
        ({"since": "2999-01-01T00:00:00Z"}, "since"),
        ({"since": ago(days=91)}, "since"),
        ({"since": ago(hours=1), "until": ago(hours=2)}, "until"),
        ({"since": ago(hours=1), "until": "2026-01-01T00:00:00"}, "until"),
        ({"since": ago(hours=1), "unknown": 1}, "unknown"),
    ):
        answer = service.client("POST", path, body)
        assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, wrong), body
    assert service.client("POST", path, {"since": ago(days=90)}).status == 202
    assert service.client("POST", path, {"since": ago(hours=1), "until": "2999-01-01T00:00:00Z"}).status == 202


@pytest.mark.parametrize("lever", ["recover", "replay-missing"])
def test_a_disabled_webhook_is_resumed_before_it_is_caught_up(service: Service, lever: str) -> None:
    webhook = service.webhook()
    service.sql.run("UPDATE webhook.webhooks SET status = 'disabled'")
    answer = service.client("POST", f"/v1/webhooks/{webhook['id']}/{lever}", {"since": ago(hours=1)})
    assert (answer.status, answer.body["error"]["message"]) == (409, "the webhook is disabled: resume it first")


@pytest.mark.parametrize(
    ("lever", "body"),
    [
        ("pause", {}),
        ("resume", {}),
        ("test", {}),
        ("recover", {"since": "2026-11-01T00:00:00Z"}),
        ("replay-missing", {"since": "2026-11-01T00:00:00Z"}),
    ],
)
def test_a_lever_on_a_webhook_honours_if_match_and_reach(
    service: Service, new_project: Any, lever: str, body: dict
) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}/{lever}"
    body = {**body, "since": ago(hours=1)} if body else body
    assert service.client("POST", path, body, headers={"if-match": '"7"'}).status == 412
    _, stranger = new_project()
    _, bound = bound_client(service)
    _, reader = new_project("webhooks:read", "deliveries:read")
    assert stranger("POST", path, body).status == 404
    assert bound("POST", path, body).status == 404
    assert reader("POST", path, body).status == 403
    assert service.client("POST", f"/v1/webhooks/{UNKNOWN}/{lever}", body).status == 404
    assert service.client("POST", f"/v1/webhooks/x/{lever}", body).status == 404
    assert service.client("POST", path, body, headers={"if-match": '"1"'}).status in {200, 202}
    service.client("DELETE", f"/v1/webhooks/{webhook['id']}")
    assert service.client("POST", path, body).status == 404


def test_a_test_event_goes_to_this_webhook_alone_and_once(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, event_types=["nothing.else"])
    service.webhook(url=receiver.url)
    answer = service.client("POST", f"/v1/webhooks/{webhook['id']}/test")
    assert answer.status == 202
    made = delivery(service, answer.body["delivery_id"])
    assert (made["webhook_id"], made["event_id"]) == (webhook["id"], answer.body["event_id"])
    assert (made["event_type"], made["max_attempts"]) == ("hookline.test", 1)
    receiver.status = 500
    run(service)
    (got,) = receiver.received
    assert got.headers["hookline-event-type"] == "hookline.test"
    assert got.headers["webhook-id"] == answer.body["event_id"]
    assert delivery(service, made["id"])["status"] == "failed"
    assert service.client("GET", "/v1/dead-letters").body["data"] == []
    (entry,) = audited(service, "webhook.tested")
    assert entry["after"] == answer.body


def test_a_test_event_may_look_like_any_other_to_the_endpoint(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    raw = '{"type": "invoice.paid", "data": {"amount": 12345678901234567890.10}}'
    answer = service.client("POST", f"/v1/webhooks/{webhook['id']}/test", raw=raw)
    run(service)
    (got,) = receiver.received
    assert got.headers["hookline-event-type"] == "invoice.paid"
    assert got.body == b'{"amount": 12345678901234567890.10}'
    assert delivery(service, answer.body["delivery_id"])["event_type"] == "hookline.test"
    receiver.received.clear()
    service.client("POST", f"/v1/webhooks/{webhook['id']}/test", {"data": None})
    run(service)
    assert receiver.received[0].body == b"null"


def test_a_test_event_is_bounded_and_only_for_an_active_webhook(service: Service) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}/test"
    for body, status in (
        ({"type": "hookline.webhook.disabled"}, 422),
        ({"type": "not a name"}, 422),
        ({"type": "x" * 256}, 422),
        ({"type": 1}, 422),
        ({"unknown": 1}, 422),
        ({"data": "x" * (256 << 10)}, 413),
        ({"data": "x\x00"}, 422),
        ({"type": "hookline.test"}, 202),
    ):
        assert service.client("POST", path, body).status == status, body
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    answer = service.client("POST", path)
    assert (answer.status, answer.body["error"]["message"]) == (409, "the webhook is paused: resume it first")


def test_a_test_is_sent_once_for_an_idempotency_key(service: Service) -> None:
    webhook = service.webhook()
    key = {"idempotency-key": "t"}
    first, again = (service.client("POST", f"/v1/webhooks/{webhook['id']}/test", headers=key) for _ in range(2))
    assert first.body == again.body
    assert len(sent(service, "delivery")) == 1
