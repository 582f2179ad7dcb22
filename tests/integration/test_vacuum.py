"""The job that vacuums and analyses what autovacuum leaves, on tables that autovacuum leaves alone altogether."""

import pytest

from functions.settings import settings
from tests.conftest import Databases
from tests.integration.conftest import Service
from tests.integration.maintain_scene import run_job

pytestmark = pytest.mark.new_database

PARENTS = 6
STATE = (
    "SELECT n_dead_tup, vacuum_count, analyze_count, n_mod_since_analyze FROM pg_stat_user_tables"
    " WHERE schemaname = 'webhook' AND relname = :table"
)
ROWS = (
    "INSERT INTO webhook.webhook_events (project_id, type, data, correlation_id)"
    " SELECT :project, 'a.b', '1', 'c' FROM generate_series(1, CAST(:count AS integer))"
)


@pytest.fixture(autouse=True)
def _low_bounds(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VACUUM_DEAD_ROWS", "100")
    settings.cache_clear()
    service.sql.run("ALTER TABLE webhook.webhook_events_default SET (autovacuum_enabled = off)")
    service.sql.run("ALTER TABLE webhook.idempotency_keys SET (autovacuum_enabled = off)")


def fill(service: Service, count: int, dead: int = 0) -> None:
    service.sql.run(ROWS, project=service.project_id, count=count)
    delete = "DELETE FROM webhook.webhook_events WHERE id IN (SELECT id FROM webhook.webhook_events LIMIT {})"
    service.sql.run(delete.format(dead))
    service.sql.run("SELECT pg_stat_force_next_flush()")


def state(service: Service, table: str = "webhook_events_default") -> dict[str, int]:
    service.sql.run("SELECT pg_stat_clear_snapshot()")
    ((dead, vacuums, analyzes, changed),) = service.sql.run(STATE, table=table)
    return {"dead": dead, "vacuums": vacuums, "analyzes": analyzes, "changed": changed}


def test_a_table_with_many_dead_rows_is_vacuumed_and_its_parent_analyzed(service: Service) -> None:
    fill(service, 2000, dead=200)
    assert state(service) == {"dead": 200, "vacuums": 0, "analyzes": 0, "changed": 2200}
    counts = run_job("vacuum")
    assert counts == {"vacuumed": 1, "analyzed": PARENTS, "skipped": 0, "left": 0}
    assert state(service) == {"dead": 0, "vacuums": 1, "analyzes": 1, "changed": 0}
    ((rows,),) = service.sql.run("SELECT reltuples FROM pg_class WHERE oid = 'webhook.webhook_events'::regclass")
    assert rows == 1800, "a partitioned table has statistics of its own"


def test_dead_rows_count_against_the_living(service: Service) -> None:
    fill(service, 4000, dead=150)
    assert run_job("vacuum") == {"vacuumed": 0, "analyzed": 1 + PARENTS, "skipped": 0, "left": 0}
    assert state(service) == {"dead": 150, "vacuums": 0, "analyzes": 1, "changed": 0}


def test_what_is_in_order_is_left_alone_until_parents_are_due_again(service: Service) -> None:
    fill(service, 2000, dead=200)
    run_job("vacuum")
    nothing = {"vacuumed": 0, "analyzed": 0, "skipped": 0, "left": 0}
    assert run_job("vacuum") == nothing
    fill(service, 90)
    assert run_job("vacuum") == nothing
    assert run_job("vacuum", days=1) == {**nothing, "analyzed": PARENTS}


def test_a_parent_that_is_analyzed_leaves_its_partitions_alone(service: Service) -> None:
    fill(service, 50)
    run_job("vacuum")
    assert state(service)["analyzes"] == 0
    assert state(service, "webhook_events")["analyzes"] == 1


def test_a_table_that_somebody_has_locked_is_skipped(service: Service, databases: Databases) -> None:
    fill(service, 2000, dead=200)
    with databases.connect(settings().database.url) as other:
        other.run("BEGIN")
        other.run("LOCK TABLE webhook.webhook_events_default IN SHARE UPDATE EXCLUSIVE MODE")
        counts = run_job("vacuum")
    assert (counts["vacuumed"], counts["skipped"], counts["left"]) == (0, 1, 0)
    assert run_job("vacuum", days=1)["vacuumed"] == 1


def test_what_there_is_no_time_for_is_left_and_said(service: Service) -> None:
    fill(service, 2000, dead=200)
    assert run_job("vacuum", seconds=0) == {"vacuumed": 0, "analyzed": 0, "skipped": 0, "left": 1 + PARENTS}
    assert state(service)["vacuums"] == 0


def test_a_statement_ends_when_the_time_is_up(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    """A vacuum that waits for ever stands for one that takes too long."""
    fill(service, 2000, dead=200)
    monkeypatch.setattr("functions.maintain.vacuum.OPTIONS", "TRUNCATE FALSE")
    monkeypatch.setattr("functions.maintain.vacuum.LOCK_TIMEOUT", "10min")
    service.sql.run("BEGIN")
    service.sql.run("LOCK TABLE webhook.webhook_events_default IN SHARE UPDATE EXCLUSIVE MODE")
    assert run_job("vacuum", seconds=1.5) == {"vacuumed": 0, "analyzed": 0, "skipped": 0, "left": 1 + PARENTS}
    service.sql.run("COMMIT")
