"""Background jobs as their project sees them, and nobody else."""

from typing import Any

from tests.integration.conftest import Service
from tests.integration.levers_scene import (
    ago,
    bound_client,
    failed,
    retry,
    start,
    states,
    work,
)


def test_jobs_are_listed_by_kind_status_and_time(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook, 2)
    first = retry(service, webhook)
    work(service)
    since = {"since": ago(hours=1)}
    second = start(service, f"/v1/webhooks/{webhook['id']}/recover", since)

    def listed(query: str) -> list[str]:
        answer = service.client("GET", f"/v1/jobs?{query}")
        assert answer.status == 200, answer.body
        return [one["id"] for one in answer.body["data"]]

    assert listed("") == [second["id"], first["id"]]
    assert listed("kind=recover") == listed("status=queued") == [second["id"]]
    assert listed("status=completed&kind=retry") == [first["id"]]
    assert listed(f"created_after={second['created_at']}") == [second["id"]]
    assert listed(f"created_before={second['created_at']}") == [first["id"]]
    page = service.client("GET", "/v1/jobs?limit=1").body
    assert [one["id"] for one in page["data"]] == [second["id"]]
    assert listed(f"limit=1&cursor={page['next_cursor']}") == [first["id"]]
    for query in ("kind=nothing", "status=nothing", "cursor=nothing"):
        assert service.client("GET", f"/v1/jobs?{query}").status == 422


def test_a_job_is_its_projects_and_its_applications_alone(service: Service, new_project: Any) -> None:
    application, bound = bound_client(service)
    _, stranger = new_project()
    of_all = service.webhook()
    own = bound("POST", "/v1/webhooks", {"name": "own", "url": "http://127.0.0.1:9/"}).body
    failed(service, of_all)
    failed(service, own)
    both = service.client("POST", "/v1/deliveries/retry", {"created_after": ago(hours=1)}).body
    mine = bound("POST", "/v1/deliveries/retry", {"created_after": ago(hours=1)}).body
    assert (both["total"], mine["total"]) == (2, 1)
    assert [one["id"] for one in bound("GET", "/v1/jobs").body["data"]] == [mine["id"]]
    for client in (bound, stranger):
        assert client("GET", f"/v1/jobs/{both['id']}").status == 404
        assert client("POST", f"/v1/jobs/{both['id']}/cancel").status == 404
    assert stranger("GET", "/v1/jobs").body["data"] == []
    service.client("POST", f"/v1/jobs/{both['id']}/cancel")
    work(service)
    assert application == own["application_id"]
    assert states(service) == {"pending": 1, "failed": 1}, "only the application's was retried"


def test_reading_jobs_and_cancelling_them_takes_the_scope(service: Service, new_project: Any) -> None:
    _, reader = new_project("deliveries:read")
    _, writer = new_project("deliveries:write")
    id = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"
    assert reader("GET", "/v1/jobs").status == 200
    assert reader("POST", f"/v1/jobs/{id}/cancel").status == 403
    assert writer("GET", "/v1/jobs").status == 403
    assert writer("GET", f"/v1/jobs/{id}").status == 403
    for method, path in (("GET", "/v1/jobs/x"), ("POST", "/v1/jobs/x/cancel"), ("GET", f"/v1/jobs/{id}")):
        assert service.client(method, path).status == 404


def test_a_project_has_at_most_a_hundred_unfinished_jobs(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run(
        "INSERT INTO webhook.jobs (project_id, kind, parameters, total, correlation_id, sweep_at)"
        " SELECT CAST(:id AS uuid), 'retry', '{}', 0, 'x', now() FROM generate_series(1, 100)",
        id=service.project_id,
    )
    refused = service.client("POST", "/v1/deliveries/retry", {"webhook_id": webhook["id"]})
    assert refused.status == 409
    body = {"webhook_id": webhook["id"], "dry_run": True}
    assert service.client("POST", "/v1/deliveries/retry", body).status == 200
    service.sql.run("UPDATE webhook.jobs SET status = 'completed', sweep_at = NULL, finished_at = now()")
    assert service.client("POST", "/v1/deliveries/retry", {"webhook_id": webhook["id"]}).status == 202


def test_a_job_goes_on_after_its_key_was_revoked(service: Service) -> None:
    """What was allowed when it was asked for is done."""
    webhook = service.webhook()
    (id,) = failed(service, webhook)
    retry(service, webhook)
    service.sql.run("UPDATE webhook.api_keys SET revoked_at = now()")
    work(service)
    ((status,),) = service.sql.run("SELECT status FROM webhook.webhook_deliveries WHERE id = :id", id=id)
    assert status == "pending"
