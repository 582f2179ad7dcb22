"""What runs by the clock leaves a heartbeat, in the database and as a metric."""

import json
from datetime import UTC, datetime, timedelta

import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from functions.adapters import outbox
from functions.adapters.database import connect_owner
from functions.dispatch import handler as dispatch
from functions.maintain import handler as maintain
from functions.maintain.run import Run
from tests.integration.conftest import Context, Service

BEATS = "SELECT name, succeeded_at, counts, failed_at, error FROM webhook.heartbeats ORDER BY name"


def test_dispatch_leaves_what_it_did_and_a_metric(service: Service, capsys: pytest.CaptureFixture[str]) -> None:
    service.webhook()
    service.event()
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() - interval '1 second'")
    dispatch.handler({}, Context())
    ((name, at, counts, failed_at, error),) = service.sql.run(BEATS)
    assert (name, counts["deliveries"], failed_at, error) == ("dispatch", 1, None, None)
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=5)
    [line] = [one for one in capsys.readouterr().out.splitlines() if "DispatcherHeartbeat" in one]
    assert json.loads(line)["DispatcherHeartbeat"] == [1.0]


def test_a_dispatch_that_fails_has_no_heartbeat(
    service: Service, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no queue")

    service.webhook()
    service.event()
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() - interval '1 second'")
    monkeypatch.setattr(outbox, "send", broken)
    with pytest.raises(RuntimeError, match="no queue"):
        dispatch.handler({}, Context())
    assert service.sql.run(BEATS) == []
    assert "DispatcherHeartbeat" not in capsys.readouterr().out


def test_a_job_that_succeeds_again_is_not_failing_any_more(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcomes = iter([RuntimeError("no disk" * 200), None])

    def now_and_then(run: Run) -> dict[str, int]:
        if (error := next(outcomes)) is not None:
            raise error
        return {"done": 3}

    monkeypatch.setitem(maintain.JOBS, "partitions", now_and_then)
    with pytest.raises(RuntimeError):
        maintain.handler({"job": "partitions"}, Context())
    ((name, succeeded_at, _, failed_at, error),) = service.sql.run(BEATS)
    assert (name, succeeded_at, len(error)) == ("maintain.partitions", None, 500)
    assert maintain.handler({"job": "partitions"}, Context()) == {"done": 3}
    ((_, succeeded_at, counts, failed_before, error),) = service.sql.run(BEATS)
    assert failed_before == failed_at < succeeded_at
    assert (counts, error[:21]) == ({"done": 3}, "RuntimeError: no disk")


def test_of_an_error_of_the_database_the_values_are_not_kept(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(run: Run) -> dict[str, int]:
        with connect_owner() as connection:
            connection.execute(text("SELECT CAST(:name AS text) FROM nowhere"), {"name": "a secret"})
        return {}

    monkeypatch.setitem(maintain.JOBS, "partitions", broken)
    with pytest.raises(DBAPIError, match="a secret"):
        maintain.handler({"job": "partitions"}, Context())
    ((_, _, _, _, error),) = service.sql.run(BEATS)
    assert "nowhere" in error
    assert "a secret" not in error


def test_a_heartbeat_that_cannot_be_written_does_not_undo_the_job(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(maintain.JOBS, "partitions", lambda run: {"done": 1})
    service.sql.run("ALTER TABLE webhook.heartbeats RENAME TO elsewhere")
    assert maintain.handler({"job": "partitions"}, Context()) == {"done": 1}


@pytest.mark.parametrize(
    ("values", "constraint"),
    [
        ("('Nonsense!', now(), '{}', NULL, NULL)", "heartbeats_name_shape"),
        ("('a', now(), '[]', NULL, NULL)", "heartbeats_counts_are_an_object"),
        ("('a', NULL, '{}', NULL, NULL)", "heartbeats_ran"),
        ("('a', now(), '{}', now(), NULL)", "heartbeats_failure_has_error"),
    ],
    ids=["name", "counts", "never ran", "failure without an error"],
)
def test_the_database_refuses_what_cannot_be(service: Service, values: str, constraint: str) -> None:
    with pytest.raises(DatabaseError, match=constraint):
        service.sql.run(f"INSERT INTO webhook.heartbeats VALUES {values}")
