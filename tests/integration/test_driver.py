"""What is changed in pg8000 changes nothing but its cost."""

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, IntegrityError

from functions.adapters import database, driver
from tests.conftest import Databases
from tests.integration.conftest import Service


@pytest.fixture
def connection(databases: Databases):
    engine = create_engine(databases.migrated().replace("postgresql://", "postgresql+pg8000://"))
    with engine.connect() as opened:
        yield opened
    engine.dispose()


def test_parameters_of_every_kind_arrive(connection) -> None:
    given = {"a": 1, "b": "ü%s :x", "c": None, "d": ["x", 'y"'], "e": b"\x00\xff", "f": 1.5, "g": True}
    statement = text(
        "SELECT CAST(:a AS int), CAST(:b AS text), CAST(:c AS int), CAST(:d AS text[]), CAST(:e AS bytea),"
        " CAST(:f AS float8), CAST(:g AS boolean), 'it''s'"
    )
    for _ in range(2):
        row = connection.execute(statement, given).one()
        assert tuple(row) == (1, "ü%s :x", None, ["x", 'y"'], b"\x00\xff", 1.5, True, "it's")


@pytest.mark.parametrize(
    "values",
    [
        [],
        ["01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"] * 3,
        ["n" * 36, "NULL", None],
        ["NULL" * 9],
        ['a"b', "c,d", "{e}", "f\\g", "", " "],
        ["," * 36, "{" * 36],
        ["é" * 36],
        ["01a1f8b1-9224-7dd5-93c0-8632c1ed87f3", None],
    ],
)
def test_arrays_arrive_as_they_are(connection, values: list[str | None]) -> None:
    assert connection.execute(text("SELECT CAST(:values AS text[])"), {"values": values}).scalar_one() == values


@pytest.mark.parametrize(
    "statement",
    ["SELECT * FROM no_such_table WHERE 1 = :a", "SELECT 1 / (:a - 1)", "SELEC :a", "SELECT CAST(:b AS int)"],
)
def test_after_an_error_the_connection_goes_on(connection, statement: str) -> None:
    for _ in range(2):
        with pytest.raises(DBAPIError):
            connection.execute(text(statement), {"a": 1, "b": "x"})
        connection.rollback()
        assert connection.execute(text("SELECT CAST(:a AS int)"), {"a": 7}).scalar_one() == 7


def test_counts_and_many_rows(connection) -> None:
    many = connection.execute(text("SELECT n FROM generate_series(1, :n) n"), {"n": 50_000}).scalars().all()
    assert many == list(range(1, 50_001))
    made = text("INSERT INTO webhook.projects (name, data_key) SELECT 'p', 'k' FROM generate_series(1, :n)")
    assert connection.execute(made, {"n": 3}).rowcount == 3


def test_a_unique_violation_is_an_integrity_error(connection) -> None:
    statement = text("INSERT INTO webhook.projects (id, name, data_key) VALUES (CAST(:id AS uuid), 'p', 'k')")
    row = {"id": "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"}
    connection.execute(statement, row)
    with pytest.raises(IntegrityError) as caught:
        connection.execute(statement, row)
    assert database.sqlstate(caught.value) == "23505"


def test_a_statement_takes_one_round_trip(connection, monkeypatch: pytest.MonkeyPatch) -> None:
    connection.execute(text("SELECT 1"))
    flushes: list[object] = []
    monkeypatch.setattr(driver, "_flush", lambda sock: (flushes.append(sock), sock.flush()))
    assert connection.execute(text("SELECT CAST(:a AS int)"), {"a": 1}).scalar_one() == 1
    assert len(flushes) == 1


def test_a_server_that_hangs_while_it_is_connected_to_is_away(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not a fault of ours: it takes the connection and says nothing, as in a failover."""
    import socket

    from functions.adapters.database import is_transient
    from functions.settings import settings

    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("WEBHOOK_DATABASE_URL", f"postgresql://u:p@127.0.0.1:{silent.getsockname()[1]}/d")
        for cached in (settings, database.engine):
            cached.cache_clear()
        monkeypatch.setattr(database, "_connect_args", lambda: {"timeout": 0.2})
        with pytest.raises(DBAPIError) as caught, database.transaction():
            pass
        assert is_transient(caught.value)
    for cached in (settings, database.engine):
        cached.cache_clear()


def test_a_connection_that_died_while_it_rested_is_replaced(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "PING_AFTER_SECONDS", -1)
    with database.transaction() as opened:
        first = opened.execute(text("SELECT pg_backend_pid()")).scalar_one()
    service.sql.run("SELECT pg_terminate_backend(:pid)", pid=first)
    with database.transaction() as opened:
        assert opened.execute(text("SELECT pg_backend_pid()")).scalar_one() != first
