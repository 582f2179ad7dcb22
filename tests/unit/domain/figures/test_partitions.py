"""How far partitions reach, and which are past their retention."""

from datetime import UTC, datetime, timedelta

from functions.domain.figures.partitions import Range, ranges, standing
from functions.domain.ids import uuid7_floor
from functions.settings import Retention

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
TODAY = datetime(2026, 11, 21, tzinfo=UTC)
DAY = timedelta(days=1)
RETENTION = Retention(
    events_days=30,
    deliveries_days=90,
    audit_log_days=365,
    resolved_dead_letters_days=7,
    pending_dead_letters_days=90,
    change_events_days=365,
    crawl_sessions_days=365,
    metrics_days=80,
)


def days(*offsets: int, table: str = "webhook_events") -> list[Range]:
    return [Range(table, f"p{n}", TODAY + n * DAY, TODAY + (n + 1) * DAY) for n in offsets]


def test_bounds_are_the_times_that_keys_begin_with() -> None:
    start, end = TODAY, TODAY + DAY
    written = f"FOR VALUES FROM ('{uuid7_floor(start)}') TO ('{uuid7_floor(end)}')"
    rows = [
        {"table": "t", "name": "t_default", "bounds": "DEFAULT"},
        {"table": "t", "name": "t_1", "bounds": written},
    ]
    assert ranges(rows) == [Range("t", "t_default", None, None), Range("t", "t_1", start, end)]


def test_they_reach_as_far_as_there_is_no_gap() -> None:
    [found] = standing(days(-1, 0, 1, 2, 4, 5), NOW, RETENTION)
    assert (found["ahead"], found["days_ahead"], found["covered_until"]) == (4, 2.5, TODAY + 3 * DAY)


def test_without_one_for_now_they_reach_nowhere() -> None:
    [found] = standing([Range("webhook_events", "d", None, None), *days(1, 2)], NOW, RETENTION)
    assert (found["partitions"], found["ahead"], found["days_ahead"]) == (3, 2, 0.0)


def test_age_counts_from_the_end_of_a_partition() -> None:
    [found] = standing(days(-33, -32, -31, -30, 0), NOW, RETENTION)
    assert found["past_retention"] == ["p-33", "p-32", "p-31"]
    assert found["days_past_retention"] == 2.5


def test_each_table_has_its_own_age_and_one_without_keeps_all() -> None:
    old = [-400, -100, 0]
    found = standing(
        [
            *days(*old, table="audit_log"),
            *days(*old, table="webhook_deliveries"),
            *days(*old, table="request_metrics"),
            *days(*old, table="of_another_release"),
        ],
        NOW,
        RETENTION,
    )
    assert {one["table"]: one["past_retention"] for one in found} == {
        "audit_log": ["p-400"],
        "webhook_deliveries": ["p-400", "p-100"],
        "request_metrics": ["p-400", "p-100"],
        "of_another_release": [],
    }
