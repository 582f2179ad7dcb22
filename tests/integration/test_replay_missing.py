"""Making up for what a webhook never got."""

import threading

import pytest
import sqlalchemy

from functions.adapters import database
from functions.domain import missed
from functions.domain.jobs import BATCH
from functions.jobs import handler as jobs
from functions.jobs import progress
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import (
    ago,
    audited,
    job,
    message,
    run,
    work,
)
from tests.integration.replays_scene import events, filtered, got_by, missing, replay


def made_ago(service: Service, hours: int) -> str:
    """An event that was accepted so many hours ago, and that nobody got."""
    ((id,),) = service.sql.run(
        "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id, created_at) SELECT"
        " uuidv7(- CAST(:h AS integer) * interval '1 hour'), CAST(:p AS uuid), 'invoice.paid', '{}', 'scene',"
        " now() - CAST(:h AS integer) * interval '1 hour' RETURNING id",
        h=hours,
        p=service.project_id,
    )
    return str(id)


def test_what_a_webhook_never_got_is_made_up_for(service: Service, receiver: Endpoint) -> None:
    webhook, other = service.webhook(url=receiver.url, event_types=["invoice.*"]), service.webhook()
    wanted = events(service, 3)
    events(service, 2, type="order.paid")
    got = replay(service, wanted[1], webhook_id=webhook["id"]).body["event_id"]
    run(service)
    started = missing(service, webhook)
    assert (started["kind"], started["total"]) == ("replay_missing", 2)
    work(service)
    done = job(service, started["id"])
    assert (done["status"], done["processed"], done["changed"]) == ("completed", 2, 2)
    assert got_by(service, webhook) == wanted
    assert got_by(service, other) == []
    run(service, "retry")
    assert {one.headers["webhook-id"] for one in receiver.received} == set(wanted)
    assert got == wanted[1]
    assert missing(service, webhook)["total"] == 0
    (_, entry) = audited(service, "webhook.replayed")
    assert (entry["resource"]["id"], entry["after"]["id"]) == (webhook["id"], started["id"])


