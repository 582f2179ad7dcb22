"""Rescrapes side by side: one message twice, the places of a source, and no transaction while others are asked."""

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from typing import Any

import pytest
from sqlalchemy import create_engine

from functions.adapters import database, queues, vault
from functions.adapters.database import transaction
from functions.adapters.objects import Bucket
from functions.domain import rescraping
from functions.domain.ids import uuid7
from functions.domain.rescraping import Start
from functions.rescrape import handler as rescrape
from functions.settings import settings
from tests.integration.firecrawl import error
from tests.integration.rescrape_scene import LAMBDA, Scene, record, scene

__all__ = ["scene"]

OPEN = "SELECT state FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"


@pytest.fixture
def functions(monkeypatch: pytest.MonkeyPatch) -> Iterator[ThreadPoolExecutor]:
    """Threads that are functions: each finds a connection of its own to the database, and to the queues."""
    connections = create_engine(database.database_url(), pool_size=10, connect_args=database._connect_args())
    with monkeypatch.context() as patched, ThreadPoolExecutor(10) as threads:
        patched.setattr(database, "engine", lambda: connections)
        patched.setattr(queues, "_curl", queues._new_curl)
        yield threads
    connections.dispose()


def invoke(message: dict[str, Any]) -> dict[str, Any]:
    return dict(rescrape.handler({"Records": [message]}, LAMBDA))


def states(scene: Scene) -> dict[str, int]:
    found = scene.service.sql.run("SELECT rescrape_status, count(*) FROM webhook.change_events GROUP BY 1")
    return dict(found)


@pytest.mark.parametrize("_time", range(3))
def test_one_message_twice_is_one_rescrape(scene: Scene, functions: ThreadPoolExecutor, _time: int) -> None:
    started = scene.started()
    (message,) = scene.messages()
    for future in [functions.submit(invoke, message) for _ in range(4)]:
        assert future.result(60) == {"batchItemFailures": []}
    row = scene.row(started.id)
    assert (row["rescrape_status"], row["rescrape_attempts"], row["rescrape_token"]) == ("completed", 1, 4)
    assert (len(scene.firecrawl.requests), len(scene.events())) == (1, 1)


def test_a_source_has_no_more_at_a_time_than_it_may(scene: Scene, functions: ThreadPoolExecutor) -> None:
    """Eight functions for two places; those without one use up no attempt, and follow as places are free."""
    go = threading.Event()
    scene.firecrawl.before = lambda: _waited(go)
    source, other = scene.source(concurrency=2), scene.source(concurrency=1)
    for _ in range(8):
        scene.started(source)
    elsewhere = scene.started(other)
    under_way = {functions.submit(invoke, message) for message in scene.messages()}
    while len(under_way) > 3:
        done, under_way = wait(under_way, 60, FIRST_COMPLETED)
        assert done, "six are to be put off, and to end at once"
    _until(lambda: scene.firecrawl.under_way == 3)
    assert states(scene) == {"in_progress": 3, "queued": 6}
    assert scene.row(elsewhere.id)["rescrape_status"] == "in_progress", "another source has places of its own"
    assert scene.service.sql.run("SELECT sum(rescrape_attempts) FROM webhook.change_events") == [[3]]
    assert scene.messages() == [], "what was put off has a message, but not yet"
    go.set()
    wait(under_way)
    while woken := scene.messages():
        assert len(woken) <= 2, "as many as there are places"
        wait([functions.submit(invoke, message) for message in woken])
    assert states(scene) == {"completed": 9}
    assert scene.firecrawl.at_once == 3, "two of one source, one of the other"
    assert scene.service.sql.run("SELECT max(rescrape_attempts) FROM webhook.change_events") == [[1]]


@pytest.mark.parametrize("answer", [error(400, "no"), error(408, "later")])
def test_one_that_failed_makes_room_too(scene: Scene, answer: Any) -> None:
    source = scene.source(concurrency=1)
    scene.started(source)
    (first,) = scene.messages()
    scene.started(source)
    (second,) = scene.messages()
    scene.firecrawl.before = lambda: _put_off(scene, second)
    scene.firecrawl.answers = [answer]
    invoke(first)
    scene.firecrawl.before = lambda: None
    assert scene.run() == 1, "the one that was put off has a message at once"
    assert states(scene).get("completed") == 1


