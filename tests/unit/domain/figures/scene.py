"""A report of a database that is well, for tests to spoil."""

from typing import Any

GB = 1_000_000_000


def table(**values: Any) -> dict[str, Any]:
    return {
        "name": "webhook_deliveries",
        "partitions": 4,
        "rows": 1_000_000,
        "dead_rows": 0,
        "total_bytes": GB,
        "largest_name": "webhook_deliveries_2026_11",
        "largest_bytes": GB // 2,
        "largest_rows": 500_000,
        "heap_bloat_bytes": 0,
        "index_bloat_bytes": 0,
        "bloat_percent": 0.0,
        **values,
    }


def partitions(**values: Any) -> dict[str, Any]:
    well = {"days_ahead": 14.0, "default_rows": 0, "past_retention": [], "days_past_retention": 0}
    return {"table": "webhook_events", **well, **values}


def heartbeat(name: str = "dispatch", **values: Any) -> dict[str, Any]:
    return {"name": name, "age_seconds": 20, "failing": False, "error": None, **values}


def report(**parts: Any) -> dict[str, Any]:
    sessions = {
        "connections": 20,
        "max_connections": 200,
        "waiting_for_locks": 0,
        "longest_transaction_seconds": 0,
        "longest_lock_wait_seconds": 0,
    }
    return {
        "database": database(),
        "tables": [table()],
        "partitions": [partitions()],
        "deliveries": {"unfinished": 7, "held": 2, "overdue_seconds": 0},
        "dead_letters": {"pending": 3},
        "sessions": sessions,
        "slots": {"retained_bytes": 0},
        "heartbeats": [heartbeat()],
        "unavailable": {},
        **parts,
    }


def database(**values: Any) -> dict[str, Any]:
    well = {"bytes": 2 * GB, "transaction_id_age": 150_000_000, "multixact_id_age": 0, "cache_hit_percent": 99.0}
    return {**well, **values}
