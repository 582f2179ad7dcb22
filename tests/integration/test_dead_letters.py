"""Dead letters: looking at them, redriving and discarding them, by hand and in numbers."""

from typing import Any

import pytest

from functions.deliver import handler as deliver
from functions.domain.jobs import BATCH
from functions.domain.messages import DeadLetter, dead
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.levers_scene import (
    ago,
    audited,
    bound_client,
    dead_letter_of,
    delivery,
    dispatch_all,
    failed,
    job,
    sent,
    start,
    states,
    work,
)

UNKNOWN = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def letters(service: Service, query: str = "") -> list[dict[str, Any]]:
    answer = service.client("GET", f"/v1/dead-letters?{query}")
    assert answer.status == 200, answer.body
    return list(answer.body["data"])


def resolve(service: Service, id: str, how: str, **body: Any) -> Any:
    return service.client("POST", f"/v1/dead-letters/{id}/{how}", body or None)


def on_its_way(service: Service, id: str, message_id: str = "m1") -> dict[str, Any]:
    """The message of this dead letter as the delivery function receives it."""
    ((token,),) = service.sql.run("SELECT token FROM webhook.webhook_dlq WHERE id = :id", id=id)
    name = settings().retry_queue_url.rpartition("/")[2]
    return {
        "messageId": message_id,
        "receiptHandle": "r",
        "body": dead(DeadLetter(id, token)),
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:000000000000:{name}",
    }


def test_a_dead_letter_shows_what_died_and_why(service: Service) -> None:
    webhook = service.webhook()
    (of,) = failed(service, webhook)
    (shown,) = letters(service)
    assert shown == {
        "id": dead_letter_of(service, of),
        "delivery_id": of,
        "event_id": delivery(service, of)["event_id"],
        "event_type": "invoice.paid",
        "webhook_id": webhook["id"],
        "application_id": None,
        "reason": "attempts_exhausted",
        "attempts": 2,
        "last_error": {"code": "http_status", "message": "the endpoint answered 500"},
        "last_response_status": 500,
        "status": "pending",
        "resolved_at": None,
        "resolved_by": None,
        "notes": None,
        "created_at": shown["created_at"],
    }
    assert service.client("GET", f"/v1/dead-letters/{shown['id']}").body == shown


def test_dead_letters_are_listed_by_what_people_ask_for(service: Service) -> None:
    one, other = service.webhook(), service.webhook()
    (a, b) = failed(service, one, 2)
    (c,) = failed(service, other, 1, type="order.sent")
    resolve(service, dead_letter_of(service, b), "discard")
    of = {name: dead_letter_of(service, id) for name, id in (("a", a), ("b", b), ("c", c))}
    names = {id: name for name, id in of.items()}

    def listed(query: str) -> str:
        return "".join(names[one["id"]] for one in letters(service, query))

    assert listed("") == "cba"
    assert listed("status=pending") == "ca"
    assert listed("status=discarded") == "b"
    assert listed("status=resolved") == ""
    assert listed(f"webhook_id={one['id']}") == "ba"
    assert listed(f"webhook_id={one['id']}&status=pending") == "a"
    assert listed("event_type=order.sent") == "c"
    assert listed("event_type=invoice.*") == "ba"
    assert listed(f"event_id={delivery(service, c)['event_id']}") == "c"
    assert listed("event_id=never-seen") == ""
    assert listed(f"delivery_id={a}") == "a"
    assert listed("reason=attempts_exhausted") == "cba"
    assert listed("reason=other") == ""
    assert listed(f"created_after={ago(hours=1)}") == "cba"
    assert listed(f"created_before={ago(hours=1)}") == ""
    page = service.client("GET", "/v1/dead-letters?limit=2").body
    assert listed(f"limit=2&cursor={page['next_cursor']}") == "a"
    for query in ("status=x", "webhook_id=x", "delivery_id=x", "event_type=a**", "cursor=x", "reason=%00"):
        assert service.client("GET", f"/v1/dead-letters?{query.replace('%00', chr(0))}").status == 422, query


def test_a_redriven_dead_letter_is_resolved_and_its_delivery_tried_again(service: Service) -> None:
    webhook = service.webhook(max_attempts=4)
    (of,) = failed(service, webhook)
    id = dead_letter_of(service, of)
    answer = resolve(service, id, "redrive", notes="the endpoint was fixed")
    assert answer.status == 200
    assert (answer.body["status"], answer.body["notes"]) == ("resolved", "the endpoint was fixed")
    assert answer.body["resolved_by"] == webhook["created_by"]
    assert answer.body["resolved_at"] > answer.body["created_at"]
    now = delivery(service, of)
    assert (now["status"], now["attempts"], now["max_attempts"]) == ("pending", 2, 6)
    assert sent(service) == {of: 2}
    (entry,) = audited(service, "dead_letter.redriven")
    assert (entry["before"]["status"], entry["after"]) == ("pending", answer.body)
    assert (entry["level"], entry["resource"]["id"]) == ("warning", id)


