"""How the service says that it is doing: `/health` for everybody, `/v1/health` for whoever runs it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.adapters import database
from functions.adapters.database import connect_owner
from functions.api import checks, examination
from functions.dispatch import handler as dispatch
from functions.domain.partitions import make_missing
from functions.settings import settings
from tests.integration.conftest import Answer, Client, Context, Service
from tests.integration.figures_scene import gauges


@pytest.fixture
def well(service: Service) -> Service:
    """A service that has run for a while."""
    service.sql.run("DELETE FROM webhook.audit_log")
    with connect_owner() as connection:
        make_missing(connection)
    dispatch.handler({}, Context())
    gauges()
    return service


def check(answer: Answer, name: str) -> dict[str, Any]:
    [found] = [one for one in answer.body["checks"] if one["name"] == name]
    return dict(found)


def test_a_service_that_is_well_says_so_part_by_part(well: Service) -> None:
    answer = well.admin("GET", "/v1/health")
    assert (answer.status, answer.body["status"], answer.body["reasons"]) == (200, "healthy", [])
    assert [one["name"] for one in answer.body["checks"]] == [
        *("database", "schema", "pool", "partitions", "dispatcher", "maintenance", "deliveries", "report"),
        "queues",
    ]
    assert {one["status"] for one in answer.body["checks"]} == {"healthy"}
    assert check(answer, "pool")["figures"]["max_connections"] == 100
    assert check(answer, "pool")["figures"]["pool_size"] == 1
    assert check(answer, "partitions")["figures"]["days_ahead"].keys() == {
        *("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "audit_log"),
        *("request_metrics", "operation_metrics"),
    }


def test_it_takes_the_admin_key(service: Service) -> None:
    for path in ("/v1/health", "/v1/admin/database"):
        assert service.client("GET", path).status == 403
        assert Client("nobody's")("GET", path).status == 401


def test_before_anything_has_run_it_is_degraded_and_says_of_what(service: Service) -> None:
    answer = service.admin("GET", "/v1/health")
    assert (answer.status, answer.body["status"]) == (200, "degraded")
    assert {reason.partition(":")[0] for reason in answer.body["reasons"]} == {
        *("partitions", "dispatcher", "report")
    }
    assert check(answer, "dispatcher")["message"] == "dispatch has never run"


@pytest.mark.parametrize(("ago", "status", "code"), [(100, "healthy", 200), (300, "degraded", 200)])
def test_a_dispatcher_that_is_late_is_told(well: Service, ago: int, status: str, code: int) -> None:
    late(well, ago)
    answer = well.admin("GET", "/v1/health")
    assert (answer.status, check(answer, "dispatcher")["status"]) == (code, status)
    assert ago <= check(answer, "dispatcher")["figures"]["age_seconds"] < ago + 60


def test_a_dispatcher_that_does_not_run_any_more_makes_it_unhealthy(well: Service) -> None:
    late(well, 3600)
    answer = well.admin("GET", "/v1/health")
    assert (answer.status, answer.body["status"]) == (503, "unhealthy")
    assert [reason.partition(":")[0] for reason in answer.body["reasons"]] == ["dispatcher"]


def late(service: Service, seconds: int) -> None:
    service.sql.run(
        "UPDATE webhook.heartbeats SET succeeded_at = :at WHERE name = 'dispatch'",
        at=datetime.now(UTC) - timedelta(seconds=seconds),
    )


def test_a_delivery_that_is_overdue_is_told(well: Service) -> None:
    well.webhook()
    well.event()
    well.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() - interval '10 minutes'")
    answer = well.admin("GET", "/v1/health")
    assert check(answer, "deliveries")["status"] == "degraded"
    assert 600 <= check(answer, "deliveries")["figures"]["overdue_seconds"] < 700
    well.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() - interval '2 hours'")
    assert well.admin("GET", "/v1/health").status == 503


@pytest.mark.parametrize(("revision", "status"), [("0001", "unhealthy"), ("9999", "degraded")])
def test_a_schema_behind_this_release_is_worse_than_one_ahead_of_it(
    well: Service, revision: str, status: str
) -> None:
    well.sql.run("UPDATE webhook.alembic_version SET version_num = :revision", revision=revision)
    answer = well.admin("GET", "/v1/health")
    assert check(answer, "schema")["status"] == status == answer.body["status"]
    assert check(answer, "schema")["figures"]["revision"] == revision


def test_a_job_that_failed_is_named_with_its_error(well: Service) -> None:
    well.sql.run(
        "UPDATE webhook.heartbeats SET failed_at = now(), error = 'no disk' WHERE name = 'maintain.gauges'"
    )
    found = check(well.admin("GET", "/v1/health"), "maintenance")
    assert (found["status"], found["figures"]["errors"]) == ("degraded", {"maintain.gauges": "no disk"})


def test_messages_are_counted_and_those_of_our_own_that_died_are_told(
    well: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead = well.sqs.create_queue(QueueName="delivery-dlq-of-health")["QueueUrl"]
    arn = f"arn:aws:sqs:eu-central-1:000000000000:{dead.rpartition('/')[2]}"
    policy = f'{{"deadLetterTargetArn": "{arn}", "maxReceiveCount": "5"}}'
    well.sqs.set_queue_attributes(QueueUrl=settings().delivery_queue_url, Attributes={"RedrivePolicy": policy})
    well.webhook()
    well.event()
    found = check(well.admin("GET", "/v1/health"), "queues")
    assert found["status"] == "healthy"
    assert found["figures"]["delivery"] == {"waiting": 1, "under_way": 0, "delayed": 0}
    assert found["figures"]["delivery_dlq"]["waiting"] == 0
    well.sqs.send_message(QueueUrl=dead, MessageBody="{}")
    found = check(well.admin("GET", "/v1/health"), "queues")
    assert (found["status"], found["figures"]["delivery_dlq"]["waiting"]) == ("degraded", 1)


def test_queues_that_do_not_answer_leave_the_rest_of_the_answer(
    well: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DELIVERY_QUEUE_URL", "http://127.0.0.1:9/000000000000/nobody")
    settings.cache_clear()
    answer = well.admin("GET", "/v1/health")
    assert (answer.status, answer.body["status"]) == (200, "degraded")
    assert [reason.partition(":")[0] for reason in answer.body["reasons"]] == ["queues"]


def test_a_check_that_is_wrong_itself_leaves_the_rest_of_the_answer(
    well: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(checks.queries, "overdue_seconds", lambda _connection: 1 / 0)
    answer = well.admin("GET", "/v1/health")
    assert answer.body["reasons"] == ["deliveries: the check itself failed: the log says why"]
    assert check(answer, "report")["status"] == "healthy"


def test_a_table_that_is_locked_costs_one_check_its_time_and_no_more(well: Service) -> None:
    well.sql.run("BEGIN")
    well.sql.run("LOCK TABLE webhook.alembic_version IN ACCESS EXCLUSIVE MODE")
    answer = well.admin("GET", "/v1/health")
    well.sql.run("COMMIT")
    assert [reason.partition(":")[0] for reason in answer.body["reasons"]] == ["schema"]
    assert check(answer, "schema")["duration_ms"] >= examination.ANSWER_SECONDS * 900
    assert check(answer, "report")["status"] == "healthy"


def test_when_its_time_is_up_no_check_begins(well: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "BUDGET_SECONDS", -1)
    answer = well.admin("GET", "/v1/health")
    assert answer.status == 200
    assert {one["message"] for one in answer.body["checks"]} == {"not asked: the others took too long"}


def test_without_the_database_it_is_unhealthy_and_still_answers(
    well: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", "postgresql://x:x@127.0.0.1:9/none")
    for cached in (settings, database.engine):
        cached.cache_clear()
    answer = well.admin("GET", "/v1/health")
    assert (answer.status, answer.body["status"]) == (503, "unhealthy")
    assert check(answer, "database")["status"] == "unhealthy"
    assert check(answer, "queues")["status"] == "healthy"
    cheap = Client()("GET", "/health")
    assert (cheap.status, cheap.body) == (503, {"status": "unhealthy"})
