"""How figures are read: each statement in a transaction of its own that cannot last."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.sql.base import Executable

from functions.statements import named

# For this transaction only. A partition that is being detached is waited for, but not for long. A bounded count
# reads an index: a planner with old statistics might otherwise take a scan of the table for the shorter way.
LIMITS = named(
    "figures.limits",
    text("""
SELECT set_config('statement_timeout', '10s', true), set_config('lock_timeout', '2s', true),
  set_config('enable_seqscan', CAST(:scans AS text), true)
"""),
)


def rows(
    connection: Connection,
    statement: Executable,
    given: Mapping[str, Any] | None = None,
    *,
    by_index: bool = False,
) -> list[dict[str, Any]]:
    """What the statement answers. Raises sqlalchemy.exc.DBAPIError, also when it takes longer than 10 s."""
    with connection.begin():
        connection.execute(LIMITS, {"scans": "off" if by_index else "on"})
        return [dict(row) for row in connection.execute(statement, given or {}).mappings()]


def row(
    connection: Connection,
    statement: Executable,
    given: Mapping[str, Any] | None = None,
    *,
    by_index: bool = False,
) -> dict[str, Any]:
    """The one row that the statement answers; empty when it answers none."""
    found = rows(connection, statement, given, by_index=by_index)
    return found[0] if found else {}
