"""Jobs of the admin key: erasing what a project has."""

from functions.jobs import handler as jobs
from tests.integration.conftest import Context, Service
from tests.integration.levers_scene import (
    ago,
    audited,
    failed,
    job,
    start,
    states,
    work,
)

UNKNOWN = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def test_a_project_is_expunged_by_a_job_that_the_admin_watches(service: Service) -> None:
    service.webhook()
    for _ in range(3):
        service.event()
    path = f"/v1/projects/{service.project_id}/expunge"
    all_of_it = {"before": "2099-01-01T00:00:00Z"}
    assert service.client("POST", path, all_of_it).status == 403
    said = service.admin("POST", path, {})
    assert (said.status, said.body["error"]["details"][0]["path"]) == (422, "before"), "it cannot be undone"
    counted = service.admin("POST", path, {**all_of_it, "dry_run": True})
    assert (counted.status, counted.body) == (200, {"dry_run": True, "matched": 3})
    started = service.admin("POST", path, all_of_it, headers={"idempotency-key": "e"})
    assert (started.status, started.body["kind"], started.body["total"]) == (202, "expunge", 3)
    assert service.admin("POST", path, all_of_it, headers={"idempotency-key": "e"}).body == started.body
    work(service)
    done = service.admin("GET", f"/v1/jobs/{started.body['id']}").body
    assert (done["status"], done["changed"]) == ("completed", 3)
    assert job(service, started.body["id"]) == done, "the project's own keys see it as well"
    assert service.sql.run("SELECT DISTINCT data FROM webhook.webhook_events") == [[None]]
    (entry,) = audited(service, "project.expunged")
    assert (entry["actor"]["type"], entry["resource"]["id"]) == ("admin", service.project_id)
    assert service.admin("POST", f"/v1/projects/{UNKNOWN}/expunge", all_of_it).status == 404
    assert service.admin("POST", "/v1/projects/x/expunge", all_of_it).status == 404
    assert service.admin("POST", path, {"before": "2020-01-01T00:00:00Z", "dry_run": True}).body["matched"] == 0


def test_the_admin_key_cancels_what_it_started_and_sees_no_other_job(service: Service) -> None:
    webhook = service.webhook()
    failed(service, webhook)
    other = start(service, "/v1/deliveries/retry", {"webhook_id": webhook["id"]})
    assert service.admin("GET", f"/v1/jobs/{other['id']}").status == 404
    assert service.admin("POST", f"/v1/jobs/{other['id']}/cancel").status == 404
    mine = service.admin("POST", f"/v1/projects/{service.project_id}/expunge", {"before": ago(hours=0)}).body
    cancelled = service.admin("POST", f"/v1/jobs/{mine['id']}/cancel")
    assert (cancelled.status, cancelled.body["status"]) == (200, "cancelled")
    jobs.handler({"Records": service.messages("jobs")}, Context())
    assert states(service) == {"pending": 1}
    (entry,) = audited(service, "job.cancelled")
    assert entry["actor"]["type"] == "admin"
