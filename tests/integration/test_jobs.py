"""Background jobs: bounded batches that survive whatever dies, one after the other."""

from typing import Any

import pg8000.native
import pytest
from sqlalchemy import Connection, text

from functions.adapters import database
from functions.dispatch import handler as dispatch
from functions.domain import reopening
from functions.domain.jobs import BATCH, Batch, Job
from functions.jobs import handler as jobs
from functions.jobs import kinds
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.conftest import Context, Service
from tests.integration.levers_scene import (
    audited,
    dispatch_all,
    failed,
    held,
    job,
    message,
    retry,
    sent,
    states,
    tokens,
    work,
)


def go_on(id: str, token: int) -> dict[str, Any]:
    return dict(jobs.handler({"Records": [message(id, token)]}, Context()))


def row(service: Service, id: str) -> tuple[str, int, int]:
    ((status, token, failures),) = service.sql.run(
        "SELECT status, token, failures FROM webhook.jobs WHERE id = :id", id=id
    )
    return status, token, failures


def failing(monkeypatch: pytest.MonkeyPatch, batch: Any) -> None:
    """Put this in the place of what a retry does."""
    monkeypatch.setitem(kinds.KINDS, "retry", batch)


def test_a_small_job_is_done_by_its_first_message(service: Service) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, 3)
    started = retry(service, webhook)
    assert (started["kind"], started["status"], started["total"]) == ("retry", "queued", 3)
    assert (started["processed"], started["started_at"], started["finished_at"]) == (0, None, None)
    assert work(service) == 1
    done = job(service, started["id"])
    assert (done["status"], done["total"], done["processed"], done["changed"]) == ("completed", 3, 3, 3)
    assert done["started_at"] <= done["finished_at"]
    assert done["error"] is None
    assert sent(service) == dict.fromkeys(ids, 2)
    assert states(service) == {"pending": 3}


def test_a_long_job_goes_batch_by_batch_and_can_be_watched(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook, 2 * BATCH + 1)
    started = retry(service, webhook)
    seen = []
    while records := service.messages("jobs"):
        (record,) = records
        jobs.handler({"Records": [record]}, Context())
        now = job(service, started["id"])
        seen.append((now["status"], now["processed"], now["changed"]))
    assert seen == [
        ("running", BATCH, BATCH),
        ("running", 2 * BATCH, 2 * BATCH),
        ("completed", 2 * BATCH + 1, 2 * BATCH + 1),
    ]
    assert len(sent(service)) == 2 * BATCH + 1


def test_a_function_that_dies_after_its_commit_loses_nothing_and_does_nothing_twice(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, BATCH + 10)
    started = retry(service, webhook)
    (first,) = service.messages("jobs")

    def killed(_done: object) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as dying:
        dying.setattr(jobs, "_follow", killed)
        with pytest.raises(RuntimeError, match="killed"):
            jobs.handler({"Records": [first]}, Context())
    assert job(service, started["id"])["changed"] == BATCH
    assert service.messages("jobs") == []
    assert jobs.handler({"Records": [first]}, Context()) == {"batchItemFailures": []}, "SQS brings it once more"
    assert job(service, started["id"])["changed"] == BATCH
    counts = dispatch_all(service)
    assert (counts["jobs"], counts["deliveries"]) == (1, BATCH), "those that were reopened without a message, too"
    work(service)
    assert job(service, started["id"])["changed"] == BATCH + 10
    assert tokens(service, ids) == {2}, "each was reopened once"
    assert set(sent(service)) == set(ids)


def test_a_function_that_dies_before_its_commit_did_nothing(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, 4)
    started = retry(service, webhook)

    def batch(connection: Connection, one: Job) -> Batch:
        reopening.batch(connection, one)
        raise KeyboardInterrupt

    with monkeypatch.context() as dying:
        failing(dying, batch)
        with pytest.raises(KeyboardInterrupt):
            go_on(started["id"], 1)
    assert states(service) == {"failed": 4}
    assert row(service, started["id"]) == ("queued", 1, 0)
    work(service)
    assert tokens(service, ids) == {2}


