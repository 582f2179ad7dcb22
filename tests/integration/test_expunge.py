"""Erasing payloads (P14): what goes, what stays, and that nothing brings it back."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy
from sqlalchemy import Connection

from functions.adapters import database
from functions.deliver import handler as deliver
from functions.dispatch import handler as dispatch
from functions.domain import expunge
from functions.domain.ids import uuid7_floor
from functions.domain.senders.changedetection import SENDER
from functions.jobs import handler as jobs
from tests.integration.conftest import Answer, Client, Context, Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.inbound_scene import TOKEN, make_source, post
from tests.integration.locks import WAITING

SECRET = "Erika-Mustermann"
URL = "https://example.com/pricing"
NewProject = Callable[..., tuple[str, Client]]


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    with endpoint() as here:
        here.body, here.headers = f"thanks for {SECRET}".encode(), {"x-echo": SECRET}
        yield here


@pytest.fixture
def other(service: Service) -> Iterator[Connection]:
    """A second connection, as another function would have."""
    engine = sqlalchemy.create_engine(database.engine().url)
    with engine.connect() as connection:
        yield connection
    engine.dispose()


def run(service: Service, queue: str = "delivery") -> None:
    deliver.handler({"Records": service.messages(queue)}, Context())


def erase(service: Service, id: str) -> Answer:
    return service.client("DELETE", f"/v1/events/{id}/payload")


def deliveries(service: Service, id: str) -> list[dict[str, Any]]:
    return service.client("GET", f"/v1/events/{id}/deliveries").body["data"]


def attempts(service: Service, delivery: dict[str, Any]) -> list[dict[str, Any]]:
    return service.client("GET", f"/v1/deliveries/{delivery['id']}/attempts").body["data"]


def make_due(service: Service) -> None:
    """As if the time had passed: retries and leases are due, and dispatch has looked."""
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET sweep_at = now() - interval '1 s', scheduled_at = now(),"
        " lease_expires_at = CASE WHEN lease_expires_at IS NOT NULL THEN now() END WHERE sweep_at IS NOT NULL"
    )
    dispatch.handler({}, Context())


def rows_with_the_secret(service: Service) -> dict[str, int]:
    """By table, rows of the schema that hold it anywhere."""
    tables = service.sql.run(
        "SELECT relname FROM pg_class WHERE relnamespace = 'webhook'::regnamespace AND relkind = 'r'"
    )
    counts = {
        table: service.sql.run(f"SELECT count(*) FROM webhook.{table} t WHERE t::text LIKE '%{SECRET}%'")[0][0]
        for (table,) in tables
    }
    return {table: count for table, count in counts.items() if count}


def test_data_and_answers_go_and_the_rest_stays(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    sent = service.event(data={"name": SECRET}, id="order-7", environment="production")
    run(service)
    assert rows_with_the_secret(service), "it was there"
    (before,) = deliveries(service, sent["id"])
    erased = erase(service, sent["id"])
    assert (erased.status, erased.body["id"], erased.body["external_id"]) == (200, sent["id"], "order-7")
    assert rows_with_the_secret(service) == {}
    event = service.client("GET", f"/v1/events/{sent['id']}").body
    assert (event["data"], event["expunged_at"]) == (None, erased.body["expunged_at"])
    assert (event["type"], event["environment"]) == ("invoice.paid", "production")
    assert event["deliveries"] == {"pending": 0, "delivered": 1, "failed": 0}
    assert deliveries(service, sent["id"]) == [before]
    (attempt,) = attempts(service, before)
    assert (attempt["response_body"], attempt["response_headers"]) == (None, None)
    assert attempt["expunged_at"] is not None
    assert attempt["response_status"] == 200
    assert attempt["request_headers"]["webhook-id"] == sent["id"]
    assert "webhook-signature" not in attempt["request_headers"], "by it a guess at the data could be confirmed"


def test_what_a_change_event_has_of_it_goes_too(service: Service) -> None:
    source = make_source(service, "changedetection")
    told = dict.fromkeys(("diff", "preview_url", "watch_title", "triggered_text"), SECRET)
    ids = [
        post(SENDER, source, json.dumps({**told, "watch_uuid": watch, "watch_url": URL}).encode(), TOKEN).event_id
        for watch in ("one", "other")
    ]
    assert erase(service, ids[0]).status == 200
    found = {row["event_id"]: row for row in service.client("GET", "/v1/change-events").body["data"]}
    one, other = (found[id] for id in ids)
    assert (one["diff_summary"], one["snapshot_url"], one["metadata"]) == (None, None, {})
    assert (one["watch_id"], one["watch_url"]) == ("one", URL)
    assert (other["diff_summary"], other["metadata"]["watch_title"]) == (SECRET, SECRET)
    assert erase(service, ids[1]).status == 200
    assert rows_with_the_secret(service) == {}


def test_it_is_audited_once_and_doing_it_again_changes_nothing(service: Service) -> None:
    id = service.event(data=SECRET)["id"]
    first, again = erase(service, id), erase(service, id)
    assert (first.status, again.status) == (200, 200)
    assert first.body == again.body
    audited = service.sql.run(
        "SELECT level, resource_id, after FROM webhook.audit_log WHERE event = 'event.expunged'"
    )
    assert [(level, resource) for level, resource, _ in audited] == [("warning", id)]
    assert rows_with_the_secret(service) == {}


def test_the_id_stays_known_and_answers_as_before(service: Service) -> None:
    service.webhook()
    body = {"type": "a", "data": SECRET, "id": "order-7"}
    first = service.client("POST", "/v1/events", body, headers={"idempotency-key": "k"})
    assert erase(service, "order-7").status == 200
    again = service.client("POST", "/v1/events", body)
    assert (first.status, again.status) == (202, 200)
    assert first.body == again.body
    repeated = service.client("POST", "/v1/events", body, headers={"idempotency-key": "k"})
    assert repeated.body == first.body
    assert rows_with_the_secret(service) == {}, "neither kept by the id, nor by the key"


def test_what_waits_ends_and_is_never_sent(service: Service, receiver: Endpoint) -> None:
    receiver.status = 500
    service.webhook(url=receiver.url)
    paused = service.webhook(url=receiver.url)
    service.sql.run("UPDATE webhook.webhooks SET status = 'paused' WHERE id = :id", id=paused["id"])
    id = service.event(data=SECRET)["id"]
    run(service)
    assert sorted(one["status"] for one in deliveries(service, id)) == ["pending", "pending"]
    erase(service, id)
    for ended in deliveries(service, id):
        assert (ended["status"], ended["last_error"]["code"]) == ("failed", "payload_expunged")
        assert ended["scheduled_at"] is None
    unswept = "SELECT count(*) FROM webhook.webhook_deliveries WHERE sweep_at IS NOT NULL OR failed_at IS NULL"
    assert service.sql.run(unswept) == [[0]]
    run(service, "retry")
    assert len(receiver.received) == 1, "the message that was under way is stale"
    assert service.client("GET", "/v1/dead-letters").body["data"] == [], "nobody can do anything about it"


def test_one_that_is_being_sent_keeps_its_outcome_and_not_its_answer(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    id = service.event(data=SECRET)["id"]
    receiver.before = lambda: erase(service, id)
    run(service)
    (delivery,) = deliveries(service, id)
    assert delivery["status"] == "delivered"
    assert delivery["last_error"] is None
    (attempt,) = attempts(service, delivery)
    assert (attempt["response_status"], attempt["response_body"]) == (200, None)
    assert attempt["expunged_at"] is not None
    assert "webhook-signature" not in attempt["request_headers"]
    assert rows_with_the_secret(service) == {}


def test_one_that_fails_while_it_is_expunged_is_not_tried_again(service: Service, receiver: Endpoint) -> None:
    receiver.status = 503
    service.webhook(url=receiver.url)
    id = service.event(data=SECRET)["id"]
    receiver.before = lambda: erase(service, id)
    run(service)
    (delivery,) = deliveries(service, id)
    assert (delivery["status"], delivery["last_error"]["code"]) == ("pending", "http_status")
    make_due(service)
    run(service, "retry")
    (delivery,) = deliveries(service, id)
    assert (delivery["status"], delivery["last_error"]["code"]) == ("failed", "payload_expunged")
    assert len(receiver.received) == 1
    assert rows_with_the_secret(service) == {}


def wait_for_a_lock(service: Service, thread: threading.Thread) -> None:
    deadline = time.monotonic() + 20
    while service.sql.run(WAITING) == [[0]] and thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    assert service.sql.run(WAITING) != [[0]], "it did not wait"


def test_a_record_that_waits_for_the_expunge_keeps_no_answer(
    service: Service, receiver: Endpoint, other: Connection
) -> None:
    """The record's statement began before the expunge committed: what it sees of the event is the old state."""
    service.webhook(url=receiver.url)
    id = service.event(data=SECRET)["id"]

    def begin_expunge() -> None:
        other.begin()
        assert expunge.expunge(other, [id]) == 1

    receiver.before = begin_expunge
    thread = threading.Thread(target=run, args=(service,), daemon=True)
    thread.start()
    wait_for_a_lock(service, thread)
    other.commit()
    thread.join(20)
    assert deliveries(service, id)[0]["status"] == "delivered"
    assert rows_with_the_secret(service) == {}


