"""Whatever dies between two steps of a rescrape: nothing is lost, and the document is told of once."""

from collections.abc import Callable
from typing import Any

import pytest

from functions.adapters.objects import Bucket
from functions.dispatch import handler as dispatch
from functions.domain import rescraping
from functions.ingest import publishing
from functions.rescrape import handler as rescrape
from functions.rescrape import work
from tests.integration.conftest import Context
from tests.integration.firecrawl import error
from tests.integration.rescrape_scene import LAMBDA, Scene, at_once, scene

__all__ = ["at_once", "scene"]


class Killed(BaseException):
    """What no handler catches, as no function survives it."""


def killed(*_: Any, **__: Any) -> Any:
    raise Killed


def after(done: Callable[..., Any]) -> Callable[..., Any]:
    """The step is done, and then it is over."""

    def act(*given: Any, **named: Any) -> Any:
        done(*given, **named)
        raise Killed

    return act


POINTS: dict[str, tuple[object, str, Callable[[Any], Any]]] = {
    "before the claim": (work, "_claim", lambda _: killed),
    "after the claim": (work, "_claim", after),
    "before the request": (work, "scrape", lambda _: killed),
    "after the answer": (work, "scrape", after),
    "after the file": (Bucket, "put", after),
    "before the last transaction": (work, "_publish", lambda _: killed),
    "after the event, before the row": (rescraping, "complete", lambda _: killed),
    "after the row, before the commit": (rescraping, "wake", after),
    "after the last commit": (work, "_publish", after),
    "before the deliveries are sent": (publishing, "send", lambda _: killed),
}


@pytest.mark.parametrize("point", POINTS)
def test_a_function_that_dies_loses_nothing_and_tells_once(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, point: str
) -> None:
    where, name, dying = POINTS[point]
    scene.service.webhook(event_types=["document.rescraped"])
    started = scene.started()
    (message,) = scene.messages()
    with monkeypatch.context() as death:
        death.setattr(where, name, dying(getattr(where, name)))
        with pytest.raises(Killed):
            rescrape.handler({"Records": [message]}, LAMBDA)
    assert rescrape.handler({"Records": [message]}, LAMBDA) == {"batchItemFailures": []}, "SQS brings it once more"
    if scene.row(started.id)["rescrape_status"] != "completed":
        scene.lapse(started.id)
        assert dispatch.handler({}, Context())["rescrapes"] == 1
        scene.run()
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_error"]) == ("completed", None)
    (event,) = scene.events()
    assert (event["id"], event["id"]) == (row["document_event_id"], started.job_id)
    deliveries = scene.service.client("GET", "/v1/deliveries").body["data"]
    assert len(deliveries) == 1


@pytest.mark.parametrize("name", ["again", "fail"])
def test_a_function_that_dies_when_it_failed_is_found_too(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, at_once: list[float], name: str
) -> None:
    scene.firecrawl.answers = [error(408 if name == "again" else 400, "no")]
    started = scene.started()
    with monkeypatch.context() as death:
        death.setattr(rescraping, name, after(getattr(rescraping, name)))
        with pytest.raises(Killed):
            scene.run()
    assert scene.row(started.id)["rescrape_status"] == "in_progress", "it was not committed"
    scene.lapse(started.id)
    dispatch.handler({}, Context())
    scene.run()
    assert scene.row(started.id)["rescrape_status"] == "completed"


def test_what_kills_its_function_every_time_is_given_up(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    started = scene.started(max_attempts=2)
    monkeypatch.setattr(work, "scrape", killed)
    for sent in (1, 0):
        with pytest.raises(Killed):
            scene.run()
        scene.lapse(started.id)
        assert dispatch.handler({}, Context())["rescrapes"] == 1
        ((status,),) = scene.service.sql.run("SELECT rescrape_status FROM webhook.change_events")
        assert status == ("queued" if sent else "failed")
    row = scene.row(started.id)
    assert (row["rescrape_error"], row["rescrape_attempts"], row["rescrape_sweep_at"]) == (
        rescraping.LOST,
        2,
        None,
    )
    assert row["rescrape_finished_at"] is not None
    assert scene.messages() == []


def test_a_message_that_was_lost_is_sent_again(scene: Scene) -> None:
    started = scene.started()
    scene.messages()
    assert dispatch.handler({}, Context())["rescrapes"] == 0, "it may be on its way"
    scene.lapse(started.id)
    assert dispatch.handler({}, Context())["rescrapes"] == 1
    assert dispatch.handler({}, Context())["rescrapes"] == 0
    assert scene.run() == 1
    assert scene.row(started.id)["rescrape_attempts"] == 1


def test_dispatch_leaves_those_at_work(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.started()
    with monkeypatch.context() as death:
        death.setattr(work, "scrape", killed)
        with pytest.raises(Killed):
            scene.run()
    assert dispatch.handler({}, Context())["rescrapes"] == 0
    ((seconds,),) = scene.service.sql.run(
        "SELECT extract(epoch FROM rescrape_sweep_at - now()) FROM webhook.change_events"
    )
    assert 170 < seconds <= 185, "its lease ends after the function's own time"


def test_who_is_late_may_still_tell(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its lease is over and dispatch has sent another message, but nobody has claimed it yet."""
    started = scene.started()

    def meanwhile() -> None:
        scene.lapse(started.id)
        dispatch.handler({}, Context())

    monkeypatch.setattr(work, "_store", _before(meanwhile, work._store))
    (message,) = scene.messages()
    rescrape.handler({"Records": [message]}, LAMBDA)
    assert scene.row(started.id)["rescrape_status"] == "completed"
    assert scene.run() == 1, "the other message says nothing any more"
    assert (len(scene.events()), len(scene.firecrawl.requests)) == (1, 1)


def test_who_is_too_late_changes_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    started = scene.started()
    (message,) = scene.messages()
    with monkeypatch.context() as late:

        def meanwhile() -> None:
            late.undo()
            scene.lapse(started.id)
            dispatch.handler({}, Context())
            assert scene.run() == 1

        late.setattr(work, "_store", _before(meanwhile, work._store))
        rescrape.handler({"Records": [message]}, LAMBDA)
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"]) == ("completed", 2)
    assert (len(scene.events()), len(scene.firecrawl.requests)) == (1, 2)


def _before(act: Callable[[], None], done: Callable[..., Any]) -> Callable[..., Any]:
    def both(*given: Any) -> Any:
        act()
        return done(*given)

    return both
