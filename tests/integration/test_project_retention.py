"""A project that keeps its rows for less long than the deployment does, and the job that sees to it."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.domain import forgetting
from functions.settings import settings
from tests.integration.conftest import Client, Service
from tests.integration.levers_scene import dead_letter_of, failed, held, waiting
from tests.integration.locks import while_waiting
from tests.integration.maintain_scene import run_job

NewProject = Callable[..., tuple[str, Client]]
TABLES = ("webhook_events", "webhook_event_ids", "webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq")
ATTEMPTS = (
    "INSERT INTO webhook.webhook_delivery_attempts (project_id, delivery_id, attempt_number, request_url,"
    " request_headers, request_sent_at, error_code, error_message)"
    " SELECT project_id, id, n, 'http://x', '{}', now(), 'timeout', 't'"
    " FROM webhook.webhook_deliveries CROSS JOIN generate_series(1, 2) AS n"
)


def keep(service: Service, retention: Any, project: str = "") -> Any:
    return service.admin("PATCH", f"/v1/projects/{project or service.project_id}", {"retention": retention})


def rows(service: Service, project: str = "") -> dict[str, int]:
    """How many the project has."""
    return {
        table.removeprefix("webhook_"): int(
            service.sql.run(
                f"SELECT count(*) FROM webhook.{table} WHERE project_id = :id", id=project or service.project_id
            )[0][0]
        )
        for table in TABLES
    }


def some(service: Service, client: Client) -> None:
    """Three events of the project, each delivered after two attempts."""
    assert client("POST", "/v1/webhooks", {"name": "w", "url": "http://127.0.0.1:9/"}).status == 201
    for n in range(3):
        assert client("POST", "/v1/events", {"type": "a.b", "data": n, "id": f"e-{n}"}).status == 202
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET status = 'delivered', sweep_at = NULL, scheduled_at = NULL,"
        " delivered_at = now(), attempts = 2 WHERE sweep_at IS NOT NULL"
    )


def test_finished_rows_go_at_the_projects_own_age_and_those_of_others_stay(
    service: Service, new_project: NewProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(forgetting, "BATCH", 2)
    other, stranger = new_project()
    some(service, service.client)
    some(service, stranger)
    service.sql.run(ATTEMPTS)
    whole = {"events": 3, "event_ids": 3, "deliveries": 3, "delivery_attempts": 6, "dlq": 0}
    assert rows(service) == rows(service, other) == whole
    assert keep(service, {"events": 3, "deliveries": 5}).status == 200
    nothing = {"projects": 1, "deliveries": 0, "attempts": 0, "dead_letters": 0, "events": 0, "needed": 0}
    assert run_job("project_retention", days=2.9) == nothing
    assert run_job("project_retention", days=3.1) == {**nothing, "events": 3}
    assert rows(service) == {**whole, "events": 0, "event_ids": 0}
    assert run_job("project_retention", days=5.1) == {**nothing, "deliveries": 3, "attempts": 6}
    assert rows(service) == dict.fromkeys(whole, 0)
    assert rows(service, other) == whole


def test_an_id_of_an_event_that_went_may_be_used_anew(service: Service) -> None:
    first = service.event(id="e-1")["id"]
    keep(service, {"events": 1})
    assert run_job("project_retention", days=2)["events"] == 1
    assert service.event(id="e-1")["id"] != first


def test_what_is_unfinished_or_pending_stays_with_its_event_however_old(service: Service) -> None:
    webhook = service.webhook()
    keep(service, {"events": 1, "deliveries": 1})
    dead, discarded = failed(service, webhook, 2)
    service.client("POST", f"/v1/dead-letters/{dead_letter_of(service, discarded)}/discard")
    waiting(service, webhook)
    held(service, webhook)
    service.sql.run(ATTEMPTS)
    counts = run_job("project_retention", days=80)
    gone = {"deliveries": 1, "attempts": 2, "dead_letters": 1, "events": 1}
    assert counts == {"projects": 1, **gone, "needed": 1 + 3}
    assert rows(service) == {"events": 3, "event_ids": 0, "deliveries": 3, "delivery_attempts": 6, "dlq": 1}
    ((left,),) = service.sql.run("SELECT delivery_id FROM webhook.webhook_dlq")
    assert str(left) == dead
    assert service.client("POST", f"/v1/deliveries/{dead}/retry").status == 200


def test_a_delivery_that_is_retried_this_moment_stays(service: Service) -> None:
    """The retry comes first, and the job looks at the row again."""
    (id,) = failed(service, service.webhook())
    service.client("POST", f"/v1/dead-letters/{dead_letter_of(service, id)}/discard")
    keep(service, {"events": 1, "deliveries": 1})
    reopen = (
        "WITH letters AS (SELECT id FROM webhook.webhook_dlq FOR UPDATE)"
        " UPDATE webhook.webhook_deliveries SET status = 'pending', sweep_at = now(), failed_at = NULL"
        " WHERE (SELECT count(*) FROM letters) = 1"
    )
    counts = while_waiting(service, reopen, lambda: run_job("project_retention", days=2))
    assert (counts["deliveries"], counts["events"], counts["needed"]) == (0, 0, 1)


def test_an_event_that_is_replayed_this_moment_stays(service: Service) -> None:
    service.event()
    keep(service, {"events": 1})
    service.sql.run("BEGIN")
    service.sql.run("SELECT FROM webhook.webhook_events FOR SHARE")
    assert run_job("project_retention", days=2)["events"] == 0
    service.sql.run("COMMIT")
    assert run_job("project_retention", days=2)["events"] == 1


def test_without_time_nothing_is_deleted(service: Service) -> None:
    service.event()
    keep(service, {"events": 1})
    assert run_job("project_retention", days=2, seconds=0)["events"] == 0
    assert rows(service)["events"] == 1


def test_retention_is_shown_changed_taken_away_and_audited(service: Service) -> None:
    path = f"/v1/projects/{service.project_id}"
    assert service.admin("GET", path).body["retention"] is None
    changed = keep(service, {"events": 7})
    assert changed.body["retention"] == {"events": 7, "deliveries": None}
    assert service.admin("GET", path).body == changed.body
    assert service.admin("GET", "/v1/projects").body["data"][0]["retention"] == {"events": 7, "deliveries": None}
    assert keep(service, {"deliveries": 30}).body["retention"] == {"events": None, "deliveries": 30}
    assert service.admin("PATCH", path, {"name": "n"}).body["retention"] == {"events": None, "deliveries": 30}
    assert keep(service, None).body["retention"] is None
    assert service.sql.run("SELECT retention FROM webhook.projects") == [[None]]
    assert run_job("project_retention", days=100)["projects"] == 0
    (entry, *_) = service.client("GET", "/v1/audit-log?event=project.updated").body["data"]
    assert entry["before"]["retention"] == {"events": None, "deliveries": 30}
    assert entry["after"]["retention"] is None


@pytest.mark.parametrize(
    ("retention", "path"),
    [
        ({"events": 31}, "retention.events"),
        ({"deliveries": 91}, "retention.deliveries"),
        ({"events": 0}, "retention.events"),
        ({"events": -1, "deliveries": 5}, "retention.events"),
        ({"deliveries": 1.5}, "retention.deliveries"),
        ({"deliveries": "5"}, "retention.deliveries"),
        ({"events": True}, "retention.events"),
        ({"audit_log": 5}, "retention.audit_log"),
        ({}, "retention"),
        ({"events": None}, "retention.events"),
        (5, "retention"),
    ],
)
def test_a_retention_that_cannot_be_is_422_and_says_where(service: Service, retention: Any, path: str) -> None:
    answer = keep(service, retention)
    assert answer.status == 422, answer.body
    assert [one["path"] for one in answer.body["error"]["details"]] == [path]
    assert service.sql.run("SELECT retention FROM webhook.projects") == [[None]]


def test_the_most_is_what_the_deployment_keeps(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert keep(service, {"events": 30, "deliveries": 90}).status == 200
    monkeypatch.setenv("RETENTION_EVENTS_DAYS", "10")
    settings.cache_clear()
    refused = keep(service, {"events": 11})
    assert "at most 10" in refused.body["error"]["details"][0]["message"]
    assert keep(service, {"events": 10}).status == 200


def test_a_projects_own_key_does_not_change_it(service: Service) -> None:
    path = f"/v1/projects/{service.project_id}"
    assert service.client("PATCH", path, {"retention": {"events": 1}}).status == 403