def test_an_expunge_that_waits_for_a_record_finds_its_answer(
    service: Service, receiver: Endpoint, other: Connection
) -> None:
    """The attempt is committed while the expunge waits: it was not there when the expunge began."""
    service.webhook(url=receiver.url)
    id = service.event(data=SECRET)["id"]
    run(service)
    (delivery,) = deliveries(service, id)
    other.begin()
    other.execute(
        sqlalchemy.text("SELECT FROM webhook.webhook_deliveries WHERE id = :id FOR UPDATE"), {"id": delivery["id"]}
    )
    other.execute(
        sqlalchemy.text(
            "INSERT INTO webhook.webhook_delivery_attempts (project_id, delivery_id, attempt_number, request_url,"
            " request_headers, request_sent_at, response_status, response_body)"
            " VALUES (:project, :id, 2, 'http://x', '{}', now(), 200, :body)"
        ),
        {"project": service.project_id, "id": delivery["id"], "body": SECRET},
    )
    thread = threading.Thread(target=erase, args=(service, id), daemon=True)
    thread.start()
    wait_for_a_lock(service, thread)
    other.commit()
    thread.join(20)
    assert rows_with_the_secret(service) == {}


def test_a_claim_that_comes_between_is_marked_and_one_whose_lease_ended_ends(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    sent, lost = service.event(data=SECRET)["id"], service.event(data=SECRET)["id"]
    for id, lease in ((sent, "1 minute"), (lost, "-1 minute")):
        service.sql.run(
            "UPDATE webhook.webhook_deliveries SET status = 'delivering', token = token + 1,"
            " lease_expires_at = now() + CAST(:lease AS interval) WHERE event_id = :id",
            id=id,
            lease=lease,
        )
        erase(service, id)
    assert [one["status"] for one in deliveries(service, sent)] == ["delivering"]
    assert [one["status"] for one in deliveries(service, lost)] == ["failed"]
    make_due(service)
    run(service, "retry")
    run(service)
    assert receiver.received == []
    assert [one["status"] for one in deliveries(service, sent)] == ["failed"]


def test_a_failed_delivery_of_it_cannot_be_sent_again(service: Service, receiver: Endpoint) -> None:
    receiver.status = 500
    service.webhook(url=receiver.url, max_attempts=1)
    id = service.event(data=SECRET)["id"]
    run(service)
    (delivery,) = deliveries(service, id)
    erase(service, id)
    assert service.client("POST", f"/v1/deliveries/{delivery['id']}/retry").status == 409
    assert service.client("POST", f"/v1/events/{id}/replay").status == 409
    assert deliveries(service, id)[0]["last_error"]["code"] == "http_status", "as it ended"
    assert rows_with_the_secret(service) == {}


def test_another_project_or_application_cannot_erase(service: Service, new_project: NewProject) -> None:
    acme, ajax = service.application(uid="acme"), service.application(uid="ajax")
    id = service.event(data=SECRET, application_id="acme")["id"]
    _, stranger = new_project()
    strangers = (stranger, service.key(application_id=ajax["id"]))
    for client in strangers:
        assert client("DELETE", f"/v1/events/{id}/payload").status == 404
    assert service.key("events:read")("DELETE", f"/v1/events/{id}/payload").status == 403
    assert service.client("GET", f"/v1/events/{id}").body["data"] == SECRET
    assert service.key(application_id=acme["id"])("DELETE", f"/v1/events/{id}/payload").status == 200
    assert service.client("DELETE", "/v1/events/none/payload").status == 404


def batches(service: Service, limit: int, before: datetime | None = None) -> list[expunge.Batch]:
    done: list[expunge.Batch] = []
    position = None
    while not done or done[-1].processed:
        with database.transaction() as connection:
            until = before or datetime.now(UTC) + timedelta(minutes=1)
            done.append(
                expunge.expunge_batch(connection, service.project_id, after_id=position, before=until, limit=limit)
            )
        position = done[-1].last_id
    return done


def test_a_project_is_expunged_in_batches_and_nothing_of_another(
    service: Service, receiver: Endpoint, new_project: NewProject
) -> None:
    service.webhook(url=receiver.url)
    ids = [service.event(data=SECRET)["id"] for _ in range(5)]
    erase(service, ids[2])
    run(service)
    _, stranger = new_project()
    kept = stranger("POST", "/v1/events", {"type": "a", "data": SECRET}).body["id"]
    done = batches(service, limit=2)
    assert [(one.processed, one.changed) for one in done] == [(2, 2), (2, 1), (1, 1), (0, 0)]
    assert done[-1].last_id == max(ids)
    assert stranger("GET", f"/v1/events/{kept}").body["data"] == SECRET
    assert rows_with_the_secret(service) == {"webhook_events_default": 1}


def test_only_what_was_created_before_is_expunged(service: Service) -> None:
    """By when it was stored, whatever time its key names: senders' clocks may be ahead by minutes."""
    ahead = (
        uuid7_floor(datetime.now(UTC) + timedelta(minutes=4))[:14] + "7" + uuid7_floor(datetime.now(UTC))[15:19]
    )
    old = service.event(data=SECRET, id=f"{ahead}8000-{'0' * 12}")
    assert old["external_id"] is None, "the key is the sender's"
    between = datetime.now(UTC)
    new = service.event(data=SECRET)
    with database.transaction() as connection:
        assert expunge.count(connection, service.project_id, before=between) == 1
    assert [one.changed for one in batches(service, 10, before=between)] == [1, 0]
    assert service.client("GET", f"/v1/events/{old['id']}").body["data"] is None
    assert service.client("GET", f"/v1/events/{new['id']}").body["data"] == SECRET


def test_a_batch_is_bounded_by_deliveries_too(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expunge, "DELIVERIES_PER_BATCH", 3)
    for _ in range(2):
        service.webhook()
    for _ in range(4):
        service.event(data=SECRET)
    assert [one.processed for one in batches(service, limit=10)] == [2, 2, 0]
    assert rows_with_the_secret(service) == {}


def test_the_job_of_the_admin_key_erases_a_whole_project(service: Service) -> None:
    service.webhook()
    for _ in range(3):
        service.event(data=SECRET)
    path = f"/v1/projects/{service.project_id}/expunge"
    until = {"before": "2099-01-01T00:00:00Z"}
    asked = service.admin("POST", path, {**until, "dry_run": True})
    assert (asked.status, asked.body) == (200, {"dry_run": True, "matched": 3})
    started = service.admin("POST", path, until)
    assert started.status == 202
    for _ in range(5):
        jobs.handler({"Records": service.messages("jobs")}, Context())
    job = service.client("GET", f"/v1/jobs/{started.body['id']}").body
    assert (job["status"], job["processed"], job["changed"]) == ("completed", 3, 3)
    assert rows_with_the_secret(service) == {}
