"""The server itself: connections, locks, transaction ids, replication slots, and its slowest statements.

Ages of sessions are by the server's clock, which began them.
"""

from typing import Any

from sqlalchemy import Connection, text

from functions.domain.figures.reading import row, rows
from functions.statements import named

MOST_STATEMENTS = 10
DATABASE = named(
    "figures.database",
    text("""
SELECT pg_database_size(current_database()) AS bytes, s.blks_hit AS blocks_hit, s.blks_read AS blocks_read,
  s.deadlocks, s.temp_bytes, current_setting('server_version') AS version,
  (SELECT max(age(datfrozenxid)) FROM pg_database) AS transaction_id_age,
  (SELECT max(mxid_age(datminmxid)) FROM pg_database) AS multixact_id_age
FROM pg_stat_database s WHERE s.datname = current_database()
"""),
)
# Whoever may not see into other sessions is shown that they are there, without what they are.
SESSIONS = named(
    "figures.sessions",
    text("""
SELECT count(*) AS connections, CAST(current_setting('max_connections') AS integer) AS max_connections,
  count(*) FILTER (WHERE state = 'active') AS active, count(*) FILTER (WHERE state = 'idle') AS idle,
  count(*) FILTER (WHERE starts_with(state, 'idle in transaction')) AS idle_in_transaction,
  count(*) FILTER (WHERE wait_event_type = 'Lock') AS waiting_for_locks,
  CAST(coalesce(max(extract(epoch FROM clock_timestamp() - xact_start)) FILTER (WHERE pid <> pg_backend_pid()), 0)
    AS integer) AS longest_transaction_seconds
FROM pg_stat_activity WHERE datid IS NOT NULL AND coalesce(backend_type, 'client backend') = 'client backend'
"""),
)
LOCKS = named(
    "figures.locks",
    text("""
SELECT CAST(coalesce(max(extract(epoch FROM clock_timestamp() - waitstart)), 0) AS integer)
  AS longest_lock_wait_seconds
FROM pg_locks WHERE NOT granted
"""),
)
SLOTS = named(
    "figures.slots",
    text("""
SELECT count(*) AS slots, count(*) FILTER (WHERE NOT active) AS inactive,
  CAST(coalesce(max(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn)), 0) AS bigint) AS retained_bytes
FROM pg_replication_slots
"""),
)
EXTENSION = named(
    "figures.extension",
    text("""
SELECT quote_ident(CAST(n.nspname AS text)) AS schema
FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = 'pg_stat_statements'
"""),
)
# What runs once, such as a migration, says nothing.
STATEMENTS = """
SELECT left(regexp_replace(query, '\\s+', ' ', 'g'), 300) AS query, calls, rows,
  CAST(round(CAST(mean_exec_time AS numeric), 2) AS double precision) AS mean_ms,
  CAST(round(CAST(max_exec_time AS numeric), 2) AS double precision) AS max_ms,
  CAST(total_exec_time AS bigint) AS total_ms
FROM {schema}.pg_stat_statements
WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) AND calls >= 5
ORDER BY mean_exec_time DESC LIMIT CAST(:most AS integer)
"""


def database(connection: Connection, before: dict[str, Any] | None) -> dict[str, Any]:
    """`cache_hit_percent` is of the time since the figures `before`; None when hardly anything was read."""
    found = row(connection, DATABASE)
    return {**found, "cache_hit_percent": _hits(found, before or {})}


def sessions(connection: Connection) -> dict[str, Any]:
    return row(connection, SESSIONS) | row(connection, LOCKS)


def slots(connection: Connection) -> dict[str, Any]:
    return row(connection, SLOTS)


def statements(connection: Connection) -> list[dict[str, Any]] | None:
    """The slowest on average; None where pg_stat_statements is not installed."""
    extension = row(connection, EXTENSION)
    if not extension:
        return None
    slowest = named("figures.statements", text(STATEMENTS.format(**extension)))
    return rows(connection, slowest, {"most": MOST_STATEMENTS})


def _hits(found: dict[str, Any], before: dict[str, Any]) -> float | None:
    """Of fewer than 10,000 blocks a percentage would say nothing; nor after the counters were reset."""
    hit = found["blocks_hit"] - before.get("blocks_hit", 0)
    read = found["blocks_read"] - before.get("blocks_read", 0)
    return round(100 * hit / (hit + read), 1) if hit >= 0 and read >= 0 and hit + read >= 10_000 else None