def test_stale_and_repeated_messages_do_nothing(service: Service) -> None:
    webhook = service.webhook()
    ids = failed(service, webhook, 2)
    started = retry(service, webhook)
    for token in (2, 1, 1, 2, 3):
        assert go_on(started["id"], token) == {"batchItemFailures": []}
    assert go_on("01a1f8b1-9224-7dd5-93c0-8632c1ed87f3", 1) == {"batchItemFailures": []}
    assert job(service, started["id"])["changed"] == 2
    assert tokens(service, ids) == {2}
    assert len(sent(service)) == 2


def test_of_two_messages_at_once_one_works_and_the_other_does_not_wait(
    service: Service, databases: Databases
) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    with databases.connect(settings().database.url) as another:
        another.run("BEGIN")
        another.run("SELECT id FROM webhook.jobs FOR UPDATE")
        assert go_on(started["id"], 1) == {"batchItemFailures": []}
        assert row(service, started["id"]) == ("queued", 1, 0)
        another.run("ROLLBACK")
    go_on(started["id"], 1)
    assert job(service, started["id"])["status"] == "completed"


def test_a_job_that_fails_three_times_in_a_row_ends_and_says_so(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    failed(service, webhook, BATCH + 1)
    started = retry(service, webhook)
    go_on(started["id"], 1)

    def batch(_connection: Connection, _job: Job) -> Batch:
        raise ZeroDivisionError

    failing(monkeypatch, batch)
    seen = []
    for token in (2, 3, 4, 5):
        assert go_on(started["id"], token) == {"batchItemFailures": []}
        seen.append(row(service, started["id"]))
    assert seen == [("running", 3, 1), ("running", 4, 2), ("failed", 5, 3), ("failed", 5, 3)]
    ended = job(service, started["id"])
    assert ended["error"].startswith("three batches in a row failed")
    assert ended["finished_at"]
    assert ended["changed"] == BATCH
    assert dispatch_all(service)["jobs"] == 0


def test_a_batch_that_works_forgets_the_failures_before_it(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    failed(service, webhook, BATCH + 1)
    started = retry(service, webhook)

    def batch(_connection: Connection, _job: Job) -> Batch:
        raise ZeroDivisionError

    with monkeypatch.context() as broken:
        failing(broken, batch)
        go_on(started["id"], 1)
        go_on(started["id"], 2)
    assert row(service, started["id"])[2] == 2
    go_on(started["id"], 3)
    assert row(service, started["id"]) == ("running", 4, 0)


def test_a_failed_batch_is_tried_again_after_a_moment(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    service.messages("jobs")
    with monkeypatch.context() as broken:
        failing(broken, lambda _connection, _job: 1 / 0)
        go_on(started["id"], 1)
    waiting = service.sqs.get_queue_attributes(
        QueueUrl=settings().jobs_queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert waiting["Attributes"]["ApproximateNumberOfMessagesDelayed"] == "1"
    assert dispatch_all(service)["jobs"] == 1, "were that message lost"
    work(service)
    assert job(service, started["id"])["status"] == "completed"


def test_a_statement_that_takes_too_long_is_the_jobs_own_failure(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)

    def batch(connection: Connection, _job: Job) -> Batch:
        connection.execute(text("SET LOCAL statement_timeout = '20ms'"))
        connection.execute(text("SELECT pg_sleep(5)"))
        raise AssertionError("it is canceled")

    failing(monkeypatch, batch)
    assert go_on(started["id"], 1) == {"batchItemFailures": []}
    assert row(service, started["id"]) == ("running", 2, 1)


def test_while_the_database_is_away_the_message_stays_and_the_job_is_not_blamed(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    monkeypatch.setattr(database, "PAUSES_SECONDS", (0.01,))

    def batch(connection: Connection, _job: Job) -> Batch:
        connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        raise AssertionError("the connection is gone")

    with monkeypatch.context() as away:
        failing(away, batch)
        with pytest.raises(database.DBAPIError):
            go_on(started["id"], 1)
    assert row(service, started["id"]) == ("queued", 1, 0)
    work(service)
    assert job(service, started["id"])["status"] == "completed"


def test_a_job_is_cancelled_between_its_batches(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook, BATCH + 5)
    started = retry(service, webhook)
    (first,) = service.messages("jobs")
    jobs.handler({"Records": [first]}, Context())
    cancelled = service.client("POST", f"/v1/jobs/{started['id']}/cancel")
    assert (cancelled.status, cancelled.body["status"], cancelled.body["changed"]) == (200, "cancelled", BATCH)
    assert cancelled.body["finished_at"]
    assert work(service) == 1, "the message for the next batch is there, and stale"
    assert states(service) == {"pending": BATCH, "failed": 5}
    assert dispatch_all(service)["jobs"] == 0
    again = service.client("POST", f"/v1/jobs/{started['id']}/cancel")
    assert (again.status, again.body) == (200, cancelled.body)
    (entry,) = audited(service, "job.cancelled")
    assert (entry["before"]["status"], entry["after"]["status"]) == ("running", "cancelled")
    assert (entry["level"], entry["resource"]["id"]) == ("warning", started["id"])


def test_a_finished_job_and_a_release_are_not_cancelled(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    work(service)
    refused = service.client("POST", f"/v1/jobs/{started['id']}/cancel")
    assert (refused.status, refused.body["error"]["message"]) == (409, "the job has completed already")
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    held(service, webhook, BATCH + 1)
    release = service.client("POST", f"/v1/webhooks/{webhook['id']}/resume").body["job_id"]
    assert service.client("POST", f"/v1/jobs/{release}/cancel").status == 409


def test_dispatch_sends_the_message_that_was_lost_with_the_token_it_had(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    (lost,) = service.messages("jobs")
    assert dispatch.handler({}, Context())["jobs"] == 0, "not before its time"
    assert dispatch_all(service)["jobs"] == 1
    assert dispatch.handler({}, Context())["jobs"] == 0, "nor twice"
    (another,) = service.messages("jobs")
    assert another["body"] == lost["body"]
    assert another["attributes"]["MessageGroupId"] == service.project_id
    go_on(started["id"], 1)
    assert job(service, started["id"])["status"] == "completed"


@pytest.mark.parametrize("body", ["", "{}", "nonsense", '{"v":1,"deliveries":[]}', '{"v":1,"job":"x","token":1}'])
def test_a_foreign_message_fails_and_is_visible_again_at_once(service: Service, body: str) -> None:
    service.sqs.send_message(QueueUrl=settings().jobs_queue_url, MessageBody=body or " ", MessageGroupId="x")
    (record,) = service.messages("jobs")
    failures = jobs.handler({"Records": [record]}, Context())
    assert failures == {"batchItemFailures": [{"itemIdentifier": record["messageId"]}]}
    assert [one["messageId"] for one in service.messages("jobs")] == [record["messageId"]]


def test_a_cancel_waits_for_the_batch_that_is_being_done(
    service: Service, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    started = retry(service, webhook)
    refused: list[str] = []

    def batch(connection: Connection, one: Job) -> Batch:
        with databases.connect(settings().database.url) as another:
            another.run("SET lock_timeout = '50ms'")
            with pytest.raises(pg8000.native.DatabaseError) as error:
                another.run("SELECT id FROM webhook.jobs WHERE id = :id FOR UPDATE", id=one.id)
        refused.append(error.value.args[0]["C"])
        return reopening.batch(connection, one)

    failing(monkeypatch, batch)
    go_on(started["id"], 1)
    assert refused == ["55P03"]
    assert job(service, started["id"])["status"] == "completed"
