"""The revisions, up and down and up again, on a real server, with rows in the tables."""

import pytest
from pg8000.exceptions import DatabaseError

from tests.conftest import Databases, run_alembic

KEY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"
ROWS = [
    "INSERT INTO webhook.projects (id, name, data_key) VALUES (:key, 'p', 'k')",
    "INSERT INTO webhook.webhooks (id, project_id, name, url, signing_secret)"
    " VALUES (:key, :key, 'w', 'https://x', 's')",
    "INSERT INTO webhook.applications (id, project_id, uid, name) VALUES (:key, :key, 'a', 'A')",
    "UPDATE webhook.webhooks SET application_id = :key",
    "INSERT INTO webhook.webhook_event_types (id, project_id, name) VALUES (:key, :key, 'a')",
    "INSERT INTO webhook.webhook_event_type_versions (event_type_id, version) VALUES (:key, 1)",
    "INSERT INTO webhook.jobs (project_id, kind, parameters, total, sweep_at, correlation_id)"
    " VALUES (:key, 'retry', '{}', 1, now(), 'c')",
    "INSERT INTO webhook.audit_log (project_id, event, actor_type, resource_type, resource_id, correlation_id,"
    " request_id) VALUES (:key, 'a', 'admin', 'project', '1', 'c', 'r')",
    "INSERT INTO webhook.webhook_health (webhook_id) VALUES (:key)",
    "INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type) VALUES (:key, :key, '*')",
    "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)"
    " VALUES (:key, :key, 'a', '1', 'c')",
    "INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, event_id, event_type, sweep_at)"
    " VALUES (:key, :key, :key, :key, 'a', now())",
]


def fill(databases: Databases, url: str) -> None:
    with databases.connect(url) as sql:
        for statement in ROWS:
            sql.run(statement, key=KEY)


def count(databases: Databases, url: str, table: str) -> int:
    with databases.connect(url) as sql:
        return int(sql.run(f"SELECT count(*) FROM webhook.{table}")[0][0])


def test_up_down_and_up_again_with_rows(databases: Databases) -> None:
    url = databases.empty()
    assert run_alembic(url, "upgrade", "head").returncode == 0
    fill(databases, url)
    refused = run_alembic(url, "downgrade", "base")
    assert refused.returncode != 0
    assert "HOOKLINE_ALLOW_DATA_LOSS=1" in refused.stderr
    assert count(databases, url, "webhook_events") == 1
    down = run_alembic(url, "downgrade", "base", HOOKLINE_ALLOW_DATA_LOSS="1")
    assert down.returncode == 0, down.stderr
    again = run_alembic(url, "upgrade", "head")
    assert again.returncode == 0, again.stderr
    fill(databases, url)
    assert count(databases, url, "webhook_deliveries") == 1


def test_upgrading_twice_changes_nothing(databases: Databases) -> None:
    url = databases.migrated()
    fill(databases, url)
    assert run_alembic(url, "upgrade", "head").returncode == 0
    assert count(databases, url, "webhook_events") == 1


def test_the_models_and_the_schema_agree(databases: Databases) -> None:
    checked = run_alembic(databases.migrated(), "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_the_history_is_linear(databases: Databases) -> None:
    heads = run_alembic(databases.migrated(), "heads")
    assert len(heads.stdout.strip().splitlines()) == 1


def test_everything_is_in_the_schema_webhook_and_belongs_to_its_owner(databases: Databases) -> None:
    with databases.connect(databases.migrated()) as sql:
        public = sql.run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        owners = sql.run("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'webhook'")
    assert public == []
    assert owners == [["hookline_owner"]]


BAD = [
    ("projects", "name = ''"),
    ("webhooks", "url = 'ftp://x'"),
    ("webhooks", "status = 'gone'"),
    ("webhooks", "timeout_seconds = 31"),
    ("webhooks", "max_attempts = 0"),
    ("webhook_health", "failure_count = -1"),
    ("webhook_subscriptions", "event_type = 'a*'"),
    ("webhook_events", "type = 'a b'"),
    ("webhook_events", "id = gen_random_uuid()"),
    ("webhook_events", "webhooks_matched = -1"),
    ("webhook_deliveries", "status = 'lost'"),
    ("webhook_deliveries", "attempts = 7"),
    ("webhook_deliveries", "sweep_at = NULL"),
    ("webhook_deliveries", "status = 'delivering'"),
    ("webhook_deliveries", "status = 'delivered', sweep_at = NULL"),
    ("webhook_deliveries", "last_response_status = 99"),
    ("webhook_deliveries", "webhook_id = uuidv7()"),
]


@pytest.mark.parametrize(("table", "change"), BAD)
def test_the_database_itself_refuses_what_cannot_be(databases: Databases, table: str, change: str) -> None:
    url = databases.migrated()
    fill(databases, url)
    with databases.connect(url) as sql, pytest.raises(DatabaseError):
        sql.run(f"UPDATE webhook.{table} SET {change}")


def test_the_functions_role_may_touch_rows_and_nothing_else(databases: Databases) -> None:
    url = databases.migrated()
    with databases.connect(url) as sql:
        sql.run("SET ROLE hookline_app")
        assert sql.run("SELECT count(*) FROM webhook.projects") == [[0]]
        for statement in (
            "DROP TABLE webhook.projects",
            "DELETE FROM webhook.webhook_events",
            "TRUNCATE webhook.webhook_events",
            "CREATE TABLE webhook.t (id int)",
            "UPDATE webhook.alembic_version SET version_num = 'x'",
        ):
            with pytest.raises(DatabaseError, match="42501"):
                sql.run(statement)


def test_without_the_right_to_make_roles_the_schema_is_made_all_the_same(databases: Databases) -> None:
    """A database that somebody else runs: WEBHOOK_DATABASE_URL may name a plain user of it."""
    url = databases.empty()
    name = url.rpartition("/")[2]
    user = f"plain_{name}"[:60]
    with databases.connect(url) as sql:
        sql.run(f"CREATE ROLE {user} LOGIN PASSWORD 'plain'")
        sql.run(f'ALTER DATABASE "{name}" OWNER TO {user}')
    plain = f"postgresql://{user}:plain@127.0.0.1:{databases.server.port}/{name}"
    done = run_alembic(plain, "upgrade", "head")
    assert done.returncode == 0, done.stderr
