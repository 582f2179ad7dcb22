"""Retrying deliveries by hand: one, or those that a query means."""

from typing import Any

import pytest
from sqlalchemy import Connection, text

from functions.deliver import handler as deliver
from functions.domain import reopening
from functions.domain.jobs import MAX_ATTEMPTS
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import (
    DEAD,
    ago,
    audited,
    bound_client,
    dead_letter_of,
    delivery,
    dispatch_all,
    failed,
    held,
    job,
    run,
    sent,
    start,
    states,
    tokens,
    waiting,
    work,
)

UNKNOWN = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def retry(service: Service, id: str, **options: Any) -> Any:
    return service.client("POST", f"/v1/deliveries/{id}/retry", **options)


def test_a_failed_delivery_is_tried_again_with_a_fresh_budget(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, max_attempts=3)
    (id,) = failed(service, webhook)
    answer = retry(service, id)
    assert answer.status == 200
    assert (answer.body["status"], answer.body["attempts"], answer.body["max_attempts"]) == ("pending", 2, 5)
    assert answer.body == delivery(service, id)
    letter = service.client("GET", f"/v1/dead-letters/{dead_letter_of(service, id)}").body
    assert (letter["status"], letter["resolved_by"]) == ("resolved", webhook["created_by"])
    (entry,) = audited(service, "delivery.retried")
    assert (entry["before"]["status"], entry["after"]) == ("failed", answer.body)
    assert (entry["level"], entry["resource"]["id"]) == ("warning", id)
    run(service, "retry")
    assert delivery(service, id)["status"] == "delivered"
    assert len(receiver.received) == 1


def test_a_retry_whose_message_is_lost_is_found_by_dispatch(service: Service, receiver: Endpoint) -> None:
    (id,) = failed(service, service.webhook(url=receiver.url))
    retry(service, id)
    service.messages("retry")
    assert dispatch_all(service)["deliveries"] == 1
    run(service, "retry")
    assert delivery(service, id)["status"] == "delivered"


def test_a_waiting_delivery_is_due_now_and_its_older_message_is_stale(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    service.event()
    older = service.messages()
    ((id,),) = service.sql.run("SELECT id FROM webhook.webhook_deliveries")
    before = delivery(service, str(id))
    answer = retry(service, str(id))
    assert (answer.status, answer.body["status"]) == (200, "pending")
    assert answer.body["scheduled_at"] > before["scheduled_at"]
    deliver.handler({"Records": older}, Context())
    assert receiver.received == []
    run(service, "retry")
    assert len(receiver.received) == 1


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "UPDATE webhook.webhook_deliveries SET failed_at = NULL, status = 'delivered', delivered_at = now()",
            "replay its event",
        ),
        (
            "UPDATE webhook.webhook_deliveries SET failed_at = NULL, status = 'delivering', sweep_at = now(),"
            " lease_expires_at = now()",
            "being delivered",
        ),
        ("UPDATE webhook.webhooks SET deleted_at = now()", "deleted"),
        ("UPDATE webhook.webhook_events SET data = NULL, expunged_at = now()", "expunged"),
        ("DELETE FROM webhook.webhook_events", "not kept"),
        (
            f"UPDATE webhook.webhook_deliveries SET attempts = {MAX_ATTEMPTS}, max_attempts = {MAX_ATTEMPTS}",
            "often",
        ),
    ],
)
def test_what_cannot_be_retried_is_409_and_says_why(service: Service, change: str, said: str) -> None:
    (id,) = failed(service, service.webhook())
    service.sql.run(change)
    before = service.sql.run("SELECT * FROM webhook.webhook_deliveries")
    answer = retry(service, id)
    assert answer.status == 409
    assert said in answer.body["error"]["message"]
    assert service.sql.run("SELECT * FROM webhook.webhook_deliveries") == before
    assert audited(service, "delivery.retried") == []
    assert sent(service) == {}


