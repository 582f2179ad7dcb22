"""Runs Alembic against the database the settings name: one advisory lock, one transaction per revision."""

import re

from alembic import context
from sqlalchemy.engine import Connection

from functions.adapters.database import connect_owner
from functions.models import metadata
from migrations.session import begin

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


with connect_owner() as opened:
    begin(opened)
    _migrate(opened)
