"""The job that finds rows which refer to what is not there."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from functions.maintain import orphans, references
from tests.integration.conftest import Client, Service
from tests.integration.levers_scene import failed, waiting
from tests.integration.maintain_scene import run_job

NewProject = Callable[..., tuple[str, Client]]
ATTEMPT = (
    "INSERT INTO webhook.webhook_delivery_attempts (project_id, delivery_id, attempt_number, request_url,"
    " request_headers, request_sent_at, error_code, error_message)"
    " SELECT project_id, id, 1, 'http://x', '{}', now(), 'timeout', 't'"
    " FROM webhook.webhook_deliveries"
)


def found(service: Service, days: float = 0, **parameters: str) -> dict[str, int]:
    """What refers to nothing, by reference."""
    counts = run_job("orphans", days=days, **parameters)
    return {name: count for name, count in counts.items() if count and name != "looked"}


@pytest.fixture(autouse=True)
def _whole(service: Service) -> None:
    """One of everything, all of it as it should be."""
    webhook = service.webhook()
    failed(service, webhook)
    waiting(service, webhook)
    service.event(id="e-1")
    service.sql.run(ATTEMPT)
    service.application()


def test_where_all_is_in_order_nothing_is_found(service: Service) -> None:
    counts = run_job("orphans", since="2026-01-01")
    tables = ("webhook_deliveries", "webhook_delivery_attempts", "webhook_dlq", "audit_log")
    rows = sum(int(service.sql.run(f"SELECT count(*) FROM webhook.{table}")[0][0]) for table in tables)
    assert counts == {"looked": rows, **dict.fromkeys((*references.NAMES, "unfinished"), 0)}


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        (
            "DELETE FROM webhook.webhook_events",
            {"deliveries_without_event": 3, "dead_letters_without_event": 1},
        ),
        (
            "DELETE FROM webhook.webhook_deliveries",
            {"attempts_without_delivery": 3, "dead_letters_without_delivery": 1},
        ),
        (
            "UPDATE webhook.webhook_deliveries SET application_id = uuidv7()",
            {"deliveries_without_application": 3},
        ),
        (
            "UPDATE webhook.webhook_dlq SET application_id = uuidv7()",
            {"dead_letters_without_application": 1},
        ),
        (
            "UPDATE webhook.audit_log SET actor_id = uuidv7() WHERE event = 'webhook.created'",
            {"audit_entries_without_key": 1},
        ),
        (
            "UPDATE webhook.audit_log SET application_id = uuidv7() WHERE event = 'application.created'",
            {"audit_entries_without_application": 1},
        ),
        (
            "UPDATE webhook.audit_log SET project_id = uuidv7() WHERE event = 'webhook.created'",
            {"audit_entries_without_project": 1},
        ),
        (
            "UPDATE webhook.webhook_delivery_attempts SET project_id = uuidv7()",
            {"attempts_of_another_projects_delivery": 3},
        ),
    ],
)
def test_what_refers_to_nothing_is_counted_named_and_left_as_it_is(
    service: Service, monkeypatch: pytest.MonkeyPatch, fault: str, expected: dict[str, int]
) -> None:
    monkeypatch.setattr(orphans, "BATCH", 2)
    said: dict[str, list[str]] = {}
    monkeypatch.setattr(
        orphans.logger, "error", lambda _text, *, reference, sample, **_: said.update({reference: sample})
    )
    service.sql.run(fault)
    tables = "SELECT * FROM webhook.webhook_deliveries ORDER BY id"
    before = service.sql.run(tables)
    assert found(service) == expected
    assert said.keys() == expected.keys()
    assert all(sample for sample in said.values())
    assert service.sql.run(tables) == before


def test_what_belongs_to_another_project_is_found(service: Service, new_project: NewProject) -> None:
    other, _ = new_project()
    service.sql.run("UPDATE webhook.webhook_events SET project_id = :id", id=other)
    counts = found(service)
    assert counts["deliveries_of_another_projects_event"] == 3
    assert counts["dead_letters_of_another_project"] == 1


def test_what_is_older_than_it_is_kept_may_be_gone_unless_something_needs_it(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.webhook_events")
    service.sql.run("UPDATE webhook.webhook_dlq SET status = 'discarded', resolved_at = now()")
    everything = {"since": "2026-01-01"}
    assert found(service, 29, **everything) == {"deliveries_without_event": 3, "dead_letters_without_event": 1}
    assert found(service, 31, **everything) == {"deliveries_without_event": 2}, "those that wait need theirs"
    service.sql.run("UPDATE webhook.webhook_dlq SET status = 'pending', resolved_at = NULL")
    assert found(service, 31, **everything) == {"deliveries_without_event": 2, "dead_letters_without_event": 1}


def test_a_project_may_have_deleted_its_own_earlier(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.webhook_deliveries")
    service.sql.run("DELETE FROM webhook.webhook_dlq")
    assert found(service, 9, since="2026-01-01") == {"attempts_without_delivery": 3}
    path = f"/v1/projects/{service.project_id}"
    assert service.admin("PATCH", path, {"retention": {"deliveries": 8}}).status == 200
    assert found(service, 9, since="2026-01-01") == {}
    assert found(service, 7, since="2026-01-01") == {"attempts_without_delivery": 3}


def test_what_is_looked_at_may_be_told(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.webhook_events")
    today = datetime.now(UTC).date()
    assert found(service, since=str(today))["deliveries_without_event"] == 3
    assert found(service, since="2026-01-01", until=str(today)) == {}
    with pytest.raises(ValueError, match="yesterday"):
        run_job("orphans", since="yesterday")


def test_when_time_is_up_that_is_said(service: Service) -> None:
    counts = run_job("orphans", seconds=0)
    assert (counts["looked"], counts["unfinished"]) == (0, 1)


@pytest.mark.parametrize("kept", [30, 90, 365])
def test_each_rows_turn_comes_within_thirty_days(kept: int) -> None:
    """After it was looked at as one of the newest, and before it is too old to be kept."""
    for day in range(100):
        row = datetime(2026, 11, 21, 18, tzinfo=UTC) + timedelta(days=day)
        runs = [row + timedelta(days=2 + n, hours=7) for n in range(1, orphans.CYCLE + 1)]
        turns = [window for at in runs for window in list(orphans._windows(at, kept))[1:]]
        assert any(since <= row < until for since, until in turns), row


def test_each_pages_turn_comes(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over a cycle each id is looked at once."""
    service.sql.run(
        "INSERT INTO webhook.webhook_event_ids SELECT :project, repeat('x', 200) || n, uuidv7()"
        " FROM generate_series(1, 3000) AS n",
        project=service.project_id,
    )
    monkeypatch.setattr(orphans, "PAGES", 2)
    monkeypatch.setattr(orphans, "_tables", tuple)
    totals = [run_job("orphans", days=n) for n in range(orphans.CYCLE)]
    assert sum(one["looked"] for one in totals) == 3001
    assert sum(one["event_ids_without_event"] for one in totals) == 3000