def test_what_a_paused_webhook_holds_waits_for_it(service: Service) -> None:
    webhook = service.webhook()
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    (id,) = held(service, webhook)
    answer = retry(service, id)
    assert answer.status == 409
    assert "resume" in answer.body["error"]["message"]
    (id,) = failed(service, webhook)
    assert retry(service, id).status == 200, "a failed one waits with the others"


def test_a_retry_is_answered_once_for_an_idempotency_key(service: Service) -> None:
    (id,) = failed(service, service.webhook())
    first, again = (retry(service, id, headers={"idempotency-key": "r"}) for _ in range(2))
    assert first.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert tokens(service, [id]) == {2}
    assert len(audited(service, "delivery.retried")) == 1


def test_a_retry_takes_the_scope_and_reaches_the_callers_own_only(service: Service, new_project: Any) -> None:
    (id,) = failed(service, service.webhook())
    _, stranger = new_project()
    _, reader = new_project("deliveries:read")
    _, bound = bound_client(service)
    assert stranger("POST", f"/v1/deliveries/{id}/retry").status == 404
    assert bound("POST", f"/v1/deliveries/{id}/retry").status == 404
    assert reader("POST", f"/v1/deliveries/{id}/retry").status == 403
    assert service.client("POST", "/v1/deliveries/x/retry").status == 404
    assert service.client("POST", f"/v1/deliveries/{UNKNOWN}/retry").status == 404
    assert service.client("POST", f"/v1/deliveries/{id}/retry", {"x": 1}).status == 422
    assert states(service) == {"failed": 1}


def test_deliveries_are_retried_by_webhook_type_and_time(service: Service) -> None:
    one, other = service.webhook(), service.webhook()
    paid = failed(service, one, 3)
    failed(service, one, 2, type="invoice.sent")
    failed(service, other, 1)
    old = failed(service, one, 1)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET created_at = now() - interval '2 hours' WHERE id = :id", id=old[0]
    )
    body = {"webhook_id": one["id"], "event_type": "invoice.paid", "created_after": ago(hours=1)}
    started = start(service, "/v1/deliveries/retry", body)
    assert started["total"] == 3
    assert started["parameters"]["status"] == "failed"
    work(service)
    assert job(service, started["id"])["changed"] == 3
    assert sent(service) == dict.fromkeys(paid, 2)
    assert states(service) == {"pending": 3, "failed": 4}
    (entry,) = audited(service, "deliveries.retried")
    assert (entry["resource"]["id"], entry["after"]["total"]) == (started["id"], 3)


def test_a_dry_run_changes_nothing(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook, 2)
    answer = service.client("POST", "/v1/deliveries/retry", {"webhook_id": webhook["id"], "dry_run": True})
    assert (answer.status, answer.body) == (200, {"dry_run": True, "matched": 2})
    assert service.client("GET", "/v1/jobs").body["data"] == []
    assert service.messages("jobs") == []
    assert audited(service, "deliveries.retried") == []
    assert states(service) == {"failed": 2}


def test_waiting_deliveries_are_made_due_by_query(service: Service) -> None:
    webhook, paused = service.webhook(), service.webhook()
    ids = waiting(service, webhook, 3)
    due = waiting(service, webhook, 1)
    service.sql.run("UPDATE webhook.webhook_deliveries SET scheduled_at = now() WHERE id = :id", id=due[0])
    service.client("POST", f"/v1/webhooks/{paused['id']}/pause")
    held(service, paused, 2)
    waiting(service, paused, 1)
    failed(service, webhook, 1)
    body = {"created_after": ago(hours=1), "status": "pending"}
    started = start(service, "/v1/deliveries/retry", body)
    assert started["total"] == 3, "neither what is due already, nor what is held, nor what failed"
    work(service)
    assert job(service, started["id"])["changed"] == 3
    assert sent(service) == dict.fromkeys(ids, 2)


