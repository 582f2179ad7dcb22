"""What of a report is a problem, and from where on."""

from typing import Any

import pytest

from functions.domain.figures import problems
from functions.settings import Thresholds
from tests.unit.domain.figures.scene import GB, database, heartbeat, partitions, report, table

LIMITS = Thresholds()
MILLION = 1_000_000
SESSIONS = report()["sessions"]
AT_THE_THRESHOLD: dict[str, tuple[dict[str, Any], str, str]] = {
    "a table of 5 GB": ({"tables": [table(largest_bytes=5 * GB)]}, "table_large", "warning"),
    "a table of 20 GB": ({"tables": [table(largest_bytes=20 * GB)]}, "table_large", "critical"),
    "ten million rows": ({"tables": [table(largest_rows=10 * MILLION)]}, "table_rows", "warning"),
    "half of it empty": (
        {"tables": [table(heap_bloat_bytes=GB, bloat_percent=50.0)]},
        "bloat",
        "warning",
    ),
    "a fifth of it dead": ({"tables": [table(rows=400_000, dead_rows=100_000)]}, "dead_rows", "warning"),
    "six days of partitions": ({"partitions": [partitions(days_ahead=6.9)]}, "partitions_missing", "warning"),
    "one day of partitions": ({"partitions": [partitions(days_ahead=1.9)]}, "partitions_missing", "critical"),
    "a row in the default partition": ({"partitions": [partitions(default_rows=1)]}, "default_rows", "warning"),
    "a partition that stays": (
        {"partitions": [partitions(past_retention=["p"], days_past_retention=3.0)]},
        "past_retention",
        "warning",
    ),
    "five minutes late": ({"deliveries": {"overdue_seconds": 300}}, "deliveries_overdue", "warning"),
    "half an hour late": ({"deliveries": {"overdue_seconds": 1800}}, "deliveries_overdue", "critical"),
    "four of five connections": ({"sessions": SESSIONS | {"connections": 160}}, "connections", "warning"),
    "all but a few connections": ({"sessions": SESSIONS | {"connections": 190}}, "connections", "critical"),
    "a long transaction": (
        {"sessions": SESSIONS | {"longest_transaction_seconds": 900}},
        "long_transaction",
        "warning",
    ),
    "a long wait": ({"sessions": SESSIONS | {"longest_lock_wait_seconds": 30}}, "lock_wait", "warning"),
    "old transaction ids": (
        {"database": database(transaction_id_age=500 * MILLION)},
        "transaction_ids",
        "warning",
    ),
    "very old transaction ids": (
        {"database": database(transaction_id_age=1000 * MILLION)},
        "transaction_ids",
        "critical",
    ),
    "old multixact ids": ({"database": database(multixact_id_age=500 * MILLION)}, "transaction_ids", "warning"),
    "misses": ({"database": database(cache_hit_percent=89.9)}, "cache_misses", "warning"),
    "WAL held back": ({"slots": {"retained_bytes": 5 * GB}}, "retained_wal", "warning"),
    "a late dispatcher": ({"heartbeats": [heartbeat(age_seconds=180)]}, "dispatcher_late", "warning"),
    "a dead dispatcher": ({"heartbeats": [heartbeat(age_seconds=900)]}, "dispatcher_late", "critical"),
    "no dispatcher": ({"heartbeats": []}, "dispatcher_late", "warning"),
    "a job that failed": (
        {"heartbeats": [heartbeat(), heartbeat("maintain.retention", failing=True, error="no disk")]},
        "run_failed",
        "warning",
    ),
    "a part that was not read": ({"tables": None, "unavailable": {"tables": "timeout"}}, "unavailable", "warning"),
}
BELOW_IT: dict[str, dict[str, Any]] = {
    "nothing": {},
    "a table just below": {
        "tables": [table(largest_bytes=5 * GB - 1, largest_rows=10 * MILLION - 1, total_bytes=90 * GB)]
    },
    "a small table half empty": {"tables": [table(heap_bloat_bytes=GB - 1, bloat_percent=90.0)]},
    "a large one a third empty": {"tables": [table(index_bloat_bytes=3 * GB, bloat_percent=33.0)]},
    "a few dead rows": {"tables": [table(rows=100, dead_rows=99_999)]},
    "never analyzed": {"tables": [table(heap_bloat_bytes=None, index_bloat_bytes=None, bloat_percent=None)]},
    "a week of partitions": {"partitions": [partitions(days_ahead=7.0)]},
    "retention a day late": {"partitions": [partitions(past_retention=["p"], days_past_retention=1.2)]},
    "too little read to say": {"database": database(cache_hit_percent=None)},
    "a job that ran long ago": {"heartbeats": [heartbeat(), heartbeat("maintain.retention", age_seconds=90_000)]},
}


@pytest.mark.parametrize("case", AT_THE_THRESHOLD)
def test_a_figure_at_its_threshold_is_a_problem(case: str) -> None:
    parts, code, severity = AT_THE_THRESHOLD[case]
    [found] = problems.of(report(**parts), LIMITS)
    assert (found["code"], found["severity"]) == (code, severity)
    assert found["message"]


@pytest.mark.parametrize("case", BELOW_IT)
def test_a_figure_below_it_is_none(case: str) -> None:
    assert problems.of(report(**BELOW_IT[case]), LIMITS) == []


def test_it_tells_the_threshold_and_the_value_in_one_unit() -> None:
    [found] = problems.of(report(tables=[table(largest_bytes=7 * GB)]), LIMITS)
    assert (found["threshold"], found["value"]) == (5 * GB, 7 * GB)
    assert found["message"] == "webhook_deliveries_2026_11 takes 7.0 GB"


def test_thresholds_are_the_deployment_s() -> None:
    large = report(tables=[table(largest_bytes=30 * GB)])
    assert problems.of(large, Thresholds(table_warning_gb=40, table_critical_gb=80)) == []


def test_the_critical_ones_come_first_and_the_worst_is_the_whole() -> None:
    spoilt = report(tables=[table(largest_bytes=6 * GB)], partitions=[partitions(days_ahead=0.0)])
    found = [one["severity"] for one in problems.of(spoilt, LIMITS)]
    assert found == ["critical", "warning"]
    assert problems.worst(found) == "unhealthy"
    assert problems.worst(found[1:]) == "degraded"
    assert problems.worst([]) == "healthy"


def test_a_report_of_which_nothing_was_read_is_no_error() -> None:
    parts = dict.fromkeys(report())
    found = problems.of(parts | {"unavailable": dict.fromkeys(("tables", "database"), "away")}, LIMITS)
    assert [one["code"] for one in found] == ["unavailable", "unavailable"]
