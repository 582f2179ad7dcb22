"""Changes of big tables beside writers: constraints and indexes, a partition at a time, interrupted or not."""

import os
from pathlib import Path

import pg8000.native
import pytest
from sqlalchemy.exc import DBAPIError

from migrations import session
from tests.conftest import Databases
from tests.migrations import scratch
from tests.migrations.alembic_here import downgrade, upgrade
from tests.migrations.catalog import catalog
from tests.migrations.rows import fill
from tests.migrations.scratch import HEAD, ID, behind_the_head, revision_of, running, until

INDEX = 'online.create_index("webhook_deliveries_by_code", "webhook_deliveries", "(last_error_code, id)")'
MAKE_INDEX = ("with online.steps():", f"    {INDEX}")
DROP_INDEX = 'with online.steps(): online.drop_index("webhook_deliveries_by_code")'
RULE = '{"webhook_deliveries_few": "CHECK (max_attempts < 6)"}'
MAKE_RULE = (
    "with online.steps():",
    f'    online.add_constraints("webhook_deliveries", {RULE})',
    '    online.validate("webhook_deliveries")',
)
DROP_RULE = f'with online.steps(): online.drop_constraints("webhook_deliveries", {RULE})'
INDEXES = """
SELECT t.relname, i.indisvalid FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
JOIN pg_class t ON t.oid = i.indrelid WHERE c.relname LIKE 'webhook_deliveries%_by_code' ORDER BY 1
"""
RULES = """
SELECT t.relname, k.convalidated FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
WHERE k.conname = 'webhook_deliveries_few' ORDER BY 1
"""
WITH_PARTITIONS = "SELECT relid::regclass::text FROM pg_partition_tree('webhook.webhook_deliveries') ORDER BY 1"
ANOTHER_PARTITION = """
CREATE TABLE webhook.webhook_deliveries_2020_01 PARTITION OF webhook.webhook_deliveries
FOR VALUES FROM ('016f5e66-e800-0000-0000-000000000000') TO ('016ffe0e-e400-0000-0000-000000000000')
"""


@pytest.fixture
def url(databases: Databases) -> str:
    made = databases.migrated()
    with databases.connect(made) as sql:
        sql.run("SET ROLE hookline_owner")
        sql.run(ANOTHER_PARTITION)
        fill(sql)
    return made


def all_of(sql: pg8000.native.Connection, query: str) -> list[list[object]]:
    """What a query that says so of each partition answers when it is true of the table and all of them."""
    return [[str(name).removeprefix("webhook."), True] for (name,) in sql.run(WITH_PARTITIONS)]


def test_an_index_is_made_of_every_partition_and_dropped_again(
    databases: Databases, url: str, tmp_path: Path
) -> None:
    config = behind_the_head(tmp_path, *MAKE_INDEX, downgrade=DROP_INDEX)
    with databases.connect(url) as sql:
        before = catalog(sql)
        upgrade(url, ID, config=config)
        assert sql.run(INDEXES) == all_of(sql, INDEXES)
        made = catalog(sql)
        sql.run("UPDATE webhook.alembic_version SET version_num = :head", head=HEAD)
        upgrade(url, ID, config=config)
        assert catalog(sql) == made
        downgrade(url, HEAD, config=config)
        assert catalog(sql) == before


def test_an_index_that_was_interrupted_is_made_anew(databases: Databases, url: str, tmp_path: Path) -> None:
    """Killed while it waits for an old transaction: what it leaves is dropped, and nothing of it stays invalid."""
    config = behind_the_head(tmp_path, *MAKE_INDEX)
    with databases.connect(url) as sql, databases.connect(url) as writer:
        writer.run("BEGIN")
        writer.run("UPDATE webhook.webhook_deliveries_default SET last_attempt_at = now()")
        with scratch.start(config, url, dict(os.environ)) as process:
            until(lambda: running(sql, "CREATE INDEX CONCURRENTLY%", waiting=True))
            process.kill()
        until(lambda: not running(sql, "CREATE INDEX CONCURRENTLY%"))
        assert revision_of(sql) == HEAD
        assert [False] in [row[1:] for row in sql.run(INDEXES) if row[0] != "webhook_deliveries"]
        writer.run("COMMIT")
        upgrade(url, ID, config=config)
        assert sql.run(INDEXES) == all_of(sql, INDEXES)


def test_an_index_waits_for_longer_than_a_lock_timeout(
    databases: Databases, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others write meanwhile, so there is no hurry: the old transaction ends when it ends."""
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "300ms")
    config = behind_the_head(tmp_path, *MAKE_INDEX)
    with databases.connect(url) as sql, databases.connect(url) as writer:
        writer.run("BEGIN")
        writer.run("UPDATE webhook.webhook_deliveries_default SET last_attempt_at = now()")
        with scratch.start(config, url, dict(os.environ)) as process:
            until(lambda: running(sql, "CREATE INDEX CONCURRENTLY%", waiting=True))
            sql.run("INSERT INTO webhook.webhook_health SELECT * FROM webhook.webhook_health WHERE false")
            until(lambda: sql.run(WAITING_SINCE) == [[True]])
            writer.run("COMMIT")
            assert process.wait() == 0
        assert sql.run(INDEXES) == all_of(sql, INDEXES)


WAITING_SINCE = """
SELECT coalesce(bool_or(now() - query_start > interval '5 s'), false) FROM pg_stat_activity
WHERE datname = current_database() AND query LIKE 'CREATE INDEX CONCURRENTLY%' AND wait_event_type = 'Lock'
"""


def test_rows_that_break_a_new_rule_are_named_and_once_mended_it_goes_on(
    databases: Databases, url: str, tmp_path: Path
) -> None:
    config = behind_the_head(tmp_path, *MAKE_RULE, downgrade=DROP_RULE)
    with databases.connect(url) as sql:
        before = catalog(sql)
        with pytest.raises(DBAPIError, match=r"webhook_deliveries_few.*webhook_deliveries_default"):
            upgrade(url, ID, config=config)
        assert revision_of(sql) == HEAD
        with pytest.raises(pg8000.exceptions.DatabaseError, match="webhook_deliveries_few"):
            sql.run("UPDATE webhook.webhook_deliveries SET max_attempts = 9")
        sql.run("UPDATE webhook.webhook_deliveries SET max_attempts = 5, attempts = 0")
        upgrade(url, ID, config=config)
        assert sql.run(RULES) == all_of(sql, RULES)
        downgrade(url, HEAD, config=config)
        assert catalog(sql) == before


def test_a_rule_that_cannot_lock_a_partition_gives_up_and_leaves_nothing(
    databases: Databases, url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "300ms")
    config = behind_the_head(tmp_path, *MAKE_RULE)
    with databases.connect(url) as sql, databases.connect(url) as reader:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM webhook.webhook_deliveries_2020_01")
        with pytest.raises(DBAPIError, match=r"55P03|57014"):
            upgrade(url, ID, config=config)
        assert sql.run(RULES) == []
