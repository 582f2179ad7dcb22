"""A rescrape from its message to the event that tells of the document (B7)."""

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from functions.rescrape import handler as rescrape
from functions.settings import settings
from tests.integration.firecrawl import KEY, MARKDOWN, TITLE, Handler
from tests.integration.rescrape_scene import (
    BUCKET,
    LAMBDA,
    WATCH_URL,
    Scene,
    configured,
    record,
    scene,
    start_of,
)

__all__ = ["configured", "scene"]


def test_a_page_is_scraped_stored_and_told_of(scene: Scene) -> None:
    started = scene.started()
    assert scene.run() == 1
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"], row["rescrape_error"]) == ("completed", 1, None)
    assert row["rescrape_sweep_at"] is None
    assert row["rescrape_started_at"] <= row["rescrape_finished_at"]
    assert row["indexed_at"] is not None
    key = row["document_key"]
    assert key == (f"documents/{scene.service.project_id}/{row['source_id']}/{started.id}/{started.job_id}.json")
    assert scene.document(key) == scene.firecrawl.document(WATCH_URL)
    (event,) = scene.events()
    assert event["id"] == row["document_event_id"]
    assert event["id"] == started.job_id, "a job that is run twice tells of the same event"
    data = event["data"]
    assert data["metadata"]["sourceURL"] == WATCH_URL
    assert {name: data[name] for name in data if name != "metadata"} == {
        "change_event_id": started.id,
        "job_id": started.job_id,
        "watch_id": row["watch_id"],
        "url": WATCH_URL,
        "title": TITLE,
        "status_code": 200,
        "document_bytes": row["document_bytes"],
        "markdown": MARKDOWN,
    }


def test_firecrawl_is_asked_for_the_page_as_it_is_now(scene: Scene) -> None:
    scene.started(formats=["markdown", "links"])
    scene.run()
    (request,) = scene.firecrawl.requests
    assert request.path == "/v2/scrape"
    assert request.headers["authorization"] == f"Bearer {KEY}"
    assert request.headers["user-agent"].startswith("Hookline/")
    asked = dict(request.body)
    assert 100_000 < asked.pop("timeout") < 120_000, "it gives up before we do, and says why"
    assert asked == {"url": WATCH_URL, "formats": ["markdown", "links"], "maxAge": 0}


def test_the_event_reaches_subscribers(scene: Scene) -> None:
    webhook = scene.service.webhook(event_types=["document.*"])
    scene.started()
    scene.run()
    (message,) = scene.service.messages("delivery")
    (delivery,) = scene.service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}").body["data"]
    assert delivery["event_type"] == "document.rescraped"
    assert delivery["id"] in message["body"]


def test_a_large_document_is_linked_to(scene: Scene) -> None:
    scene.firecrawl.markdown = "ä" * 110_000
    started = scene.started()
    scene.run()
    (event,) = scene.events()
    data = event["data"]
    assert "markdown" not in data
    assert data["document_bytes"] == scene.row(started.id)["document_bytes"] > 200 << 10
    assert data["document_url_expires_at"].endswith("Z")
    url = urlsplit(data["document_url"])
    asked = parse_qs(url.query)
    assert url.netloc == f"{BUCKET}.s3.eu-central-1.amazonaws.com"
    assert url.path == f"/{scene.row(started.id)['document_key']}"
    assert asked["X-Amz-Algorithm"] == ["AWS4-HMAC-SHA256"]
    assert asked["X-Amz-Expires"] == [str(settings().rescraping.link_seconds)]
    assert scene.document(scene.row(started.id)["document_key"])["markdown"] == scene.firecrawl.markdown


def test_what_postgres_does_not_take_is_in_the_file_and_readable_in_the_event(scene: Scene) -> None:
    scene.firecrawl.markdown = "a\x00b\ud800c"
    scene.firecrawl.metadata = {"n\x00": "v\x00", "huge": 10**400, "nested": {"a": [1]}, "tags": ["a", "b"]}
    started = scene.started()
    scene.run()
    (event,) = scene.events()
    assert event["data"]["markdown"] == "a\ufffdb\ufffdc"
    metadata = event["data"]["metadata"]
    assert metadata["n\ufffd"] == "v\ufffd"
    assert metadata["tags"] == ["a", "b"]
    assert not metadata.keys() & {"huge", "nested"}
    stored = scene.document(scene.row(started.id)["document_key"])
    assert stored["markdown"] == "a\x00b\ud800c"
    assert stored["metadata"]["huge"] == 10**400