def test_one_that_failed_before_is_woken_as_others_are(scene: Scene) -> None:
    source = scene.source(concurrency=1)
    first = scene.started(source)
    scene.firecrawl.answers = [error(408, "later")]
    scene.run()
    again = record(first.id, scene.row(first.id)["rescrape_token"])
    scene.started(source)
    scene.firecrawl.before = lambda: _put_off(scene, again)
    assert scene.run() == 1
    waiting = scene.row(first.id)
    assert (waiting["rescrape_status"], waiting["rescrape_attempts"]) == ("queued", 1)
    assert waiting["rescrape_error"].startswith("http_408: "), "why it was not the first time"
    assert scene.run() == 1, "it has a message at once"
    assert states(scene) == {"completed": 2}


@pytest.mark.parametrize(("minutes", "delay"), [(0, 120), (10, 600), (60, 900)])
def test_who_waits_long_looks_seldom(scene: Scene, minutes: int, delay: int) -> None:
    source = scene.source(concurrency=1)
    scene.started(source)
    scene.service.sql.run("UPDATE webhook.change_events SET rescrape_status = 'in_progress'")
    late = scene.started(source)
    scene.service.sql.run(
        "UPDATE webhook.change_events SET rescrape_job_id = :job WHERE id = :id",
        job=uuid7(int((time.time() - 60 * minutes) * 1000)),
        id=late.id,
    )
    with transaction() as connection:
        postponed = rescraping.claim(connection, late.id, late.token, 60_000)
    assert isinstance(postponed, Start)
    assert delay <= postponed.delay_seconds < delay + 60


def test_one_that_was_put_off_comes_by_itself_if_nobody_wakes_it(scene: Scene) -> None:
    source = scene.source(concurrency=1)
    first = scene.started(source)
    scene.service.sql.run("UPDATE webhook.change_events SET rescrape_status = 'in_progress'")
    second = scene.started(source)
    assert scene.run() == 2
    row = scene.row(second.id)
    assert (row["rescrape_status"], row["rescrape_token"], row["rescrape_attempts"]) == ("queued", 3, 0)
    told = scene.service.sqs.get_queue_attributes(
        QueueUrl=settings().rescrape_queue_url, AttributeNames=["ApproximateNumberOfMessagesDelayed"]
    )
    assert told["Attributes"] == {"ApproximateNumberOfMessagesDelayed": "1"}
    scene.lapse(first.id)
    invoke(record(second.id, 3))
    assert scene.row(second.id)["rescrape_status"] == "completed", "who is gone takes up no place"


def test_no_transaction_is_open_while_others_are_asked(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[tuple[str, list[str]]] = []

    def look(at: str) -> None:
        seen.append((at, [state for (state,) in scene.service.sql.run(OPEN)]))

    def looking(at: str, done: Any) -> Any:
        def both(*given: Any, **named: Any) -> Any:
            look(at)
            return done(*given, **named)

        return both

    monkeypatch.setattr(vault, "cipher", looking("KMS", vault.cipher))
    monkeypatch.setattr(Bucket, "put", looking("S3", Bucket.put))
    monkeypatch.setattr(queues, "send", looking("SQS", queues.send))
    scene.firecrawl.before = lambda: look("Firecrawl")
    source = scene.source()
    seen.clear()
    scene.started(source)
    scene.run()
    assert {at for at, _ in seen} == {"KMS", "S3", "SQS", "Firecrawl"}
    for at, states in seen:
        assert states, "the function has its connection"
        assert set(states) == {"idle"}, at
    assert len(scene.events()) == 1


def _put_off(scene: Scene, message: dict[str, Any]) -> None:
    """In the stand-in's thread, while the only place of the source is taken."""
    scene.firecrawl.before = lambda: None
    with ThreadPoolExecutor(1) as thread:
        assert thread.submit(invoke, message).result(60) == {"batchItemFailures": []}


def _waited(event: threading.Event) -> None:
    assert event.wait(60)


def _until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)
