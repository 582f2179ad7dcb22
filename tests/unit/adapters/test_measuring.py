"""What is noted of requests and operations, and the lines that it becomes."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from functions.adapters import measuring
from functions.adapters.measuring import LINE_BYTES, MOST_ROWS, MOST_STRANGERS, line, measured
from functions.domain.ids import parse_uuid, uuid7
from functions.settings import settings

EVENT: dict[str, Any] = {
    "rawPath": "/v1/events/1",
    "rawQueryString": "token=hush",
    "headers": {"user-agent": "billing/2.3", "authorization": "Bearer hush"},
    "body": "hush",
    "requestContext": {
        "requestId": "r-1",
        "http": {"method": "POST", "sourceIp": "203.0.113.9"},
        "authorizer": {"lambda": {"project_id": "p-1"}},
    },
}


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    settings.cache_clear()
    measuring.begin("invocation-1")
    monkeypatch.setattr(measuring, "_strangers", measuring._Strangers())
    yield
    measuring.begin(None)
    settings.cache_clear()


def written(capsys: pytest.CaptureFixture[str]) -> dict[str, list[list[Any]]]:
    """What is flushed: the rows by the kind of their line."""
    measuring.flush("api")
    lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
    assert len({one["metric"] for one in lines}) == len(lines), "a line of each kind at most"
    assert all(one["function"] == "api" for one in lines)
    return {one["metric"]: one["rows"] for one in lines}


@measuring.requests
def answering(event: dict[str, Any], _context: object) -> dict[str, Any]:
    measuring.route("/v1/events/{event_id}")
    with measured("ingest", "ingest.events", project_id="p-1") as taking:
        taking.count(events=2)
    if event.get("fails"):
        raise ValueError("hush")
    return {"statusCode": 202}


def test_a_request_is_what_was_asked_and_says_nothing_of_what_was_sent(capsys: pytest.CaptureFixture[str]) -> None:
    answering(EVENT, None)
    rows = written(capsys)
    ((id, *request),) = rows["requests"]
    took = request.pop(3)
    assert parse_uuid(id)
    assert 0 <= took < 60_000
    expected = ["POST", "/v1/events/{event_id}", 202, "r-1", "203.0.113.9", "billing/2.3", "p-1"]
    assert request == expected
    ((_, type_, name, _, error, request_id, job, url, project, counts),) = rows["operations"]
    assert (type_, name, error, request_id, project) == ("ingest", "ingest.events", None, "r-1", "p-1")
    assert (job, url, counts) == (None, None, {"events": 2})
    assert "hush" not in json.dumps(rows)


def test_what_fails_is_measured_and_goes_on_its_way(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(ValueError, match="hush"):
        answering({**EVENT, "fails": True}, None)
    with pytest.raises(KeyError), measured("claim", "deliver.claim"):
        raise KeyError("hush")
    rows = written(capsys)
    assert rows["requests"][0][3] == 500
    assert [row[4] for row in rows["operations"]] == [None, "KeyError"]
    assert "hush" not in json.dumps(rows)


def test_without_a_request_an_operation_is_the_invocation_s(capsys: pytest.CaptureFixture[str]) -> None:
    with measured("job", "jobs.batch", job_id="j-1") as batch:
        batch.belongs_to("p-2")
        batch.count(changed=1)
        batch.count(left=2)
    ((*_, request_id, job, _, project, counts),) = written(capsys)["operations"]
    assert (request_id, job, project) == ("invocation-1", "j-1", "p-2")
    assert counts == {"changed": 1, "left": 2}


def test_nothing_is_left_for_the_next_invocation(capsys: pytest.CaptureFixture[str]) -> None:
    with measured("a", "b"):
        pass
    assert len(written(capsys)["operations"]) == 1
    assert written(capsys) == {}


def test_a_pause_is_not_counted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    now = iter([0, 1_000_000, 9_000_000, 11_000_000])
    monkeypatch.setattr(measuring.time, "perf_counter_ns", lambda: next(now))
    with measured("send", "deliver.send") as sending:
        sending.pause()
        sending.go_on()
    monkeypatch.undo()
    assert written(capsys)["operations"][0][3] == 3.0


@pytest.mark.parametrize(
    ("url", "kept"),
    [
        ("https://a.example/x?token=hush#hush", "https://a.example/x"),
        ("https://user:hush@a.example/x@y", "https://a.example/x@y"),
        ("https://a.example#hush?x", "https://a.example"),
        ("a.example/x?hush", "a.example/x"),
    ],
)
def test_of_an_address_the_query_and_the_credentials_are_left_out(
    url: str, kept: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with measured("rescrape", "rescrape.scrape", document_url=url):
        pass
    assert written(capsys)["operations"][0][7] == kept


def test_off_nothing_is_noted(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS", "off")
    settings.cache_clear()
    answering(EVENT, None)
    with measured("a", "b") as one:
        one.pause()
        one.go_on()
        one.belongs_to("p")
    assert written(capsys) == {}


def test_a_switch_is_on_or_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("METRICS", "perhaps")
    settings.cache_clear()
    with pytest.raises(ValueError, match="METRICS: perhaps is neither on nor off"):
        settings()


def test_an_odd_event_is_answered_all_the_same(capsys: pytest.CaptureFixture[str]) -> None:
    assert answering({}, None) == {"statusCode": 202}
    assert written(capsys)["requests"][0][1:3] == [None, "/v1/events/{event_id}"]


def test_a_log_that_cannot_be_written_fails_nobody(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    with measured("a", "b"):
        pass
    monkeypatch.setattr(measuring.json, "dumps", lambda *_, **__: 1 / 0)
    measuring.flush("api")
    monkeypatch.undo()
    assert written(capsys) == {}, "what could not be written is forgotten"


def test_more_than_so_many_are_counted_and_not_kept(capsys: pytest.CaptureFixture[str]) -> None:
    for _ in range(MOST_ROWS + 7):
        with measured("a", "b"):
            pass
    measuring.flush("deliver")
    told = json.loads(capsys.readouterr().out)
    assert (len(told["rows"]), told["dropped"]) == (MOST_ROWS, 7)


def test_strangers_have_so_many_rows_a_minute_and_take_nobody_s(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ask(who: dict[str, str]) -> list[dict[str, Any]]:
        measuring.begin("i")
        answering({**EVENT, "requestContext": {**EVENT["requestContext"], "authorizer": {"lambda": who}}}, None)
        measuring.flush("api")
        lines = [json.loads(one) for one in capsys.readouterr().out.splitlines()]
        return [one for one in lines if one["metric"] == "requests"]

    nobody, now = {"project_id": "", "admin": "false"}, 0.0
    monkeypatch.setattr(measuring.time, "monotonic", lambda: now)
    told = [ask(nobody) for _ in range(MOST_STRANGERS + 7)]
    assert [len(lines) for lines in told] == [1] * MOST_STRANGERS + [0] * 7
    assert len(ask({"project_id": "p-1"})) == len(ask({"project_id": "", "admin": "true"})) == 1
    now = 60.0
    ((first,), (second,)) = ask(nobody), ask(nobody)
    assert (first["dropped"], second.get("dropped")) == (7, None), "told with the next minute's first"


TEXTS = st.text(max_size=700)


@given(
    agents=st.lists(TEXTS, min_size=1, max_size=MOST_ROWS),
    path=TEXTS,
    url=st.none() | TEXTS,
    name=st.text(max_size=100),
)
def test_a_line_is_never_longer_than_a_log_takes(agents: list[str], path: str, url: str | None, name: str) -> None:
    measuring.begin("i")
    settings.cache_clear()
    measuring.project("p-1")
    for agent in agents * (MOST_ROWS // len(agents)):
        event = {**EVENT, "headers": {"user-agent": agent}}
        measuring.route(path)
        measuring._note_request(event, 200, 0, 1)
        with measured("rescrape", name, document_url=url):
            pass
    for kind, rows in measuring._notes.rows.items():
        text = line(kind, "api", rows)
        assert len(text.encode()) <= LINE_BYTES
        assert "\n" not in text
        told = json.loads(text)
        assert len(told["rows"]) + told.get("dropped", 0) == len(rows)
        assert told["rows"] == [list(row) for row in rows[: len(told["rows"])]]
        assert told["rows"]


def test_each_key_has_the_time_in_it_at_which_it_began() -> None:
    assert uuid7(1_700_000_000_000).replace("-", "")[:12] == f"{1_700_000_000_000:012x}"
    assert len({uuid7(1_700_000_000_000) for _ in range(100)}) == 100
