"""What is measured of statements and said of it; on SQLite, which goes through SQLAlchemy as Postgres does."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, create_engine, text
from sqlalchemy.exc import OperationalError

from functions.adapters import database, timing
from functions.adapters.durations import Durations
from functions.settings import settings
from functions.statements import named

ONE = named("tests.one", text("SELECT :a"))
BROKEN = named("tests.broken", text("SELECT * FROM no_such_table WHERE x = :a"))
LONG = named(
    "tests.long",
    text(
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200000)"
        " SELECT count(*) FROM c WHERE n <> :a"
    ),
)


@pytest.fixture(autouse=True)
def window(monkeypatch: pytest.MonkeyPatch) -> timing._Window:
    fresh = timing._Window()
    monkeypatch.setattr(timing, "_window", fresh)
    return fresh


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    """One on which every statement of a ms is slow."""
    monkeypatch.setenv("SLOW_STATEMENT_MS", "1")
    settings.cache_clear()
    made = create_engine("sqlite://")
    timing.watch(made.dialect)
    yield made
    made.dispose()
    settings.cache_clear()


def counts(window: timing._Window) -> dict[str, int]:
    return {name: sum(of.counts) for name, of in window.durations.items()}


def test_statements_savepoints_commits_and_connects_are_counted_by_name(
    engine: Engine, window: timing._Window
) -> None:
    for _ in range(2):
        with engine.begin() as connection:
            connection.execute(ONE, {"a": 1})
            with connection.begin_nested():
                connection.execute(text("SELECT 2"))
    expected = {"transaction.connect": 1, "transaction.commit": 2, "transaction.savepoint": 4, "tests.one": 2}
    assert counts(window).items() >= expected.items()
    assert counts(window)["unnamed"] >= 2


def test_what_fails_is_an_error_of_its_name_and_is_timed_too(engine: Engine, window: timing._Window) -> None:
    with engine.connect() as connection, pytest.raises(OperationalError):
        connection.execute(BROKEN, {"a": 1})
    assert window.durations["tests.broken"].errors == 1
    assert counts(window)["tests.broken"] == 1


def test_a_retry_counts_for_what_failed(
    engine: Engine, window: timing._Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PAUSES_SECONDS", (0, 0))

    def work() -> None:
        with engine.begin() as connection:
            connection.execute(ONE, {"a": 1})
            connection.execute(BROKEN, {"a": 1})

    with pytest.raises(OperationalError):
        database.again(work)
    assert window.durations["tests.broken"].retries == 2
    assert window.durations["tests.one"].retries == 0


def run_long(connection: Connection) -> None:
    connection.execute(LONG, {"a": "a secret"}).scalar_one()


def test_a_slow_statement_is_logged_by_name_and_without_its_parameters(
    engine: Engine, window: timing._Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[dict[str, Any]] = []

    def warning(message: str, **fields: Any) -> None:
        if fields["statement"] == "tests.long":  # on a machine that is busy any other may be slow, too
            said.append({"m": message, **fields})

    monkeypatch.setattr(timing.logger, "warning", warning)
    with engine.connect() as connection:
        run_long(connection)
        assert said[0]["m"] == "slow statement"
        assert said[0]["ms"] >= 1
        assert set(said[0]) == {"m", "statement", "ms", "rows"}
        for _ in range(10):
            run_long(connection)
    assert len(said) == timing.SLOW_LOGGED, "the rest is counted"
    assert window.durations["tests.long"].slow == 11


def test_a_process_says_it_after_its_first_invocation_and_then_once_a_minute(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    clock = [1_000.0]
    monkeypatch.setattr(timing.time, "monotonic", lambda: clock[0])

    def handler(event: int, _context: None) -> int:
        with engine.connect() as connection:
            return int(connection.execute(ONE, {"a": event}).scalar_one())

    handler.__module__ = "functions.deliver.handler"
    invoke = timing.reported(handler)
    lines = []
    for seconds in (0, 1, 58, 1, 30):
        clock[0] += seconds
        assert invoke(7, None) == 7
        lines += [(clock[0] - 1_000, json.loads(line)) for line in capsys.readouterr().out.splitlines()]
    assert [(at, line["function"]) for at, line in lines] == [(0, "deliver"), (60, "deliver")]
    of_ones = [one["count"] for _, line in lines for one in line["statements"] if one["name"] == "tests.one"]
    assert of_ones == [1, 3]


def test_a_handler_that_fails_says_it_too(capsys: pytest.CaptureFixture[str], window: timing._Window) -> None:
    window.of("tests.one").add(5)

    def handler(_event: None, _context: None) -> None:
        raise RuntimeError

    handler.__module__ = "functions.jobs.handler"
    with pytest.raises(RuntimeError):
        timing.reported(handler)(None, None)
    assert json.loads(capsys.readouterr().out)["function"] == "jobs"


def durations_of(*values: int) -> Durations:
    made = Durations()
    for us in values:
        made.add(us)
    return made


def test_the_line_has_figures_by_name_and_metrics_of_all_together() -> None:
    slow = durations_of(*range(1_000, 100_001, 1_000))
    slow.slow, slow.errors, slow.retries = 1, 2, 3
    line = timing.line("deliver", {"deliver.record": slow, "deliver.claim": durations_of(500)}, 0)
    claim, record = line["statements"]
    assert (line["metric"], line["function"], claim["name"], record["name"]) == (
        *("statements", "deliver", "deliver.claim", "deliver.record"),
    )
    assert (record["count"], record["slow"], record["errors"], record["retries"]) == (100, 1, 2, 3)
    assert record["p50_ms"] == pytest.approx(50, rel=0.06)
    assert record["p99_ms"] == pytest.approx(99, rel=0.06)
    assert record["max_ms"] == 100
    assert record["total_ms"] == 5_050
    assert sum(record["histogram"][1::2]) == 100
    assert (line["SlowStatements"], line["StatementErrors"], line["StatementRetries"]) == (1, 2, 3)


def test_the_metrics_are_in_the_embedded_metric_format() -> None:
    line = timing.line("deliver", {"a.b": durations_of(*(int(1.05**n) for n in range(1, 500)))}, 0)
    assert isinstance(line["_aws"]["Timestamp"], int)
    (directive,) = line["_aws"]["CloudWatchMetrics"]
    assert all(isinstance(line[name], str) for dimensions in directive["Dimensions"] for name in dimensions)
    assert all(metric["Name"] in line for metric in directive["Metrics"])
    values, how_often = line["StatementTime"]["Values"], line["StatementTime"]["Counts"]
    assert len(values) == len(how_often) <= 100
    assert sum(how_often) == 499
    assert values == sorted(values)
    assert line["StatementTime"]["Count"] == 499
    assert line["StatementTime"]["Sum"] == pytest.approx(
        sum(v * n for v, n in zip(values, how_often, strict=True)), rel=0.12
    )
