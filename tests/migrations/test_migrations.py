"""What every database at the head revision is like, and what brings it there."""

import re

import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy import create_engine

from functions.models import metadata
from tests.conftest import Databases, run_alembic
from tests.migrations.catalog import catalog, tables
from tests.migrations.rows import ROWS, fill


def test_upgrading_twice_changes_nothing(databases: Databases) -> None:
    url = databases.migrated()
    with databases.connect(url) as sql:
        fill(sql)
        before = catalog(sql)
        assert run_alembic(url, "upgrade", "head").returncode == 0
        assert catalog(sql) == before
        assert sql.run("SELECT count(*) > 0 FROM webhook.webhook_events") == [[True]]


def test_the_history_is_linear(databases: Databases) -> None:
    heads = run_alembic(databases.migrated(), "heads")
    assert len(heads.stdout.strip().splitlines()) == 1


def test_the_models_and_the_schema_agree(databases: Databases) -> None:
    checked = run_alembic(databases.migrated(), "check")
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_tables_made_from_the_models_are_those_of_the_revisions(databases: Databases) -> None:
    """By Postgres' own catalog: Alembic compares neither defaults, nor predicates and operator classes of indexes.

    What is said only once, in the revisions: CHECK constraints, storage options, rights.
    """
    empty = databases.empty()
    with databases.connect(empty) as sql:
        sql.run("CREATE SCHEMA webhook")
    engine = create_engine(empty.replace("postgresql://", "postgresql+pg8000://"))
    metadata.create_all(engine)
    engine.dispose()
    with databases.connect(empty) as modelled, databases.connect(databases.migrated()) as migrated:
        declared, made = (
            {_plain(line) for line in catalog(sql, "column", "index", "constraint", "comment")} - {None}
            for sql in (modelled, migrated)
        )
    assert (made - declared, declared - made) == (set(), set())


def _plain(line: tuple[object, ...]) -> tuple[str, ...] | None:
    """Nothing for a CHECK; else the line with `'0'::bigint` as `0`, which is the same default."""
    if line[0] == "constraint" and str(line[3]).startswith("CHECK"):
        return None
    return tuple(re.sub(r"^'(\d+)'::\w+$", r"\1", str(part)) for part in line)


def test_there_is_a_row_to_try_for_every_table(databases: Databases) -> None:
    with databases.connect(databases.migrated()) as sql:
        fill(sql)
        empty = [name for name in tables(sql) if sql.run(f"SELECT count(*) FROM webhook.{name}") == [[0]]]
        left_out = [row for row in ROWS if row.table not in tables(sql)]
    assert (empty, left_out) == ([], [])


def test_every_constraint_and_index_of_the_head_is_valid(databases: Databases) -> None:
    with databases.connect(databases.migrated()) as sql:
        assert sql.run("SELECT conrelid::regclass, conname FROM pg_constraint WHERE NOT convalidated") == []
        assert sql.run("SELECT indexrelid::regclass FROM pg_index WHERE NOT indisvalid") == []


def test_everything_is_in_the_schema_webhook_and_belongs_to_its_owner(databases: Databases) -> None:
    with databases.connect(databases.migrated()) as sql:
        public = sql.run("SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace")
        owners = sql.run("SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'webhook'")
    assert public == []
    assert owners == [["hookline_owner"]]


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
