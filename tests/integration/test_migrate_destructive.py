"""The migration function before revisions that destroy rows, and when a revision does not get its locks."""

import types
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest
from alembic import command
from alembic.script import Script
from moto import mock_aws
from pg8000.exceptions import DatabaseError

from functions.adapters import database
from functions.migrate import handler as migrate
from functions.migrate import snapshots
from functions.migrate.snapshots import SnapshotMissingError
from functions.settings import settings
from tests.conftest import REGION, Databases, run_alembic
from tests.integration.conftest import Context, forget_caches

INSTANCE = "hookline-prod"


def revision(name: str, **said: Any) -> Script:
    module = types.ModuleType(name)
    vars(module).update(revision=name, down_revision=None, **said)
    return Script(module, name, f"{name}.py")


HARMLESS, OLDER = revision("0008", destructive=False), revision("0007")
DESTRUCTIVE = revision("0009", destructive=True)


@pytest.fixture
def rds(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """An instance as the stack names it to the migration function."""
    for name in ("WEBHOOK_DATABASE_URL", "DATABASE_URL", "SEARCH_BRIDGE_DATABASE_URL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in {
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": REGION,
        "DATABASE_HOST": "db.example",
        "DATABASE_INSTANCE_ID": INSTANCE,
    }.items():
        monkeypatch.setenv(name, value)
    settings.cache_clear()
    with mock_aws():
        client = boto3.client("rds")
        for name in (INSTANCE, "another"):
            client.create_db_instance(
                DBInstanceIdentifier=name,
                DBInstanceClass="db.m8g.large",
                Engine="postgres",
                AllocatedStorage=20,
            )
        for made in client.describe_db_snapshots()["DBSnapshots"]:  # each begins with one
            client.delete_db_snapshot(DBSnapshotIdentifier=made["DBSnapshotIdentifier"])
        yield client
    settings.cache_clear()


def snap(rds: Any, instance: str = INSTANCE) -> datetime:
    made = rds.create_db_snapshot(DBInstanceIdentifier=instance, DBSnapshotIdentifier=f"{instance}-before-0009")
    return made["DBSnapshot"]["SnapshotCreateTime"]


def test_without_a_snapshot_a_destructive_revision_is_refused_and_the_way_is_told(rds: Any) -> None:
    with pytest.raises(SnapshotMissingError) as refused:
        snapshots.require_for([HARMLESS, DESTRUCTIVE])
    said = str(refused.value)
    assert "destructive: 0009" in said
    made = f"aws rds create-db-snapshot --db-instance-identifier {INSTANCE} --db-snapshot-identifier"
    assert f"{made} {INSTANCE}-before-0009" in said


def test_with_one_of_the_last_hour_it_is_made(rds: Any) -> None:
    made = snap(rds)
    snapshots.require_for([DESTRUCTIVE], now=made + timedelta(minutes=59))
    with pytest.raises(SnapshotMissingError):
        snapshots.require_for([DESTRUCTIVE], now=made + timedelta(minutes=61))


def test_one_of_another_instance_does_not_count(rds: Any) -> None:
    snap(rds, "another")
    with pytest.raises(SnapshotMissingError):
        snapshots.require_for([DESTRUCTIVE])


def test_one_that_is_not_finished_does_not_count(rds: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    taken = {"Status": "creating", "SnapshotCreateTime": datetime.now(UTC)}

    class Paginator:
        def paginate(self, **_: Any) -> Iterator[Any]:
            yield {"DBSnapshots": [taken]}

    monkeypatch.setattr(boto3, "client", lambda _name: types.SimpleNamespace(get_paginator=lambda _: Paginator()))
    with pytest.raises(SnapshotMissingError):
        snapshots.require_for([DESTRUCTIVE])
    taken["Status"] = "available"
    snapshots.require_for([DESTRUCTIVE])


def test_others_need_none(rds: Any) -> None:
    snapshots.require_for([HARMLESS, OLDER])
    snapshots.require_for([])


def test_of_a_database_by_url_none_is_asked_and_that_is_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", "postgresql://x:x@127.0.0.1/x")
    settings.cache_clear()
    snapshots.require_for([DESTRUCTIVE])
    settings.cache_clear()
    assert "no snapshot is asked of a database by URL" in caplog.text


@pytest.fixture
def older(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A database at revision 0005."""
    made = databases.empty()
    assert run_alembic(made, "upgrade", "0005").returncode == 0
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", made)
    forget_caches()
    yield made
    forget_caches()


@pytest.fixture
def migrated(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    made = databases.migrated()
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", made)
    forget_caches()
    yield made
    forget_caches()


def test_the_function_asks_before_it_migrates_what_it_is_about_to(
    older: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def refuse(pending: Any) -> None:
        asked.append([script.revision for script in pending])
        raise SnapshotMissingError("none")

    monkeypatch.setattr(snapshots, "require_for", refuse)
    with databases.connect(older) as sql:
        with pytest.raises(SnapshotMissingError):
            migrate.handler({}, Context())
        assert sql.run("SELECT version_num FROM webhook.alembic_version") == [["0005"]]
    assert [pending[-1] for pending in asked] == ["0006"]


def test_an_empty_database_has_nothing_to_lose(databases: Databases, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", databases.empty())
    forget_caches()
    monkeypatch.setattr(snapshots, "require_for", lambda _: pytest.fail("asked for a snapshot of nothing"))
    assert migrate.handler({}, Context())["revision"] >= "0006"
    forget_caches()


def failing(code: str, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """Upgrades end with this error; how many there were."""
    tries: list[str] = []

    def upgrade(_config: Any, target: str) -> None:
        tries.append(target)
        with database.connect_owner() as connection:
            connection.exec_driver_sql(f"DO $$ BEGIN RAISE EXCEPTION 'x' USING ERRCODE = '{code}'; END $$")

    monkeypatch.setattr(command, "upgrade", upgrade)
    return lambda: len(tries)


@pytest.mark.parametrize(("code", "tries"), [("55P03", 5), ("40P01", 5), ("57014", 5), ("23514", 1), ("42601", 1)])
def test_only_what_did_not_get_its_locks_is_tried_again(
    migrated: str, monkeypatch: pytest.MonkeyPatch, code: str, tries: int
) -> None:
    pauses: list[float] = []
    monkeypatch.setattr(migrate.time, "sleep", pauses.append)
    tried = failing(code, monkeypatch)
    with pytest.raises(Exception, match=code):
        migrate.handler({}, Context())
    assert tried() == tries
    assert pauses == list(migrate.PAUSES_SECONDS)[: tries - 1]


def test_what_took_long_is_not_tried_again(migrated: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another ten minutes would end with the function's time, and with no reason for CloudFormation."""
    monkeypatch.setattr(migrate, "RETRIED_SECONDS", -1)
    tried = failing("57014", monkeypatch)
    with pytest.raises(Exception, match="57014"):
        migrate.handler({}, Context())
    assert tried() == 1


def test_a_revision_whose_lock_comes_free_is_made(
    older: str, databases: Databases, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reader goes away while the function waits to try again."""
    with databases.connect(older) as sql, databases.connect(older) as reader:
        reader.run("BEGIN")
        reader.run("SELECT count(*) FROM webhook.jobs")
        monkeypatch.setattr(migrate.time, "sleep", lambda _: reader.run("COMMIT"))
        assert migrate.handler({}, Context())["revision"] >= "0006"
        with pytest.raises(DatabaseError, match="jobs_kind_known"):
            sql.run(
                "INSERT INTO webhook.jobs (project_id, kind, parameters, total, sweep_at, correlation_id)"
                " VALUES (uuidv7(), 'x', '{}', 1, now(), 'c')"
            )
