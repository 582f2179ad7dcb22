"""What of the figures is a problem, in plain words, with the threshold that says so."""

from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

from functions.domain.figures.heartbeats import DISPATCH
from functions.domain.figures.measures import bloat_bytes, connection_percent
from functions.settings import Thresholds

WARNING, CRITICAL = "warning", "critical"
GB = 1_000_000_000
MILLION = 1_000_000
DEAD_ROWS_FROM = 100_000  # fewer are gone with the next vacuum, whatever their share

Figures = dict[str, Any]


@dataclass(frozen=True)
class Problem:
    """`value` has reached `threshold`, in the unit that the message names."""

    code: str
    message: str
    severity: str
    threshold: float
    value: float


def of(report: Figures, limits: Thresholds) -> list[dict[str, Any]]:
    """The problems of a report, the critical ones first."""
    found = [
        *_tables(report["tables"] or (), limits),
        *_partitions(report["partitions"] or (), limits),
        *_deliveries(report["deliveries"], limits),
        *_sessions(report["sessions"], limits),
        *_database(report["database"], limits),
        *_slots(report["slots"], limits),
        *_runs(report["heartbeats"], limits),
        *_unavailable(report["unavailable"]),
    ]
    return [asdict(one) for one in sorted(found, key=lambda one: one.severity != CRITICAL)]


def worst(severities: Iterable[str]) -> str:
    """What the worst problem makes of the whole: healthy without any."""
    found = set(severities)
    return "unhealthy" if CRITICAL in found else "degraded" if found else "healthy"


def none_yet() -> list[dict[str, Any]]:
    """What is to be said before the first report."""
    return [asdict(Problem("no_report", "there is no report yet: gauges has not run", WARNING, 1, 0))]


def old_report(age_seconds: int, limits: Thresholds) -> list[dict[str, Any]]:
    """Whether the newest report is too old to go by."""
    message = f"the newest report is {age_seconds // 60} minutes old: gauges fails or does not run"
    return [asdict(one) for one in _above("report_old", message, age_seconds, limits.report_seconds)]


def _above(
    code: str, message: str, value: float, warning: float, critical: float | None = None
) -> Iterator[Problem]:
    if critical is not None and value >= critical:
        yield Problem(code, message, CRITICAL, critical, value)
    elif value >= warning:
        yield Problem(code, message, WARNING, warning, value)


def _tables(tables: Any, limits: Thresholds) -> Iterator[Problem]:
    for one in tables:
        largest, size, rows = one["largest_name"], one["largest_bytes"], one["largest_rows"]
        message = f"{largest} takes {size / GB:.1f} GB"
        yield from _above(
            "table_large", message, size, limits.table_warning_gb * GB, limits.table_critical_gb * GB
        )
        message = f"{one['name']}, or one partition of it, has about {rows / MILLION:.1f} million rows"
        yield from _above("table_rows", message, rows, limits.table_rows_millions * MILLION)
        if (bloat := bloat_bytes(one)) >= limits.bloat_gb * GB:
            percent = one["bloat_percent"]
            message = f"{percent:.0f} percent of {one['name']}, about {bloat / GB:.1f} GB, is empty space"
            yield from _above("bloat", message, percent, limits.bloat_percent)
        if one["dead_rows"] >= DEAD_ROWS_FROM:
            percent = 100 * one["dead_rows"] / (one["dead_rows"] + one["rows"])
            message = f"{percent:.0f} percent of the rows of {one['name']} are dead: autovacuum does not keep up"
            yield from _above("dead_rows", message, percent, limits.dead_rows_percent)


def _partitions(partitions: Any, limits: Thresholds) -> Iterator[Problem]:
    for one in partitions:
        table, days = one["table"], one["days_ahead"]
        if days < limits.partition_warning_days:
            urgent = days < limits.partition_critical_days
            least = limits.partition_critical_days if urgent else limits.partition_warning_days
            message = f"{table} has partitions for {days:.1f} days to come"
            yield Problem("partitions_missing", message, CRITICAL if urgent else WARNING, least, days)
        message = f"{one['default_rows']} rows of {table} are in its default partition"
        yield from _above("default_rows", message, one["default_rows"] or 0, 1)
        late, count = one["days_past_retention"], len(one["past_retention"])
        message = f"{count} partitions of {table} are past their retention, one for {late:.1f} days"
        yield from _above("past_retention", message, late, limits.past_retention_days)


def _deliveries(deliveries: Figures | None, limits: Thresholds) -> Iterator[Problem]:
    if deliveries:
        late = deliveries["overdue_seconds"]
        message = f"the most overdue delivery is {late} seconds late"
        yield from _above(
            "deliveries_overdue", message, late, limits.overdue_warning_seconds, limits.overdue_critical_seconds
        )


def _sessions(sessions: Figures | None, limits: Thresholds) -> Iterator[Problem]:
    if not sessions:
        return
    percent = connection_percent(sessions)
    yield from _above(
        "connections",
        f"{sessions['connections']} of {sessions['max_connections']} connections are taken",
        percent,
        limits.connections_warning_percent,
        limits.connections_critical_percent,
    )
    long = sessions["longest_transaction_seconds"]
    message = f"a transaction has been open for {long} seconds"
    yield from _above("long_transaction", message, long, limits.transaction_seconds)
    wait = sessions["longest_lock_wait_seconds"]
    message = f"{sessions['waiting_for_locks']} sessions wait for locks, one for {wait} seconds"
    yield from _above("lock_wait", message, wait, limits.lock_wait_seconds)


def _database(database: Figures | None, limits: Thresholds) -> Iterator[Problem]:
    if not database:
        return
    age = max(database["transaction_id_age"], database["multixact_id_age"])
    yield from _above(
        "transaction_ids",
        f"the oldest transaction id is {age / MILLION:.0f} million back; Postgres stops at 2,147",
        age,
        limits.transaction_ids_warning_millions * MILLION,
        limits.transaction_ids_critical_millions * MILLION,
    )
    hits = database["cache_hit_percent"]
    if hits is not None and hits < limits.cache_hit_percent:
        message = f"{hits:.1f} percent of the blocks were found in memory: the working set does not fit"
        yield Problem("cache_misses", message, WARNING, limits.cache_hit_percent, hits)


def _slots(slots: Figures | None, limits: Thresholds) -> Iterator[Problem]:
    if slots:
        retained = slots["retained_bytes"]
        message = f"a replication slot holds back {retained / GB:.1f} GB of WAL"
        yield from _above("retained_wal", message, retained, limits.retained_wal_gb * GB)


def _runs(heartbeats: list[Figures] | None, limits: Thresholds) -> Iterator[Problem]:
    for one in heartbeats or ():
        if one["name"] == DISPATCH and one["age_seconds"] is not None:
            message = f"dispatch last ran {one['age_seconds']} seconds ago"
            thresholds = limits.heartbeat_warning_seconds, limits.heartbeat_critical_seconds
            yield from _above("dispatcher_late", message, one["age_seconds"], *thresholds)
        if one["failing"]:
            message = f"{one['name']} failed when it last ran: {one['error']}"
            yield Problem("run_failed", message, WARNING, 1, 1)
    if heartbeats is not None and DISPATCH not in {one["name"] for one in heartbeats}:
        yield Problem("dispatcher_late", "dispatch has never run", WARNING, 1, 0)


def _unavailable(missing: dict[str, str]) -> Iterator[Problem]:
    for part, error in missing.items():
        yield Problem("unavailable", f"{part} could not be read: {error}", WARNING, 1, 1)
