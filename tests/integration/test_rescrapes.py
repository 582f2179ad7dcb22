"""POST /v1/change-events/{id}/rescrape: a rescrape that somebody asks for."""

from collections.abc import Callable

import pytest

from functions.domain.ids import uuid7
from tests.integration.conftest import Client
from tests.integration.levers_scene import audited
from tests.integration.rescrape_scene import Scene, scene, start_of

__all__ = ["scene"]


def path(id: str) -> str:
    return f"/v1/change-events/{id}/rescrape"


@pytest.mark.parametrize("enabled", [True, False])
def test_it_is_queued_and_done(scene: Scene, enabled: bool) -> None:
    change = scene.change(scene.source(enabled=enabled))
    answer = scene.service.client("POST", path(change))
    row = scene.row(change)
    assert answer.status == 202
    assert answer.body == {"change_event_id": change, "job_id": row["rescrape_job_id"], "status": "queued"}
    (entry,) = audited(scene.service, "change_event.rescraped")
    assert (entry["resource"], entry["after"]) == ({"type": "change_event", "id": change}, answer.body)
    assert scene.run() == 1
    assert scene.row(change)["rescrape_status"] == "completed"


def test_one_at_a_time(scene: Scene) -> None:
    change = scene.change(scene.source())
    first = scene.service.client("POST", path(change))
    second = scene.service.client("POST", path(change))
    assert (first.status, second.status) == (202, 409)
    assert second.body["error"]["message"] == (
        f"the page is being scraped again already, by job {first.body['job_id']}"
    )
    scene.run()
    again = scene.service.client("POST", path(change), {})
    assert again.status == 202
    assert again.body["job_id"] != first.body["job_id"]


def test_whoever_is_a_moment_too_late_is_told_so(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    change = scene.change(scene.source())
    monkeypatch.setattr("functions.api.routes.rescrapes._check", lambda _: None)
    assert start_of(change)
    assert scene.service.client("POST", path(change)).status == 409
    assert audited(scene.service, "change_event.rescraped") == []


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ({"policy": False}, "the source has no rescrape policy: give it one first"),
        ({"key": None}, "the source has no key to Firecrawl's API: give it one first"),
    ],
)
def test_what_the_source_lacks_is_said(scene: Scene, source: dict[str, object], said: str) -> None:
    answer = scene.service.client("POST", path(scene.change(scene.source(**source))))  # type: ignore[arg-type]
    assert (answer.status, answer.body["error"]["message"]) == (409, said)
    assert scene.messages() == []


def test_a_source_that_is_deleted_is_asked_no_more(scene: Scene) -> None:
    change = scene.change(scene.source())
    scene.service.sql.run("UPDATE webhook.sources SET deleted_at = now()")
    answer = scene.service.client("POST", path(change))
    assert (answer.status, answer.body["error"]["message"]) == (409, "the source of the change event was deleted")


def test_the_same_key_is_the_same_rescrape(scene: Scene) -> None:
    change = scene.change(scene.source())
    headers = {"idempotency-key": "once"}
    answers = [scene.service.client("POST", path(change), headers=headers) for _ in range(2)]
    assert [one.status for one in answers] == [202, 202]
    assert answers[0].body == answers[1].body
    assert len(scene.messages()) == 1


def test_a_change_event_of_somebody_else_is_not_there(
    scene: Scene, new_project: Callable[..., tuple[str, Client]]
) -> None:
    _, stranger = new_project()
    application, another = scene.service.application(), scene.service.application(name="another")
    change = scene.change(scene.source(application_id=application["id"]))
    for client in (stranger, scene.service.key(application_id=another["id"])):
        assert client("POST", path(change)).status == 404
    assert scene.service.client("POST", path(uuid7())).status == 404
    assert scene.service.client("POST", path("no-id")).status == 404
    assert scene.service.key("sources:read")("POST", path(change)).status == 403
    assert scene.service.key("sources:write", application_id=application["id"])("POST", path(change)).status == 202
