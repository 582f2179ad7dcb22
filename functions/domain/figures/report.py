"""The report: all figures of one moment, put together."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions.domain.figures import heartbeats, kept, measures, partitions, problems, server, tables, waiting
from functions.domain.figures.reading import rows
from functions.settings import Settings
from functions.telemetry import logger

Report = dict[str, Any]
Part = TypeVar("Part")
SIZES = ("total_bytes", "rows")  # whose growth is told


def take(connection: Connection, now: datetime, known: Settings) -> Report:
    """All figures as JSON values. A part that cannot be read is null and named in `unavailable`.

    Raises sqlalchemy.exc.DBAPIError when not even the earlier reports can be read.
    """
    before, a_day_ago = _earlier(connection, now)
    missing: dict[str, str] = {}

    def part(name: str, read: Callable[[], Part]) -> Part | None:
        try:
            return read()
        except DBAPIError as error:
            logger.warning("figures not read", part=name, error=str(error.orig))
            missing[name] = str(error.orig)
            return None

    report: Report = {
        "database": part("database", lambda: server.database(connection, before.get("database"))),
        "tables": part("tables", lambda: tables.sizes(connection)),
        "partitions": part("partitions", lambda: _partitions(connection, now, known)),
        "deliveries": part("deliveries", lambda: waiting.deliveries(connection, now)),
        "dead_letters": part("dead_letters", lambda: waiting.dead_letters(connection, now)),
        "archives": part("archives", lambda: waiting.archives(connection)),
        "sessions": part("sessions", lambda: server.sessions(connection)),
        "slots": part("slots", lambda: server.slots(connection)),
        "statements": part("statements", lambda: server.statements(connection)),
        "heartbeats": part("heartbeats", lambda: heartbeats.read(connection, now)),
    }
    estimates = part("bloat", lambda: tables.bloat(connection)) or {}
    for one in report["tables"] or ():
        one.update(estimates.get(one["name"], tables.NO_ESTIMATE))
    add_growth(report, now, a_day_ago)
    report["unavailable"] = missing
    report["measures"] = measures.of(report)
    report["problems"] = problems.of(report, known.thresholds)
    taken: Report = as_json(report)
    return taken


def add_growth(report: Report, now: datetime, then: tuple[datetime, Report] | None) -> None:
    """Growth per day of each table and of the whole since the report of about a day ago; None without one."""
    made_at, old = then or (now, {})
    days = (now - made_at) / timedelta(days=1)
    of_then = {one["name"]: one for one in old.get("tables") or ()}
    for one in report["tables"] or ():
        for size in SIZES:
            one[f"{size}_per_day"] = _growth(one, of_then.get(one["name"]), size, days)
    if report["database"]:
        whole = old.get("database")
        report["database"]["bytes_per_day"] = _growth(report["database"], whole, "bytes", days)


def as_json(value: Any) -> Any:
    """Times as RFC 3339 in UTC, all the rest as it is."""
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    if isinstance(value, dict):
        return {name: as_json(one) for name, one in value.items()}
    return [as_json(one) for one in value] if isinstance(value, list) else value


def _earlier(connection: Connection, now: datetime) -> tuple[Report, tuple[datetime, Report] | None]:
    with connection.begin():
        newest = kept.newest(connection)
        return newest[1] if newest else {}, kept.a_day_ago(connection, now)


def _partitions(connection: Connection, now: datetime, known: Settings) -> list[dict[str, Any]]:
    found = partitions.ranges(rows(connection, partitions.PARTITIONS))
    counted = partitions.default_rows(connection, found)
    return [
        {**one, "default_rows": counted.get(one["table"])}
        for one in partitions.standing(found, now, known.retention)
    ]


def _growth(new: dict[str, Any], old: dict[str, Any] | None, size: str, days: float) -> int | None:
    return round((new[size] - old[size]) / days) if old and days else None