def test_what_cannot_be_sent_again_is_neither_counted_nor_retried(service: Service) -> None:
    webhook, deleted = service.webhook(), service.webhook()
    (expunged, kept, gone, worn) = failed(service, webhook, 4)
    failed(service, deleted, 2)
    of = "(SELECT event_id FROM webhook.webhook_deliveries WHERE id = :id)"
    service.sql.run(
        f"UPDATE webhook.webhook_events SET data = NULL, expunged_at = now() WHERE id = {of}", id=expunged
    )
    service.sql.run(f"DELETE FROM webhook.webhook_events WHERE id = {of}", id=gone)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET attempts = :n, max_attempts = :n WHERE id = :id",
        n=MAX_ATTEMPTS,
        id=worn,
    )
    service.client("DELETE", f"/v1/webhooks/{deleted['id']}")
    started = start(service, "/v1/deliveries/retry", {"created_after": ago(hours=1)})
    assert started["total"] == 1
    work(service)
    assert set(sent(service)) == {kept}
    assert job(service, started["id"])["processed"] == 1


def test_tests_and_what_a_person_discarded_are_not_sent_again_with_the_others(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook, type="hookline.test")
    (discarded, discarded_once, kept) = failed(service, webhook, 3)
    for id in (discarded, discarded_once):
        service.client("POST", f"/v1/dead-letters/{dead_letter_of(service, id)}/discard", {})
    service.sql.run(DEAD, ids=[discarded_once])  # it was retried by hand since, and failed again
    started = start(service, f"/v1/webhooks/{webhook['id']}/recover", {"since": ago(hours=1)})
    assert started["total"] == 2
    work(service)
    assert set(sent(service)) == {discarded_once, kept}


def test_what_moved_on_meanwhile_is_looked_at_and_left(service: Service) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, 3)
    started = start(service, "/v1/deliveries/retry", {"webhook_id": webhook["id"]})
    retry(service, ids[1])
    work(service)
    done = job(service, started["id"])
    assert (done["total"], done["processed"], done["changed"]) == (3, 2, 2)
    assert tokens(service, ids) == {2}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({}, "webhook_id"),
        ({"status": "failed"}, "webhook_id"),
        ({"webhook_id": "x"}, "webhook_id"),
        ({"webhook_id": UNKNOWN}, "webhook_id"),
        ({"webhook_id": 1}, "webhook_id"),
        ({"event_type": "a*"}, "event_type"),
        ({"event_type": "x" * 256}, "event_type"),
        ({"event_type": "a", "status": "delivered"}, "status"),
        ({"event_type": "a", "dry_run": "yes"}, "dry_run"),
        ({"event_type": "a", "unknown": 1}, "unknown"),
        ({"created_after": "2999-01-01T00:00:00Z"}, "created_after"),
        ({"created_after": "2020-01-01T00:00:00Z"}, "created_after"),
        ({"created_after": "yesterday"}, "created_after"),
        ({"created_after": "2020-01-02T00:00:00Z", "created_before": "2020-01-01T00:00:00Z"}, "created_before"),
        ({"created_before": 1}, "created_before"),
    ],
)
def test_a_query_that_says_too_little_or_nonsense_is_422(service: Service, body: dict, path: str) -> None:
    answer = service.client("POST", "/v1/deliveries/retry", body)
    assert answer.status == 422
    assert answer.body["error"]["details"][0]["path"] == path
    assert service.client("GET", "/v1/jobs").body["data"] == []


def test_a_range_may_end_in_the_past_and_be_old(service: Service) -> None:
    body = {"created_after": "2020-01-01T00:00:00Z", "created_before": "2020-03-01T00:00:00Z"}
    assert start(service, "/v1/deliveries/retry", body)["total"] == 0


def test_too_much_to_count_is_422_and_says_what_to_do(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = service.webhook()

    def count(connection: Connection, _wanted: object) -> int:
        connection.execute(text("SET LOCAL statement_timeout = '20ms'"))
        return int(connection.execute(text("SELECT count(pg_sleep(5))")).scalar_one())

    monkeypatch.setattr(reopening, "count", count)
    answer = service.client("POST", "/v1/deliveries/retry", {"webhook_id": webhook["id"]})
    assert answer.status == 422
    assert "narrow it" in answer.body["error"]["message"]
    assert service.client("GET", "/v1/jobs").body["data"] == []
