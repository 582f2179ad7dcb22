"""What `/v1/health` asks the database: each a statement that takes a millisecond, whatever is stored.

Through the proxy, so without the limits that functions/domain/figures sets for a transaction of its own.
"""

from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from functions.domain.figures import heartbeats, partitions
from functions.settings import Retention
from functions.statements import named

ALIVE = named(
    "health.alive",
    text("""
SELECT current_setting('server_version') AS version, (SELECT count(*) FROM (
  SELECT FROM webhook.projects LIMIT 1) p) AS projects
"""),
)
REVISION = named("health.revision", text("SELECT version_num FROM webhook.alembic_version"))
CONNECTIONS = named(
    "health.connections",
    text("""
SELECT CAST(sum(numbackends) AS integer) AS connections,
  CAST(current_setting('max_connections') AS integer) AS max_connections
FROM pg_stat_database
"""),
)
# As dispatch finds what is due: through the index on sweep_at, and no further than the first.
OVERDUE = named(
    "health.overdue",
    text("""
SELECT CAST(extract(epoch FROM now() - due) AS integer) FROM (
  SELECT greatest(sweep_at, lease_expires_at) AS due FROM webhook.webhook_deliveries
  WHERE sweep_at <= now() AND (lease_expires_at IS NULL OR lease_expires_at <= now())
  ORDER BY sweep_at LIMIT 1) d
"""),
)


def server_version(connection: Connection) -> str:
    return str(connection.execute(ALIVE).one().version)


def revision(connection: Connection) -> str | None:
    """The schema's; None where no migration ever ran to its end."""
    found = connection.execute(REVISION).scalar_one_or_none()
    return str(found) if found is not None else None


def connections(connection: Connection) -> dict[str, int]:
    return dict(connection.execute(CONNECTIONS).mappings().one())


def overdue_seconds(connection: Connection) -> int:
    """How late the most overdue delivery is; 0 when none is."""
    return connection.execute(OVERDUE).scalar_one_or_none() or 0


def days_ahead(connection: Connection, now: datetime, retention: Retention) -> dict[str, float]:
    """For how many days to come each partitioned table has partitions."""
    found = [dict(row) for row in connection.execute(partitions.PARTITIONS).mappings()]
    standing = partitions.standing(partitions.ranges(found), now, retention)
    return {one["table"]: one["days_ahead"] for one in standing}


def runs(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """What runs by the clock, and when each last did."""
    return [heartbeats.aged(dict(row), now) for row in connection.execute(heartbeats.READ).mappings()]
