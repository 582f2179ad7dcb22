"""Runs Alembic against the database the settings name: one advisory lock, one transaction per revision."""

import re

from alembic import context
from sqlalchemy import text
from sqlalchemy.engine import Connection

from functions.adapters.database import connect_owner
from functions.models import metadata
from migrations.roles import prepare

MIGRATION_LOCK = 7_306_871_994  # any fixed number; two migrations at once wait for each other
LOCK_TIMEOUT = "4s"  # a revision that cannot get its lock gives up before it queues all writers behind it
STATEMENT_TIMEOUT = "10min"  # below the migrate function's 15 minutes


PARTITION = re.compile(r"_(default|\d{4}_\d{2}(_\d{2})?)$")


def _ours(name: str | None, kind: str, _parent: object) -> bool:
    """Compare only the schema `webhook`, and of a partitioned table only its parent."""
    if kind == "schema":
        return name == "webhook"
    return kind != "table" or PARTITION.search(name or "") is None


def _migrate(connection: Connection) -> None:
    context.configure(
        connection=connection,
        target_metadata=metadata,
        version_table_schema="webhook",
        include_schemas=True,
        include_name=_ours,
        transaction_per_migration=True,
    )
    with context.begin_transaction():
        context.run_migrations()


def _prepare(connection: Connection) -> None:
    """Timeouts and the lock live as long as this connection; it goes to the instance, never to the proxy."""
    connection.execute(text(f"SET lock_timeout = '{LOCK_TIMEOUT}'"))
    connection.execute(text(f"SET statement_timeout = '{STATEMENT_TIMEOUT}'"))
    connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": MIGRATION_LOCK})
    prepare(connection)
    connection.commit()


if (given := context.config.attributes.get("connection")) is not None:
    _migrate(given)
else:
    with connect_owner() as opened:
        _prepare(opened)
        _migrate(opened)