@pytest.mark.parametrize("patterns", [["*"], ["invoice.paid", "order.paid"], ["invoice.*", "order.paid"]])
def test_missing_events_are_walked_in_batches_whatever_the_patterns(
    service: Service, monkeypatch: pytest.MonkeyPatch, patterns: list[str]
) -> None:
    """Looking at fewer than a batch makes, and at more; none twice, none left out."""
    webhook = service.webhook(event_types=patterns)
    first = events(service, BATCH // 2)
    events(service, 300, type="other") if patterns != ["*"] else None
    second = events(service, BATCH, type="order.paid")
    for look in (100, 10_000):
        monkeypatch.setattr(missed, "LOOK_AT", look)
        started = missing(service, webhook)
        assert started["total"] == len(first + second)
        work(service)
        done = job(service, started["id"])
        assert (done["status"], done["changed"]) == ("completed", len(first + second))
        assert got_by(service, webhook) == sorted(first + second)
        service.sql.run("DELETE FROM webhook.webhook_deliveries")


def test_a_filter_decides_what_is_missing(service: Service) -> None:
    webhook = service.webhook()
    filtered(service, webhook, {"amount": {"gt": 100}})
    wanted = events(service, 2, data='{"amount": 101}')
    events(service, 2, data='{"amount": 100}')
    events(service, 2, data='{"amount": "101"}')
    events(service, 2, data="null")
    assert missing(service, webhook)["total"] == 2
    work(service)
    assert got_by(service, webhook) == wanted


def test_the_window_is_by_when_events_were_accepted(service: Service) -> None:
    webhook = service.webhook()
    _, edge, _ = (made_ago(service, hours) for hours in (5, 3, 1))
    missing(service, webhook, since=ago(hours=4), until=ago(hours=2))
    work(service)
    assert got_by(service, webhook) == [edge]


def test_an_event_whose_key_was_made_by_a_clock_that_is_off_is_not_overlooked(service: Service) -> None:
    """A caller's own UUIDv7 may be a day old, or five minutes ahead."""
    webhook = service.webhook()
    for off in ("-23 hours", "4 minutes"):
        service.sql.run(
            "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)"
            " VALUES (uuidv7(CAST(:off AS interval)), CAST(:p AS uuid), 'invoice.paid', '{}', 'x')",
            off=off,
            p=service.project_id,
        )
    assert missing(service, webhook, since=ago(minutes=1))["total"] == 2
    work(service)
    assert len(got_by(service, webhook)) == 2


def test_tests_of_other_webhooks_and_expunged_events_are_not_missing(service: Service) -> None:
    webhook, other = service.webhook(), service.webhook()
    service.client("POST", f"/v1/webhooks/{other['id']}/test")
    service.client("POST", f"/v1/webhooks/{other['id']}/test", {"type": "invoice.paid"})
    (expunged,) = events(service)
    service.sql.run(
        "UPDATE webhook.webhook_events SET data = NULL, expunged_at = now() WHERE id = :id", id=expunged
    )
    assert missing(service, webhook)["total"] == 0
    work(service)
    assert got_by(service, webhook) == []


def test_two_jobs_at_once_make_nothing_twice(service: Service, databases: Databases) -> None:
    webhook = service.webhook()
    wanted = events(service, 2 * BATCH + 20)
    one, other = missing(service, webhook), missing(service, webhook)
    assert one["total"] == other["total"] == len(wanted)
    with databases.connect(settings().database.url) as another:
        another.run("BEGIN")
        lock = "SELECT pg_advisory_xact_lock(hashtextextended('missed ' || :id, 0))"
        another.run(lock, id=webhook["id"])
        service.messages("jobs")
        busy = jobs.handler({"Records": [message(one["id"], 1)]}, Context())
        assert busy == {"batchItemFailures": []}
        assert job(service, one["id"])["status"] == "queued", "it waits for its turn"
        another.run("ROLLBACK")
    for token in (1, 2, 3, 4):
        for started in (one, other):
            jobs.handler({"Records": [message(started["id"], token)]}, Context())
    done = [job(service, started["id"]) for started in (one, other)]
    assert [one["status"] for one in done] == ["completed", "completed"]
    assert sum(one["changed"] for one in done) == len(wanted)
    assert got_by(service, webhook) == wanted


def test_jobs_at_the_same_moment_make_nothing_twice(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each in a connection of its own, as functions are: one works, the others wait for another message."""
    webhook = service.webhook()
    wanted = events(service, 200)
    started = [missing(service, webhook) for _ in range(4)]
    four = sqlalchemy.create_engine(database.database_url(), pool_size=4)
    together, done = threading.Barrier(4), []

    def batch(id: str) -> None:
        together.wait()
        done.append(progress.advance(id, 1))

    threads = [threading.Thread(target=batch, args=(one["id"],)) for one in started]
    with monkeypatch.context() as several:
        several.setattr(database, "engine", lambda: four)
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    four.dispose()
    assert len(done) == 4
    assert sum(one.changed for one in done) == len(wanted)
    assert got_by(service, webhook) == wanted


def test_a_webhook_that_is_disabled_meanwhile_ends_the_job_with_a_sentence(service: Service) -> None:
    webhook = service.webhook()
    events(service, 3)
    started = missing(service, webhook)
    service.sql.run("UPDATE webhook.webhooks SET status = 'disabled'")
    work(service)
    done = job(service, started["id"])
    assert (done["status"], done["error"]) == ("failed", "the webhook was disabled or deleted meanwhile")
    assert got_by(service, webhook) == []


def test_a_webhook_without_subscriptions_misses_nothing(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run("DELETE FROM webhook.webhook_subscriptions")
    events(service, 2)
    assert missing(service, webhook)["total"] == 0
    work(service)
    assert got_by(service, webhook) == []
