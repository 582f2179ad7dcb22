"""The history of the figures, when the schema goes back."""

from tests.conftest import Databases, run_alembic

REPORT = "INSERT INTO webhook.reports VALUES (now(), true, '{}')"
BEAT = "INSERT INTO webhook.heartbeats (name, succeeded_at) VALUES ('dispatch', now())"


def test_a_downgrade_keeps_it_unless_told_otherwise(databases: Databases) -> None:
    url = databases.migrated()
    with databases.connect(url) as sql:
        sql.run(REPORT)
    refused = run_alembic(url, "downgrade", "0004")
    assert refused.returncode != 0
    assert "HOOKLINE_ALLOW_DATA_LOSS=1" in refused.stderr
    with databases.connect(url) as sql:
        assert sql.run("SELECT count(*) FROM webhook.reports") == [[1]]
    told = run_alembic(url, "downgrade", "0004", HOOKLINE_ALLOW_DATA_LOSS="1")
    assert told.returncode == 0, told.stderr
    assert run_alembic(url, "upgrade", "head").returncode == 0


def test_heartbeats_come_again_and_hold_nothing_up(databases: Databases) -> None:
    url = databases.migrated()
    with databases.connect(url) as sql:
        sql.run(BEAT)
    down = run_alembic(url, "downgrade", "0004")
    assert down.returncode == 0, down.stderr
