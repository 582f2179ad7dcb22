"""The connection of a migration: one migration at a time, and never for long in the way of whoever writes."""

from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection, text

from migrations.roles import prepare

MIGRATION_LOCK = 7_306_871_994  # any fixed number; two migrations at once wait for each other
LOCK_TIMEOUT = "4s"  # a revision that cannot get its lock gives up before it queues all writers behind it
STATEMENT_TIMEOUT = "10min"  # below the migrate function's 15 minutes
# A migrate function that was killed says no goodbye: the server finds out in so long, and gives back its locks.
LOOK_FOR_CLIENT = "5s"


def begin(connection: Connection) -> None:
    """Wait for any other migration, then set what holds for as long as this connection.

    It goes to the instance, never to the proxy. The lock timeout comes after the wait: another migration may well
    take longer than that.
    """
    _set(connection, "lock_timeout", "0")
    _set(connection, "statement_timeout", STATEMENT_TIMEOUT)
    _set(connection, "client_connection_check_interval", LOOK_FOR_CLIENT)
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    _set(connection, "lock_timeout", LOCK_TIMEOUT)
    prepare(connection)
    connection.commit()


@contextmanager
def patient(connection: Connection) -> Iterator[None]:
    """For statements whose locks let writers go on: they may wait for their locks until the statement timeout."""
    _set(connection, "lock_timeout", "0")
    yield
    _set(connection, "lock_timeout", LOCK_TIMEOUT)


@contextmanager
def brief(connection: Connection) -> Iterator[None]:
    """For one statement that locks many tables, one after another: all its waits together are a lock timeout."""
    _set(connection, "statement_timeout", LOCK_TIMEOUT)
    yield
    _set(connection, "statement_timeout", STATEMENT_TIMEOUT)


def _set(connection: Connection, name: str, value: str) -> None:
    connection.execute(text(f"SET {name} = '{value}'"))
