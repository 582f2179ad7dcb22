"""Every revision, up and down and up again, with rows in the tables."""

from contextlib import suppress

import pytest

from tests.conftest import Databases
from tests.migrations.alembic_here import REVISIONS, downgrade, upgrade
from tests.migrations.catalog import catalog, tables
from tests.migrations.rows import fill

EMPTY = "base"


def test_from_nothing_to_the_head_and_back_and_there_again(databases: Databases) -> None:
    url = databases.empty()
    upgrade(url)
    with databases.connect(url) as sql:
        made = catalog(sql)
        for _ in range(2):
            fill(sql)
            with pytest.raises(RuntimeError, match="HOOKLINE_ALLOW_DATA_LOSS=1"):
                downgrade(url, lose=False)
            assert sql.run("SELECT count(*) > 0 FROM webhook.webhook_events") == [[True]]
            downgrade(url)
            assert tables(sql) == []
            upgrade(url)
            assert catalog(sql) == made
        fill(sql)
        assert sql.run("SELECT count(*) > 0 FROM webhook.webhook_deliveries") == [[True]]


def test_each_revision_leaves_and_finds_what_the_one_before_it_made(databases: Databases) -> None:
    url = databases.empty()
    with databases.connect(url) as sql:
        before, below = {}, EMPTY
        for revision in REVISIONS:
            upgrade(url, revision)
            made = catalog(sql)
            fill(sql, revision)
            downgrade(url, below)
            assert catalog(sql) == before if below != EMPTY else tables(sql) == [], f"{revision} down to {below}"
            upgrade(url, revision)
            assert catalog(sql) == made, f"{revision} a second time"
            fill(sql, revision)
            before, below = made, revision


@pytest.mark.parametrize("revision", REVISIONS)
def test_a_downgrade_destroys_no_row_unless_told_to(databases: Databases, revision: str) -> None:
    """Of a database with rows of every kind it either refuses, or every row is there afterwards."""
    url = databases.empty()
    upgrade(url, revision)
    with databases.connect(url) as sql:
        fill(sql, revision)
        before = {name: sql.run(f"SELECT count(*) FROM webhook.{name}") for name in tables(sql)}
        below = REVISIONS[REVISIONS.index(revision) - 1] if revision != REVISIONS[0] else EMPTY
        with suppress(RuntimeError):
            downgrade(url, below, lose=False)
        assert {name: sql.run(f"SELECT count(*) FROM webhook.{name}") for name in tables(sql)} == before
