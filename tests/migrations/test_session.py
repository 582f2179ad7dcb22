"""A migration waits for others, never makes writers wait for long, and leaves nothing half done."""

import os
import threading
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy.exc import DBAPIError

from migrations import session
from tests.conftest import ROOT, Databases
from tests.migrations import scratch
from tests.migrations.alembic_here import upgrade
from tests.migrations.catalog import catalog
from tests.migrations.scratch import HEAD, ID, behind_the_head, revision_of, running, until

TWO_TABLES = (
    'op.execute("ALTER TABLE webhook.webhook_health ADD COLUMN noted text")',
    'op.execute("ALTER TABLE webhook.webhook_deliveries ADD COLUMN noted text")',
)
WAITED_FOR_LONG = """
SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'advisory'
  AND now() - query_start > interval '1 s'
"""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The lock timeout is what it is for, but shorter: it comes in any case."""
    monkeypatch.setattr(session, "LOCK_TIMEOUT", "300ms")


def test_a_revision_that_cannot_have_its_lock_gives_up_and_leaves_nothing(
    databases: Databases, tmp_path: Path, impatient: None
) -> None:
    url = databases.migrated()
    config = behind_the_head(tmp_path, *TWO_TABLES)
    with databases.connect(url) as sql, databases.connect(url) as reader:
        before = catalog(sql)
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM webhook.webhook_deliveries")
        with pytest.raises(DBAPIError, match="55P03"):
            upgrade(url, ID, config=config)
        assert catalog(sql) == before
        assert revision_of(sql) == HEAD
        reader.run("COMMIT")
        upgrade(url, ID, config=config)
        assert revision_of(sql) == ID


def test_two_migrations_at_once_wait_for_each_other(databases: Databases, tmp_path: Path, impatient: None) -> None:
    """However long the first takes: the lock timeout is for tables, not for this."""
    url = databases.migrated()
    config = behind_the_head(tmp_path, *TWO_TABLES)
    with databases.connect(url) as sql, databases.connect(url) as first:
        first.run("SELECT pg_advisory_lock(:lock)", lock=session.MIGRATION_LOCK)
        second = threading.Thread(target=upgrade, args=(url, ID), kwargs={"config": config})
        second.start()
        until(lambda: sql.run(WAITED_FOR_LONG) == [[1]] or not second.is_alive())
        assert second.is_alive()
        assert revision_of(sql) == HEAD
        first.run("SELECT pg_advisory_unlock(:lock)", lock=session.MIGRATION_LOCK)
        second.join()
        assert revision_of(sql) == ID


def test_a_migration_that_is_killed_leaves_nothing_and_gives_back_its_locks(
    databases: Databases, tmp_path: Path
) -> None:
    url = databases.migrated()
    sleeping = behind_the_head(tmp_path, TWO_TABLES[0], 'op.execute("SELECT pg_sleep(3600)")')
    with databases.connect(url) as sql:
        before = catalog(sql)
        with scratch.start(sleeping, url, dict(os.environ)) as process:
            until(lambda: running(sql, "SELECT pg_sleep%"))
            process.kill()
        until(lambda: not running(sql, "SELECT pg_sleep%"))
        assert catalog(sql) == before
        assert revision_of(sql) == HEAD
    upgrade(url, ID, config=behind_the_head(tmp_path, *TWO_TABLES))


def test_a_new_revision_begins_with_the_rules(tmp_path: Path) -> None:
    config = Config(str(ROOT / "alembic.ini"))
    config.set_main_option("version_locations", f"{ROOT / 'migrations' / 'versions'}:{tmp_path}")
    command.revision(config, message="something new", rev_id="9999", version_path=str(tmp_path))
    written = (tmp_path / "9999_something_new.py").read_text()
    compile(written, "9999", "exec")
    for said in ("Safety rule", "destructive = False", "online.create_index", "refuse_to_lose"):
        assert said in written
    assert max(map(len, written.splitlines())) <= 115
