"""Pausing and resuming a webhook: what comes meanwhile waits, and none of it is lost."""

import threading
import time
from typing import Any

import pytest

from functions.adapters.database import transaction
from functions.deliver import handler as deliver
from functions.deliver import unsent
from functions.deliver.claims import Lane, claim
from functions.domain import holding
from functions.domain.jobs import BATCH
from functions.jobs import handler as jobs
from functions.jobs import kinds
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import (
    audited,
    delivery,
    dispatch_all,
    held,
    job,
    message,
    run,
    sent,
    states,
    work,
)

HELD = "SELECT count(*) FROM webhook.webhook_deliveries WHERE sweep_at = 'infinity'"


def pause(service: Service, webhook: dict, **body: Any) -> Any:
    return service.client("POST", f"/v1/webhooks/{webhook['id']}/pause", body or None)


def resume(service: Service, webhook: dict, **options: Any) -> Any:
    return service.client("POST", f"/v1/webhooks/{webhook['id']}/resume", **options)


def how_many_held(service: Service) -> int:
    return int(service.sql.run(HELD)[0][0])


def test_what_comes_while_a_webhook_is_paused_waits_and_arrives_when_it_is_resumed(
    service: Service, receiver: Endpoint
) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    assert pause(service, webhook).status == 200
    run(service)
    assert receiver.received == []
    assert how_many_held(service) == 1
    assert states(service) == {"pending": 1}
    assert dispatch_all(service)["deliveries"] == 0, "what is held is not looked at every minute"
    answer = resume(service, webhook)
    assert (answer.status, answer.body["status"], answer.body["released"]) == (200, "active", 1)
    assert answer.body["job_id"] is None
    run(service, "retry")
    assert len(receiver.received) == 1
    ((attempts,),) = service.sql.run("SELECT attempts FROM webhook.webhook_deliveries")
    assert attempts == 1, "waiting used none up"