def test_a_discarded_dead_letter_leaves_its_delivery_failed_and_retriable(service: Service) -> None:
    (of,) = failed(service, service.webhook())
    id = dead_letter_of(service, of)
    answer = resolve(service, id, "discard", notes="test data")
    assert (answer.status, answer.body["status"], answer.body["notes"]) == (200, "discarded", "test data")
    assert states(service) == {"failed": 1}
    assert dispatch_all(service)["dead_letters"] == 0
    (entry,) = audited(service, "dead_letter.discarded")
    assert entry["after"] == answer.body
    assert service.client("POST", f"/v1/deliveries/{of}/retry").status == 200
    assert letters(service)[0]["status"] == "discarded"


@pytest.mark.parametrize("first", ["redrive", "discard"])
@pytest.mark.parametrize("then", ["redrive", "discard"])
def test_a_dead_letter_is_resolved_once(service: Service, first: str, then: str) -> None:
    (of,) = failed(service, service.webhook())
    id = dead_letter_of(service, of)
    resolved = resolve(service, id, first).body
    assert resolve(service, id, then).status == 409
    assert letters(service) == [resolved]


@pytest.mark.parametrize("how", ["redrive", "discard"])
def test_its_message_that_comes_back_from_the_queue_later_is_stale(service: Service, how: str) -> None:
    """Somebody redrives the dead-letter queue in the console after it was resolved here."""
    (of,) = failed(service, service.webhook())
    id = dead_letter_of(service, of)
    dying = on_its_way(service, id)
    assert deliver.handler({"Records": [dying]}, Context())["batchItemFailures"], "it is on its way to the queue"
    resolve(service, id, how)
    before = service.sql.run("SELECT status, token, attempts FROM webhook.webhook_deliveries")
    sent(service)
    for message_id in ("m1", "m2"):
        back = {**dying, "messageId": message_id}
        assert deliver.handler({"Records": [back]}, Context()) == {"batchItemFailures": []}
    assert service.sql.run("SELECT status, token, attempts FROM webhook.webhook_deliveries") == before
    assert sent(service) == {}


def test_a_dead_letter_redriven_from_the_queue_cannot_be_redriven_here(service: Service) -> None:
    (of,) = failed(service, service.webhook())
    id = dead_letter_of(service, of)
    deliver.handler({"Records": [on_its_way(service, id)]}, Context())
    deliver.handler({"Records": [on_its_way(service, id, "m2")]}, Context())
    assert letters(service)[0]["resolved_by"] == "queue"
    assert resolve(service, id, "redrive").status == 409


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("UPDATE webhook.webhooks SET deleted_at = now()", "deleted"),
        ("UPDATE webhook.webhook_events SET data = NULL, expunged_at = now()", "expunged"),
        ("DELETE FROM webhook.webhook_deliveries", "not kept"),
    ],
)
def test_what_cannot_be_redriven_can_be_discarded(service: Service, change: str, said: str) -> None:
    (of,) = failed(service, service.webhook())
    id = dead_letter_of(service, of)
    service.sql.run(change)
    refused = resolve(service, id, "redrive")
    assert refused.status == 409
    assert said in refused.body["error"]["message"]
    assert letters(service)[0]["status"] == "pending"
    body = {"created_after": ago(hours=1), "dry_run": True}
    assert service.client("POST", "/v1/dead-letters/redrive", body).body["matched"] == 0
    assert service.client("POST", "/v1/dead-letters/discard", body).body["matched"] == 1
    assert resolve(service, id, "discard").status == 200


