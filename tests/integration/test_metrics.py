"""Requests and operations become rows by way of the log; and nothing that goes wrong with that is anybody's."""

import json
import random
from typing import Any

import pytest
from sqlalchemy.exc import DBAPIError

from functions.adapters import database, measuring
from functions.domain.ids import uuid7
from functions.metrics import handler as metrics
from functions.settings import settings
from tests.integration.conftest import Client, Context, Service
from tests.integration.endpoint import Endpoint
from tests.integration.engine_scene import run
from tests.integration.metrics_scene import (
    batch,
    lines_of,
    operation_line,
    operation_row,
    request_line,
    request_row,
    rows,
    say_statements,
    store,
)

REQUEST = "method, path, status_code, request_id, host(client_ip), user_agent, CAST(project_id AS text)"


@pytest.fixture(autouse=True)
def no_strangers_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "_strangers", measuring._Strangers())


def test_a_request_s_row_is_what_was_asked(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    event = service.event()
    capsys.readouterr()
    asked = [
        ("GET", f"/v1/events/{event['id']}?hush=1", {"user-agent": "x" * 600}),
        ("POST", "/v1/events", {}),
        ("GET", "/v1/nothing/here", {}),
        ("DELETE", "/v1/projects", {}),
        ("HEAD", "/v1/webhooks", {}),
    ]
    answers = [service.client(method, path, headers=headers).status for method, path, headers in asked]
    Client("nobody's")("GET", "/v1/webhooks/hush")
    Client()("GET", "/health")
    lines = lines_of(capsys)
    assert store(lines)["skipped"] == 0
    found = rows(service, "request_metrics", REQUEST)
    mine = service.project_id
    expected: list[tuple[Any, ...]] = [
        ("GET", "/v1/events/{event_id}", 200, "x" * 500, mine),
        ("POST", "/v1/events", 422, None, mine),
        ("GET", "(unknown)", 404, None, mine),
        ("DELETE", "/v1/projects", 405, None, mine),
        ("HEAD", "/v1/webhooks", 200, None, mine),
        ("GET", "/v1/webhooks/{webhook_id}", 401, None, None),
        ("GET", "/health", 200, None, None),
    ]
    told = [(m, p, s, agent, project) for m, p, s, _, _, agent, project in found]
    assert sorted(told, key=str) == sorted(expected, key=str)
    assert [status for _, _, status, _, _ in expected[:5]] == answers
    assert {row[4] for row in found} == {"127.0.0.1"}
    assert len({row[3] for row in found}) == len(found)
    assert "hush" not in json.dumps(found)


def test_an_operation_is_found_by_its_request(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.webhook()
    capsys.readouterr()
    service.event()
    store(lines_of(capsys))
    ((request_id,),) = rows(service, "request_metrics", "request_id")
    ((type_, name, ok, of, project, extra),) = rows(
        service,
        "operation_metrics",
        "operation_type, operation_name, success, request_id, CAST(project_id AS text), extra_metadata",
        "operation_type <> 'query'",
    )
    assert (type_, name, ok, of, project) == ("ingest", "ingest.events", True, request_id, service.project_id)
    assert extra == {"function": "api", "events": 1, "deliveries": 1}


def test_what_is_known_is_not_ingested_again(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    once = {"type": "a", "data": 1, "id": "once"}
    batch = {"events": [once, {"type": "a", "data": 1}]}
    capsys.readouterr()
    for path, body in (("", once), ("", once), ("/batch", batch), ("/batch", batch)):
        key = {"idempotency-key": "k"} if path else {}
        assert service.client("POST", f"/v1/events{path}", body, headers=key).status in {200, 202}
    store(lines_of(capsys))
    found = rows(service, "operation_metrics", "extra_metadata", "operation_type = 'ingest'")
    assert [extra["events"] for (extra,) in found] == [1, 0, 1, 0]


def test_a_delivery_is_claimed_sent_and_recorded(
    service: Service, receiver: Endpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    service.webhook(url=receiver.url)
    service.event()
    capsys.readouterr()
    run(service)
    store(lines_of(capsys))
    found = rows(
        service, "operation_metrics", "operation_name, success, extra_metadata", "operation_type <> 'query'"
    )
    by_name = {name: extra for name, ok, extra in found if ok}
    assert by_name["deliver.claim"] == {"function": "deliver", "named": 1, "claimed": 1}
    assert by_name["deliver.record"] == {"function": "deliver", "attempts": 1, "retries": 0, "dead": 0}
    assert by_name["deliver.send"] == {"function": "deliver", "answers": 1}


def test_statements_become_a_row_for_each_name(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(3):
        service.event()
    said = say_statements(capsys)
    figures = {one["name"]: one for one in json.loads(said)["statements"]}
    assert store([said])["operations"] == len(figures)
    found = rows(service, "operation_metrics", "operation_name, duration_ms, success, extra_metadata")
    for name, mean, ok, extra in found:
        told = figures[name]
        assert mean == pytest.approx(told["total_ms"] / told["count"], abs=0.001)
        assert (ok, extra["count"], extra["p95_ms"]) == (told["errors"] == 0, told["count"], told["p95_ms"])
    assert "events.accept" in {name for name, *_ in found}


def test_lines_that_come_twice_and_in_any_order_are_one_row_each(service: Service) -> None:
    lines = [request_line(3) for _ in range(20)] + [operation_line(2) for _ in range(20)]
    shuffled = lines * 2
    random.Random(7).shuffle(shuffled)
    stored: list[dict[str, int]] = [store(shuffled[:30]), store(shuffled[30:]), store(lines)]
    assert sum(one["requests"] for one in stored) == len(rows(service, "request_metrics")) == 60
    assert sum(one["operations"] for one in stored) == len(rows(service, "operation_metrics")) == 40
    assert stored[-1] == {"requests": 0, "operations": 0, "known": 100, "skipped": 0}


BROKEN = [
    "no JSON at all",
    "[]",
    "1",
    "{}",
    '{"metric":"requests"}',
    '{"metric":"other","function":"api","rows":[]}',
    '{"metric":"requests","function":"api","rows":[[]]}',
    '{"metric":"requests","function":"api","rows":[{"id":1}]}',
    '{"metric":"statements","function":"api","statements":[{"name":"a.b","count":1}]}',
    request_line(id="no-key"),
    request_line(id="01a1f8df-c445-4d27-83ba-de6472adf856"),
    request_line(id=uuid7(1_000)),
    request_line(id=uuid7(99_999_999_999_999)),
    request_line(status=99),
    request_line(status="200"),
    request_line(duration_ms=-1),
    request_line(duration_ms="NaN"),
    request_line(client_ip="somewhere"),
    request_line(project_id="mine"),
    request_line(method=None),
    operation_line(operation_type=""),
    operation_line(counts=[1]),
]


@pytest.mark.parametrize("broken", BROKEN)
def test_a_line_that_is_broken_is_counted_and_keeps_no_other_back(service: Service, broken: str) -> None:
    assert store([request_line(), broken, operation_line()]) == {
        "requests": 1,
        "operations": 1,
        "known": 0,
        "skipped": 1,
    }


def test_what_a_line_had_to_drop_is_counted(service: Service) -> None:
    line = measuring.line("requests", "api", [request_row()], dropped=7)
    assert store([line]) == {"requests": 1, "operations": 0, "known": 0, "skipped": 7}


def test_text_that_postgres_does_not_take_is_taken_without_it(service: Service) -> None:
    assert store([request_line(user_agent="a\x00b\ud800")])["requests"] == 1
    assert rows(service, "request_metrics", "user_agent") == [["ab?"]]


def test_a_row_that_the_database_refuses_keeps_no_other_back(service: Service) -> None:
    service.sql.run("ALTER TABLE webhook.request_metrics ADD CHECK (path <> '/refused')")
    lines = [request_line(10), request_line(path="/refused"), request_line(10)]
    assert store(lines) == {"requests": 20, "operations": 0, "known": 0, "skipped": 1}


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"awslogs": {"data": "!"}},
        {"awslogs": {"data": "aGVsbG8="}},
        {"awslogs": {}},
        batch(["{}"], kind="CONTROL_MESSAGE"),
    ],
)
def test_what_is_no_batch_of_lines_is_left(service: Service, event: dict[str, Any]) -> None:
    assert metrics.handler(event, Context()) == {"requests": 0, "operations": 0, "known": 0, "skipped": 0}


def test_while_the_database_is_away_it_fails_so_that_the_lines_come_again(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = request_line(5)
    monkeypatch.setattr(database, "PAUSES_SECONDS", (0, 0))
    url = str(settings().database.url)
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", "postgresql://nobody@127.0.0.1:9/none?sslmode=disable")
    database.engine().dispose()
    settings.cache_clear()
    database.engine.cache_clear()
    with pytest.raises(DBAPIError):
        store([line])
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", url)
    settings.cache_clear()
    database.engine.cache_clear()
    assert store([line])["requests"] == 5


def test_what_is_no_row_s_fault_fails_so_that_no_row_is_lost(service: Service) -> None:
    line = request_line(5)
    service.sql.run("ALTER TABLE webhook.request_metrics RENAME TO elsewhere")
    with pytest.raises(DBAPIError):
        store([line])
    service.sql.run("ALTER TABLE webhook.elsewhere RENAME TO request_metrics")
    assert store([line])["requests"] == 5


def test_what_it_says_of_itself_is_no_request_and_no_operation(
    service: Service, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    store([request_line(), operation_line()])
    assert {json.loads(one)["metric"] for one in lines_of(capsys)} <= {"statements"}


def test_off_a_service_does_the_same_and_says_nothing(
    service: Service, receiver: Endpoint, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("METRICS", "off")
    settings.cache_clear()
    service.webhook(url=receiver.url)
    service.event()
    run(service)
    assert len(receiver.received) == 1
    said = say_statements(capsys)
    assert "id" not in json.loads(said)["statements"][0]
    assert store([said])["operations"] == 0


def test_a_log_that_takes_nothing_fails_no_request(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any, **__: Any) -> str:
        raise OSError("no space left")

    monkeypatch.setattr(measuring, "line", broken)
    assert service.event()["id"]


def test_an_operation_may_be_told_of_in_any_order_with_its_request(service: Service) -> None:
    late = operation_row(request_id="r-9", job_id="j-9", document_url="https://x.example/a")
    store([measuring.line("operations", "jobs", [late])])
    store([request_line(request_id="r-9")])
    ((of, job, url),) = rows(service, "operation_metrics", "request_id, job_id, document_url")
    assert (of, job, url) == ("r-9", "j-9", "https://x.example/a")
    assert rows(service, "request_metrics", "request_id") == [["r-9"]]
