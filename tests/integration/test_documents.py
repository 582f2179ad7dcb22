"""Documents of change events: fresh links to them, and deleting them."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from botocore.exceptions import EndpointConnectionError

from functions.api.routes import documents
from functions.domain.ids import uuid7
from tests.integration.conftest import Answer, Client
from tests.integration.levers_scene import audited
from tests.integration.rescrape_scene import BUCKET, Scene, scene, start_of

__all__ = ["scene"]


@pytest.fixture(autouse=True)
def another_bucket() -> Iterator[None]:
    documents._bucket.cache_clear()
    yield
    documents._bucket.cache_clear()


def path(id: str) -> str:
    return f"/v1/change-events/{id}/document"


def rescraped(scene: Scene, **source: Any) -> str:
    change = scene.change(scene.source(**source))
    assert scene.service.client("POST", f"/v1/change-events/{change}/rescrape").status == 202
    assert scene.run() == 1
    return change


def files(scene: Scene) -> list[str]:
    return [one["Key"] for one in scene.s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])]


def message(answer: Answer) -> str:
    return str(answer.body["error"]["message"])


def test_a_new_link_leads_to_the_document(scene: Scene) -> None:
    change = rescraped(scene)
    answer = scene.service.client("GET", path(change))
    assert answer.status == 200
    read = requests.get(answer.body["url"], timeout=10)
    assert (read.status_code, len(read.content)) == (200, answer.body["bytes"])
    assert answer.body["job_id"] == scene.row(change)["rescrape_job_id"]
    left = datetime.fromisoformat(answer.body["expires_at"]) - datetime.now(UTC)
    assert timedelta(minutes=59) < left <= timedelta(hours=1)


def test_where_there_is_none_it_says_why(scene: Scene) -> None:
    change = scene.change(scene.source())
    answer = scene.service.client("GET", path(change))
    assert (answer.status, message(answer)) == (
        404,
        "there is no document: no rescrape brought one, or it was deleted",
    )


def test_all_of_a_change_event_s_documents_are_deleted_and_no_other(scene: Scene) -> None:
    change, another = rescraped(scene), rescraped(scene)
    scene.service.client("POST", f"/v1/change-events/{change}/rescrape")
    scene.run()
    assert len(files(scene)) == 3
    link = scene.service.client("GET", path(change)).body["url"]
    assert [scene.service.client("DELETE", path(change)).status for _ in range(2)] == [204, 204]
    (left,) = files(scene)
    assert another in left
    assert requests.get(link, timeout=10).status_code == 404
    assert scene.service.client("GET", path(change)).status == 404
    assert scene.service.client("GET", f"/v1/change-events/{change}").body["document_bytes"] is None
    assert len(audited(scene.service, "change_event.document_deleted")) == 2


def test_what_is_being_scraped_is_not_deleted(scene: Scene) -> None:
    change = rescraped(scene)
    assert start_of(change)
    answer = scene.service.client("DELETE", path(change))
    assert answer.status == 409
    assert len(files(scene)) == 1


def test_while_the_bucket_is_away_it_is_sent_again(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    change = rescraped(scene)

    def away(*_: object) -> int:
        raise EndpointConnectionError(endpoint_url="https://documents")

    with monkeypatch.context() as patched:
        patched.setattr(documents.Bucket, "delete_below", away)
        assert scene.service.client("DELETE", path(change)).status == 503
    assert scene.service.client("DELETE", path(change)).status == 204
    assert files(scene) == []


def test_documents_of_somebody_else_are_not_there(
    scene: Scene, new_project: Callable[..., tuple[str, Client]]
) -> None:
    _, stranger = new_project()
    application, other = scene.service.application(), scene.service.application(name="another")
    change = rescraped(scene, application_id=application["id"])
    for client in (stranger, scene.service.key(application_id=other["id"])):
        assert [client(method, path(change)).status for method in ("GET", "DELETE")] == [404, 404]
    assert scene.service.client("GET", path(uuid7())).status == 404
    assert scene.service.key("sources:read")("DELETE", path(change)).status == 403
    bound = scene.service.key("sources:read", "sources:write", application_id=application["id"])
    assert [bound(method, path(change)).status for method in ("GET", "DELETE")] == [200, 204]