def test_events_that_come_meanwhile_still_make_deliveries(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    pause(service, webhook)
    event = service.event()
    assert event["webhooks_matched"] == 1
    run(service)
    resume(service, webhook)
    run(service, "retry")
    assert len(receiver.received) == 1


def test_resuming_releases_some_at_once_and_the_rest_by_a_job(service: Service) -> None:
    webhook, other = service.webhook(), service.webhook()
    pause(service, webhook)
    pause(service, other)
    ids = held(service, webhook, 2 * BATCH + 50)
    held(service, other, 7)
    answer = resume(service, webhook)
    assert answer.body["released"] == BATCH
    started = job(service, answer.body["job_id"])
    assert (started["kind"], started["total"]) == ("release", BATCH + 50)
    assert started["parameters"] == {"webhook_id": webhook["id"]}
    assert answer.headers["location"] == f"/v1/jobs/{started['id']}"
    assert work(service) == 2
    done = job(service, started["id"])
    assert (done["status"], done["changed"]) == ("completed", BATCH + 50)
    assert how_many_held(service) == 7
    assert set(sent(service)) == set(ids)


def test_a_release_that_fails_again_and_again_is_never_given_up(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    held(service, webhook, BATCH + 1)
    id = resume(service, webhook).body["job_id"]

    def broken(_connection: Any, _job: Any) -> Any:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setitem(kinds.KINDS, "release", broken)
        for token in range(1, 6):
            jobs.handler({"Records": [message(id, token)]}, Context())
    assert (job(service, id)["status"], how_many_held(service)) == ("running", 1)
    jobs.handler({"Records": [message(id, 6)]}, Context())
    assert (job(service, id)["status"], how_many_held(service)) == ("completed", 0)


def test_a_release_whose_messages_are_all_lost_is_found_by_dispatch(service: Service) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    ids = held(service, webhook, BATCH + 1)
    resume(service, webhook)
    service.messages("jobs")
    service.messages("retry")
    counts = dispatch_all(service)
    assert (counts["jobs"], counts["deliveries"]) == (1, BATCH)
    work(service)
    assert how_many_held(service) == 0
    assert set(sent(service)) | set(sent(service, "delivery")) == set(ids)


def test_a_webhook_that_is_paused_again_keeps_what_was_not_released_yet(service: Service) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    held(service, webhook, 2 * BATCH)
    answer = resume(service, webhook)
    pause(service, webhook)
    work(service)
    assert job(service, answer.body["job_id"])["changed"] == 0
    assert how_many_held(service) == BATCH
    resume(service, webhook)
    work(service)
    assert how_many_held(service) == 0


def test_resuming_an_active_webhook_gives_back_whatever_is_still_held(service: Service) -> None:
    webhook = service.webhook()
    held(service, webhook, 3)
    answer = resume(service, webhook)
    assert (answer.status, answer.body["released"]) == (200, 3)
    assert answer.headers["etag"] == '"1"'


def test_a_pause_has_a_reason_a_time_and_a_version(service: Service) -> None:
    webhook = service.webhook()
    first = pause(service, webhook, reason="maintenance")
    assert (first.body["status"], first.body["status_reason"]) == ("paused", "maintenance")
    assert first.body["status_changed_at"] > webhook["created_at"]
    assert first.headers["etag"] == '"2"'
    for again in (pause(service, webhook), pause(service, webhook, reason="maintenance")):
        assert (again.status, again.body, again.headers["etag"]) == (200, first.body, '"2"')
    other = pause(service, webhook, reason="longer maintenance")
    assert (other.body["status_reason"], other.headers["etag"]) == ("longer maintenance", '"3"')
    resumed = resume(service, webhook)
    assert (resumed.body["status_reason"], resumed.headers["etag"]) == (None, '"4"')
    again = resume(service, webhook)
    assert (again.body, again.headers["etag"]) == (resumed.body, '"4"')
    read = service.client("GET", f"/v1/webhooks/{webhook['id']}")
    assert read.headers["etag"] == '"4"'
    assert resumed.body == {**read.body, "released": 0, "job_id": None}
    assert [one["after"]["status_reason"] for one in audited(service, "webhook.paused")] == [
        "longer maintenance",
        "maintenance",
    ]
    (entry,) = audited(service, "webhook.resumed")
    assert (entry["before"]["status"], entry["after"]["status"], entry["level"]) == ("paused", "active", "warning")


@pytest.mark.parametrize("reason", ["", "x" * 256, 1, "nul\x00"])
def test_a_reason_is_a_text_of_255_characters_at_most(service: Service, reason: Any) -> None:
    webhook = service.webhook()
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/pause", {"reason": reason}).status == 422


def test_a_stale_if_match_changes_nothing(service: Service) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    held(service, webhook, 2)
    assert resume(service, webhook, headers={"if-match": '"1"'}).status == 412
    assert how_many_held(service) == 2
    assert resume(service, webhook, headers={"if-match": '"2"'}).status == 200


def test_a_disabled_webhook_is_resumed_with_a_clean_count_and_cannot_be_paused(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run("UPDATE webhook.webhooks SET status = 'disabled', status_reason = 'too many failures'")
    service.sql.run("UPDATE webhook.webhook_health SET failure_count = 99")
    held(service, webhook, 1)
    assert pause(service, webhook).status == 409
    resumed = resume(service, webhook)
    assert (resumed.body["status"], resumed.body["failure_count"], resumed.body["released"]) == ("active", 0, 1)


def test_a_repeated_resume_is_answered_as_the_first_and_sends_nothing_twice(service: Service) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    held(service, webhook, 2)
    first, again = (resume(service, webhook, headers={"idempotency-key": "r"}) for _ in range(2))
    assert first.body == again.body
    assert again.headers["etag"] == first.headers["etag"]
    assert len(service.messages("retry")) == 1


def test_what_a_deleted_webhook_held_ends(service: Service) -> None:
    webhook = service.webhook()
    pause(service, webhook)
    held(service, webhook, BATCH + 2)
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204
    work(service)
    assert how_many_held(service) == 0
    run(service, "retry")
    assert states(service) == {"failed": BATCH + 2}
    assert delivery(service, held_one(service))["last_error"]["code"] == "webhook_deleted"


def held_one(service: Service) -> str:
    return str(service.sql.run("SELECT id FROM webhook.webhook_deliveries LIMIT 1")[0][0])


def claimed(service: Service) -> list[Any]:
    """A delivery that is claimed and about to be held, because its webhook was paused when it was read."""
    (pair,) = sent(service, "delivery").items()
    return claim(dict([pair]), 60_000, Lane.FRESH, {}).claims


def waits_for_a_lock(service: Service) -> bool:
    asked = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"
    return bool(service.sql.run(asked)[0][0])


def until(true: Any) -> None:
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, "it never came to that"
        time.sleep(0.01)


def test_a_hold_that_comes_first_is_seen_by_the_resume_that_waits_for_it(
    service: Service, databases: Databases
) -> None:
    """The hold has its lock on the webhook and has not committed yet; the resume comes in between."""
    webhook = service.webhook()
    service.event()
    pause(service, webhook)
    (taken,) = claimed(service)
    rows = unsent._tokens([taken])
    with databases.connect(settings().database.url) as holder:
        holder.run("BEGIN")
        waiting = [str(id) for (id,) in holder.run(str(unsent.LOCK.text), webhooks=[webhook["id"]])]
        holder.run(str(unsent.HOLD.text), **rows, waiting=waiting)
        answers: list[Any] = []
        resuming = threading.Thread(target=lambda: answers.append(resume(service, webhook)))
        resuming.start()
        until(lambda: waits_for_a_lock(service))
        holder.run("COMMIT")
        resuming.join(10)
    (answer,) = answers
    assert (answer.status, answer.body["released"]) == (200, 1)
    assert how_many_held(service) == 0
    assert set(sent(service)) == {taken.id}


def test_a_hold_that_comes_second_finds_the_webhook_active_and_holds_nothing(
    service: Service, databases: Databases
) -> None:
    """The resume has changed the webhook and has not committed yet; the hold comes in between."""
    webhook = service.webhook()
    service.event()
    pause(service, webhook)
    (taken,) = claimed(service)
    with databases.connect(settings().database.url) as resumer:
        resumer.run("BEGIN")
        resumer.run("UPDATE webhook.webhooks SET status = 'active' WHERE id = :id", id=webhook["id"])
        assert resumer.run(HELD) == [[0]], "there is nothing to give back"
        holding_ = threading.Thread(target=lambda: unsent._hold([taken]))
        holding_.start()
        until(lambda: waits_for_a_lock(service))
        resumer.run("COMMIT")
        holding_.join(10)
    assert how_many_held(service) == 0
    assert dispatch_all(service)["deliveries"] == 1


def test_a_release_does_not_run_past_a_pause_that_is_being_committed(
    service: Service, databases: Databases
) -> None:
    webhook = service.webhook()
    held(service, webhook, 2)
    given: list[Any] = []

    def release() -> None:
        with transaction() as connection:
            given.extend(holding.give_back(connection, service.project_id, webhook["id"]))

    with databases.connect(settings().database.url) as pauser:
        pauser.run("BEGIN")
        pauser.run("UPDATE webhook.webhooks SET status = 'paused' WHERE id = :id", id=webhook["id"])
        releasing = threading.Thread(target=release)
        releasing.start()
        until(lambda: waits_for_a_lock(service))
        pauser.run("COMMIT")
        releasing.join(10)
    assert given == []
    assert how_many_held(service) == 2


def test_accepting_events_does_not_wait_for_a_pause_that_is_being_made(
    service: Service, databases: Databases
) -> None:
    webhook = service.webhook()
    with databases.connect(settings().database.url) as another:
        another.run("BEGIN")
        another.run("SELECT id FROM webhook.webhooks WHERE id = :id FOR NO KEY UPDATE", id=webhook["id"])
        service.sql.run("SET lock_timeout = '100ms'")
        assert service.event()["webhooks_matched"] == 1
        another.run("ROLLBACK")


def test_while_a_message_is_late_a_resumed_delivery_is_not_sent_twice(
    service: Service, receiver: Endpoint
) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    late = service.messages()
    pause(service, webhook)
    deliver.handler({"Records": late}, Context())
    resume(service, webhook)
    deliver.handler({"Records": late}, Context())
    run(service, "retry")
    deliver.handler({"Records": late}, Context())
    assert len(receiver.received) == 1