@pytest.mark.parametrize(("how", "left"), [("redrive", {"pending": 3}), ("discard", {"failed": 3})])
def test_many_are_resolved_by_query(service: Service, how: str, left: dict) -> None:
    one, other = service.webhook(), service.webhook()
    chosen = failed(service, one, 3)
    failed(service, one, 2, type="order.sent")
    failed(service, other, 2)
    body = {"webhook_id": one["id"], "event_type": "invoice.paid", "notes": "outage of Monday"}
    started = start(service, f"/v1/dead-letters/{how}", body)
    assert (started["kind"], started["total"]) == (how, 3)
    work(service)
    assert job(service, started["id"])["changed"] == 3
    status = {"redrive": "resolved", "discard": "discarded"}[how]
    done = letters(service, f"status={status}")
    assert {one["delivery_id"] for one in done} == set(chosen)
    assert {(one["notes"], one["resolved_by"]) for one in done} == {("outage of Monday", one["created_by"])}
    assert set(sent(service)) == (set(chosen) if how == "redrive" else set())
    assert states(service) == ({"failed": 4, **left} if how == "redrive" else {"failed": 7})
    (entry,) = audited(service, f"dead_letters.{status.replace('resolved', 'redriven')}")
    assert (entry["resource"]["id"], entry["after"]["total"]) == (started["id"], 3)


def test_more_than_a_batch_is_resolved_batch_by_batch(service: Service) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, 2 * BATCH + 7)
    redriven = start(service, "/v1/dead-letters/redrive", {"webhook_id": webhook["id"]})
    assert work(service) == 3
    assert job(service, redriven["id"])["changed"] == len(ids)
    assert set(sent(service)) == set(ids)
    failed(service, webhook, BATCH + 1)
    discarded = start(service, "/v1/dead-letters/discard", {"webhook_id": webhook["id"]})
    work(service)
    assert job(service, discarded["id"])["changed"] == BATCH + 1
    assert letters(service, "status=pending") == []


@pytest.mark.parametrize("how", ["redrive", "discard"])
def test_what_is_said_too_little_or_wrong_is_422(service: Service, how: str) -> None:
    (of,) = failed(service, service.webhook())
    for body, path in (
        ({}, "webhook_id"),
        ({"notes": "all of them"}, "webhook_id"),
        ({"webhook_id": UNKNOWN}, "webhook_id"),
        ({"webhook_id": "x"}, "webhook_id"),
        ({"event_type": ""}, "event_type"),
        ({"created_after": "2999-01-01T00:00:00Z"}, "created_after"),
        ({"created_after": ago(hours=1), "created_before": ago(hours=2)}, "created_before"),
        ({"created_before": ago(hours=1), "notes": "x" * 4097}, "notes"),
        ({"created_before": ago(hours=1), "unknown": 1}, "unknown"),
    ):
        answer = service.client("POST", f"/v1/dead-letters/{how}", body)
        assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, path), body
    assert resolve(service, dead_letter_of(service, of), how, notes=1).status == 422
    assert service.client("POST", f"/v1/dead-letters/x/{how}").status == 404
    assert service.client("POST", f"/v1/dead-letters/{UNKNOWN}/{how}").status == 404
    assert letters(service)[0]["status"] == "pending"


def test_old_dead_letters_are_reached_without_a_beginning(service: Service) -> None:
    failed(service, service.webhook())
    service.sql.run(
        "UPDATE webhook.webhook_dlq SET created_at = now() - interval '1 year', id = uuidv7(interval '-1 year')"
    )
    body = {"created_before": ago(days=300), "dry_run": True}
    assert service.client("POST", "/v1/dead-letters/redrive", body).body["matched"] == 1


def test_dead_letters_stay_within_the_callers_reach(service: Service, new_project: Any) -> None:
    _, bound = bound_client(service)
    _, stranger = new_project()
    _, reader = new_project("deliveries:read")
    own = bound("POST", "/v1/webhooks", {"name": "own", "url": "http://127.0.0.1:9/"}).body
    (of,) = failed(service, service.webhook())
    (its,) = failed(service, own)
    id = dead_letter_of(service, of)
    for client in (bound, stranger):
        assert client("GET", f"/v1/dead-letters/{id}").status == 404
        assert client("POST", f"/v1/dead-letters/{id}/redrive").status == 404
        assert client("POST", f"/v1/dead-letters/{id}/discard").status == 404
    assert reader("POST", f"/v1/dead-letters/{id}/redrive").status == 403
    assert [one["delivery_id"] for one in bound("GET", "/v1/dead-letters").body["data"]] == [its]
    assert stranger("GET", "/v1/dead-letters").body["data"] == []
    bound("POST", "/v1/dead-letters/discard", {"created_after": ago(hours=1)})
    work(service)
    assert [one["delivery_id"] for one in letters(service, "status=pending")] == [of]


def test_a_redrive_is_made_once_for_an_idempotency_key(service: Service) -> None:
    (of,) = failed(service, service.webhook())
    path, key = f"/v1/dead-letters/{dead_letter_of(service, of)}/redrive", {"idempotency-key": "r"}
    first, again = (service.client("POST", path, headers=key) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body) == (200, letters(service)[0])
    assert len(service.messages("retry")) == 1
