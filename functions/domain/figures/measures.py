"""The few figures that become metrics: one time series each, whatever the number of tables, projects or webhooks.

The alarms and the dashboard (infrastructure/monitoring.py) name them by the constants here.
"""

from typing import Any

NAMESPACE = "Hookline"
DISPATCHER_HEARTBEAT = "DispatcherHeartbeat"  # by dispatch itself, at each run

DATABASE_BYTES = "DatabaseBytes"
LARGEST_TABLE_BYTES = "LargestTableBytes"
LARGEST_TABLE_ROWS = "LargestTableRows"
BLOAT_BYTES = "BloatBytes"
DEAD_ROWS = "DeadRows"
PARTITION_DAYS_AHEAD = "PartitionDaysAhead"
DEFAULT_PARTITION_ROWS = "DefaultPartitionRows"
PARTITIONS_PAST_RETENTION = "PartitionsPastRetention"
UNFINISHED_DELIVERIES = "UnfinishedDeliveries"
HELD_DELIVERIES = "HeldDeliveries"
OLDEST_OVERDUE_SECONDS = "OldestOverdueSeconds"
PENDING_DEAD_LETTERS = "PendingDeadLetters"
CONNECTION_PERCENT = "ConnectionPercent"
WAITING_FOR_LOCKS = "WaitingForLocks"
LONGEST_TRANSACTION_SECONDS = "LongestTransactionSeconds"
TRANSACTION_ID_AGE = "TransactionIdAge"
RETAINED_WAL_BYTES = "RetainedWalBytes"
CACHE_HIT_PERCENT = "CacheHitPercent"

UNITS = {
    DATABASE_BYTES: "Bytes",
    LARGEST_TABLE_BYTES: "Bytes",
    LARGEST_TABLE_ROWS: "Count",
    BLOAT_BYTES: "Bytes",
    DEAD_ROWS: "Count",
    PARTITION_DAYS_AHEAD: "Count",
    DEFAULT_PARTITION_ROWS: "Count",
    PARTITIONS_PAST_RETENTION: "Count",
    UNFINISHED_DELIVERIES: "Count",
    HELD_DELIVERIES: "Count",
    OLDEST_OVERDUE_SECONDS: "Seconds",
    PENDING_DEAD_LETTERS: "Count",
    CONNECTION_PERCENT: "Percent",
    WAITING_FOR_LOCKS: "Count",
    LONGEST_TRANSACTION_SECONDS: "Seconds",
    TRANSACTION_ID_AGE: "Count",
    RETAINED_WAL_BYTES: "Bytes",
    CACHE_HIT_PERCENT: "Percent",
    DISPATCHER_HEARTBEAT: "Count",
}


def of(report: dict[str, Any]) -> dict[str, float]:
    """The measures of a report by name; what could not be read is not among them."""
    tables, partitions = report["tables"] or (), report["partitions"] or ()
    deliveries, sessions = report["deliveries"] or {}, report["sessions"] or {}
    database, letters, slots = report["database"] or {}, report["dead_letters"] or {}, report["slots"] or {}
    found = {
        DATABASE_BYTES: database.get("bytes"),
        LARGEST_TABLE_BYTES: max((one["largest_bytes"] for one in tables), default=None),
        LARGEST_TABLE_ROWS: max((one["largest_rows"] for one in tables), default=None),
        BLOAT_BYTES: _sum(bloat_bytes(one) for one in tables) if tables else None,
        DEAD_ROWS: _sum(one["dead_rows"] for one in tables) if tables else None,
        PARTITION_DAYS_AHEAD: min((one["days_ahead"] for one in partitions), default=None),
        DEFAULT_PARTITION_ROWS: _sum(one["default_rows"] for one in partitions) if partitions else None,
        PARTITIONS_PAST_RETENTION: _sum(len(one["past_retention"]) for one in partitions) if partitions else None,
        UNFINISHED_DELIVERIES: deliveries.get("unfinished"),
        HELD_DELIVERIES: deliveries.get("held"),
        OLDEST_OVERDUE_SECONDS: deliveries.get("overdue_seconds"),
        PENDING_DEAD_LETTERS: letters.get("pending"),
        CONNECTION_PERCENT: connection_percent(sessions) if sessions else None,
        WAITING_FOR_LOCKS: sessions.get("waiting_for_locks"),
        LONGEST_TRANSACTION_SECONDS: sessions.get("longest_transaction_seconds"),
        TRANSACTION_ID_AGE: database.get("transaction_id_age"),
        RETAINED_WAL_BYTES: slots.get("retained_bytes"),
        CACHE_HIT_PERCENT: database.get("cache_hit_percent"),
    }
    return {name: value for name, value in found.items() if value is not None}


def bloat_bytes(table: dict[str, Any]) -> int:
    """Of its heap and its indexes together; 0 where nothing is known."""
    return int(table["heap_bloat_bytes"] or 0) + int(table["index_bloat_bytes"] or 0)


def connection_percent(sessions: dict[str, Any]) -> float:
    """Of the connections that the server takes."""
    return round(100 * float(sessions["connections"]) / float(sessions["max_connections"]), 1)


def _sum(values: Any) -> int:
    return sum(value or 0 for value in values)
