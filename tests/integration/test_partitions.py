"""The job that makes partitions and empties the default ones, as the maintenance function runs it."""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from functions.maintain import handler as maintain
from functions.maintain import partitions as job
from functions.maintain.run import Run
from functions.settings import settings
from functions.statements import named
from tests.conftest import Databases
from tests.integration.conftest import Context, Service
from tests.integration.locks import while_waiting

BIG = ("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "audit_log")
MADE = 16 + 5 * 4  # days of events, and months of everything else
EVENT = (
    "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)"
    " SELECT CAST(webhook.uuidv7_floor(CAST(:at AS timestamptz) + n * interval '1 ms') AS uuid), :project, 'a.b',"
    " to_jsonb(n), 'c' FROM generate_series(1, CAST(:count AS integer)) AS n"
)


def run(service: Service) -> dict[str, int]:
    return maintain.handler({"job": "partitions"}, Context())


def partitions(service: Service, table: str) -> list[str]:
    found = service.sql.run(
        "SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid"
        " WHERE i.inhparent = to_regclass(:parent) ORDER BY 1",
        parent=f"webhook.{table}",
    )
    return [name for (name,) in found]


def in_default(service: Service, table: str) -> int:
    return int(service.sql.run(f"SELECT count(*) FROM webhook.{table}_default")[0][0])


def test_missing_partitions_are_made_once_and_rows_go_into_them(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.audit_log")
    assert run(service) == {"made": MADE, "drained": 0, "default_rows": 0}
    assert run(service) == {"made": 0, "drained": 0, "default_rows": 0}
    assert len(partitions(service, "webhook_events")) == 17
    service.webhook()
    service.event()
    assert [in_default(service, table) for table in BIG] == [0, 0, 0, 0]


def test_partitions_have_the_parents_indexes_constraints_and_owner(service: Service) -> None:
    service.webhook()
    service.event()
    run(service)
    name = next(p for p in partitions(service, "webhook_deliveries") if not p.endswith("default"))
    indexes = "SELECT count(*) FROM pg_indexes WHERE tablename = :name"
    assert service.sql.run(indexes, name=name) == service.sql.run(indexes, name="webhook_deliveries")
    checks = (
        "SELECT count(*) FROM pg_constraint WHERE conrelid = to_regclass(:t) AND contype = ANY (ARRAY['c', 'f'])"
    )
    ((parent,),) = service.sql.run(checks, t="webhook.webhook_deliveries")
    ((child,),) = service.sql.run(checks, t=f"webhook.{name}")
    assert parent == child
    ((owner,),) = service.sql.run("SELECT tableowner FROM pg_tables WHERE tablename = :name", name=name)
    assert owner == "hookline_owner"


def test_rows_in_the_default_partition_are_moved_with_everything_that_is_in_them(service: Service) -> None:
    service.webhook()
    sent = [service.event(id=f"e-{n}")["id"] for n in range(3)]
    before = {table: service.sql.run(f"SELECT * FROM webhook.{table} ORDER BY id") for table in BIG}
    assert [in_default(service, table) for table in BIG] == [3, 3, 0, len(before["audit_log"])]
    counts = run(service)
    assert counts == {"made": MADE, "drained": 6 + len(before["audit_log"]), "default_rows": 0}
    assert {table: service.sql.run(f"SELECT * FROM webhook.{table} ORDER BY id") for table in BIG} == before
    assert [in_default(service, table) for table in BIG] == [0, 0, 0, 0]
    assert service.client("GET", f"/v1/events/{sent[0]}").body["deliveries"]["pending"] == 1


@pytest.mark.parametrize("at", ["1970-01-01T00:00:00Z", "2019-02-28T23:59:59.9Z", "2061-12-31T12:00:00Z"])
def test_what_a_wrong_clock_made_gets_a_partition_of_its_own_day(service: Service, at: str) -> None:
    run(service)
    service.sql.run(EVENT, at=at, project=service.project_id, count=2000)
    assert in_default(service, "webhook_events") == 2000
    days = 2 if at.startswith("2019") else 1
    assert run(service) == {"made": days, "drained": 2000, "default_rows": 0}
    assert f"webhook_events_{at[:10].replace('-', '_')}" in partitions(service, "webhook_events")
    ((kept,),) = service.sql.run("SELECT count(*) FROM webhook.webhook_events")
    assert kept == 2000


def test_what_no_date_can_tell_stays_and_is_counted(service: Service) -> None:
    run(service)
    service.sql.run(
        "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)"
        " VALUES ('ffffffff-ffff-7fff-8fff-ffffffffffff', :project, 'a.b', '1', 'c')",
        project=service.project_id,
    )
    assert run(service) == {"made": 0, "drained": 0, "default_rows": 1}


def test_many_rows_are_moved_before_writers_are_kept_out_and_the_late_ones_after(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody writes between the two: the row that came in between is moved, too."""
    monkeypatch.setattr("functions.domain.partitions.FEW", 10)
    run(service)
    service.sql.run(EVENT, at="2061-12-31T12:00:00Z", project=service.project_id, count=100)
    late = {"at": "2061-12-31T13:00:00Z", "project": service.project_id, "count": 1}
    counts = while_waiting(service, EVENT, lambda: run(service), **late)
    assert counts == {"made": 1, "drained": 101, "default_rows": 0}


def test_who_writes_meanwhile_waits_and_fails_at_nothing(service: Service, databases: Databases) -> None:
    """The rows that they write would have gone into the default partition, and then must not."""
    service.webhook()
    done = threading.Event()
    written: list[int] = []

    def write() -> None:
        insert = (
            "INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, sweep_at)"
            " SELECT project_id, id, uuidv7(), 'a.b', now() FROM webhook.webhooks, generate_series(1, 20)"
        )
        with databases.connect(settings().database.url) as sql:
            while not done.is_set():
                sql.run(insert)
                written.append(20)
                sql.run("BEGIN")
                sql.run("SELECT count(*) FROM webhook.webhook_deliveries WHERE sweep_at < now()")
                sql.run("UPDATE webhook.webhook_deliveries SET token = token + 1 WHERE id IN (SELECT uuidv7())")
                sql.run("COMMIT")

    with ThreadPoolExecutor(3) as pool:
        writers = [pool.submit(write) for _ in range(3)]
        try:
            while sum(written) < 1000:
                assert not any(writer.done() for writer in writers)
                done.wait(0.01)
            counts = run(service)
        finally:
            done.set()
    assert [writer.exception() for writer in writers] == [None] * 3
    assert counts["drained"] >= 1000
    assert in_default(service, "webhook_deliveries") == 0
    ((rows,),) = service.sql.run("SELECT count(*) FROM webhook.webhook_deliveries")
    assert rows == sum(written)


def test_a_lock_that_is_not_had_is_tried_again_and_the_rest_is_made_all_the_same(
    service: Service, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(job.time, "sleep", pauses.append)
    sooner = named("partitions.lock_timeout", text("SET LOCAL lock_timeout = '20ms'"))
    monkeypatch.setattr("functions.domain.partitions.LOCK_TIMEOUT", sooner)
    service.sql.run("DELETE FROM webhook.audit_log")
    with databases.connect(settings().database.url) as writer:
        writer.run("BEGIN")
        writer.run("LOCK TABLE webhook.webhook_deliveries_default IN ROW EXCLUSIVE MODE")
        with pytest.raises(DBAPIError, match="55P03"):
            job.run(Run(now=datetime.now(UTC)))
    assert len(pauses) == 2 * 4
    assert [len(partitions(service, table)) for table in BIG] == [17, 1, 5, 5]
    assert run(service)["made"] == 4


def test_another_interval_goes_on_where_the_partitions_of_the_first_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    run(service)
    now = datetime(2026, 11, 21, tzinfo=UTC)
    for at, interval in ((now, "day"), (datetime(2026, 12, 1, tzinfo=UTC), "month")):
        monkeypatch.setenv("PARTITIONS_INTERVAL_EVENTS", interval)
        monkeypatch.setenv("PARTITIONS_AHEAD_EVENTS", "3")
        settings.cache_clear()
        job.run(Run(now=at))
    made = [name for name in partitions(service, "webhook_events") if "_2026_1" in name or "_2027_" in name]
    assert made[-3:] == ["webhook_events_2027_01", "webhook_events_2027_02", "webhook_events_2027_03"]
    assert {"webhook_events_2026_11_30", "webhook_events_2026_12_31"} <= set(made)
    assert "webhook_events_2026_12" not in made


def test_an_unknown_job_is_an_error_that_names_the_jobs(service: Service) -> None:
    with pytest.raises(ValueError, match="partitions"):
        maintain.handler({"job": "nonsense"}, Context())