def test_metadata_that_is_too_much_is_in_the_file_alone(scene: Scene) -> None:
    scene.firecrawl.metadata = {f"meta-{n}": "x" * 5_000 for n in range(200)}
    scene.started()
    scene.run()
    (event,) = scene.events()
    assert 0 < len(event["data"]["metadata"]) <= 100
    scene.firecrawl.metadata = {f"meta-{n}": ["x" * 2_000] * 100 for n in range(20)} | {"title": "t" * 300_000}
    scene.started()
    scene.run()
    (_, event) = scene.events()
    assert (event["data"]["metadata"], event["data"]["title"]) == ({}, "t" * 2_000)
    assert event["data"]["document_url"]


def test_where_documents_begin_to_be_linked_to_is_a_setting(scene: Scene, configured: Callable[..., None]) -> None:
    configured(RESCRAPE_INLINE_KIB=1)
    scene.firecrawl.markdown = "x" * 1_000
    scene.started()
    scene.run()
    (event,) = scene.events()
    assert "document_url" in event["data"]


def test_the_event_is_of_the_source_s_application(scene: Scene) -> None:
    application = scene.service.application()
    scene.started(application_id=application["id"])
    scene.run()
    (event,) = scene.events()
    assert event["application_id"] == application["id"]


def test_an_event_that_the_project_refuses_fails_and_publishes_nothing(scene: Scene) -> None:
    schema = {"type": "object", "required": ["no such thing"]}
    scene.service.client("POST", "/v1/event-types", {"name": "document.rescraped", "schema": schema})
    scene.service.admin("PATCH", f"/v1/projects/{scene.service.project_id}", {"validation": "enforce"})
    started = scene.started()
    scene.run()
    row = scene.row(started.id)
    assert row["rescrape_status"] == "failed"
    assert row["rescrape_error"].startswith("event_refused: data does not fit")
    assert (row["document_key"], scene.events()) == (None, [])


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ("rescrape = NULL", "no_policy"),
        ("deleted_at = now()", "no_policy"),
        ("credentials = NULL", "no_credentials"),
        ("credentials = '\\x00'", "credentials_unreadable"),
    ],
)
def test_what_the_source_lost_meanwhile_fails_it(scene: Scene, change: str, reason: str) -> None:
    started = scene.started()
    scene.service.sql.run(f"UPDATE webhook.sources SET {change}")
    scene.run()
    row = scene.row(started.id)
    assert row["rescrape_status"] == "failed"
    assert row["rescrape_error"].startswith(f"{reason}: ")
    assert scene.firecrawl.requests == []


def test_credentials_of_another_source_are_of_no_use(scene: Scene) -> None:
    other, started = scene.source(), scene.started()
    scene.service.sql.run("UPDATE webhook.sources SET credentials = :key", key=scene.credentials(other, KEY))
    scene.run()
    assert scene.row(started.id)["rescrape_error"].startswith("credentials_unreadable")


def test_a_change_can_be_scraped_again_when_it_was(scene: Scene) -> None:
    started = scene.started()
    assert start_of(started.id) is None, "one at a time"
    scene.run()
    second = start_of(started.id)
    assert second is not None
    rescrape.handler({"Records": [record(second.id, second.token)]}, LAMBDA)
    assert [event["id"] for event in scene.events()] == [started.job_id, second.job_id]
    assert scene.row(started.id)["document_key"].endswith(f"{second.job_id}.json")


@pytest.mark.parametrize(
    "body", ["", "{}", '{"v":1,"rescrape":"x","token":1}', '{"v":1,"job":"x","token":1}', "[" * 9999]
)
def test_a_foreign_message_fails_alone(scene: Scene, body: str) -> None:
    started = scene.started()
    (message,) = scene.messages()
    foreign = {**message, "messageId": "foreign", "body": body}
    answer = rescrape.handler({"Records": [foreign, message]}, LAMBDA)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "foreign"}]}
    assert scene.row(started.id)["rescrape_status"] == "completed"


def test_a_source_s_key_is_in_no_row_event_or_log(scene: Scene, capsys: pytest.CaptureFixture[str]) -> None:
    def repeat(handler: Handler) -> None:
        handler.say(403, {"success": False, "error": f"key {KEY} may not do this"})

    scene.firecrawl.answers = [repeat]
    failed = scene.started()
    scene.started()
    scene.run()
    said = capsys.readouterr()
    seen: list[Any] = [scene.row(failed.id), scene.events(), said.out, said.err]
    assert "key *** may not" in scene.row(failed.id)["rescrape_error"]
    assert KEY not in json.dumps(seen)
