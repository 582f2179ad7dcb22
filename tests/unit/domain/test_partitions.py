from datetime import UTC, datetime
from itertools import pairwise

import pytest

from functions.domain.partitions import Partition, Series, all_series, containing, uncovered, wanted
from functions.settings import settings

DAYS = Series("events", monthly=False, ahead=2, behind=1)
MONTHS = Series("attempts", monthly=True, ahead=2, behind=0)


def test_days_follow_each_other_over_the_end_of_a_month() -> None:
    made = list(wanted(DAYS, datetime(2026, 2, 28, 23, 59, tzinfo=UTC)))
    assert [one.name for one in made] == [
        "events_2026_02_27",
        "events_2026_02_28",
        "events_2026_03_01",
        "events_2026_03_02",
    ]
    assert all(one.end == after.start for one, after in pairwise(made))


def test_months_follow_each_other_over_the_end_of_a_year() -> None:
    made = list(wanted(MONTHS, datetime(2026, 12, 31, tzinfo=UTC)))
    assert [one.name for one in made] == ["attempts_2026_12", "attempts_2027_01", "attempts_2027_02"]
    assert made[0].end == datetime(2027, 1, 1, tzinfo=UTC)


def test_a_time_belongs_to_one_partition() -> None:
    at = datetime(2024, 2, 29, 23, 59, 59, 999_999, tzinfo=UTC)
    assert containing(DAYS, at).name == "events_2024_02_29"
    assert containing(MONTHS, at) == Partition(
        "attempts_2024_02", datetime(2024, 2, 1, tzinfo=UTC), datetime(2024, 3, 1, tzinfo=UTC)
    )


def test_what_nothing_covers_is_made_whole() -> None:
    month = containing(MONTHS, datetime(2026, 12, 5, tzinfo=UTC))
    before, after = list(wanted(MONTHS, datetime(2026, 11, 1, tzinfo=UTC)))[::2]
    assert uncovered(MONTHS, month, []) == [month]
    assert uncovered(MONTHS, month, [before, after]) == [month]
    assert uncovered(MONTHS, month, [month]) == []


def test_a_month_of_which_days_exist_gets_its_other_days() -> None:
    month = containing(MONTHS, datetime(2026, 2, 1, tzinfo=UTC))
    by_day = Series("attempts", monthly=False, ahead=20, behind=2)
    days = list(wanted(by_day, datetime(2026, 2, 3, tzinfo=UTC)))
    made = uncovered(MONTHS, month, days)
    assert [one.name[-5:] for one in made] == ["02_24", "02_25", "02_26", "02_27", "02_28"]
    assert made[-1].end == month.end


def test_a_day_whose_month_exists_is_there_already() -> None:
    month = containing(Series("events", monthly=True, ahead=0, behind=0), datetime(2026, 2, 1, tzinfo=UTC))
    made = [
        one for day in wanted(DAYS, datetime(2026, 2, 28, tzinfo=UTC)) for one in uncovered(DAYS, day, [month])
    ]
    assert [one.name for one in made] == ["events_2026_03_01", "events_2026_03_02"]


def test_how_tables_are_cut_is_a_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    plain = {one.table: (one.monthly, one.ahead) for one in all_series()}
    assert plain == {
        "webhook_events": (False, 14),
        "webhook_deliveries": (True, 3),
        "webhook_delivery_attempts": (True, 3),
        "audit_log": (True, 3),
        "request_metrics": (True, 3),
        "operation_metrics": (True, 3),
    }
    monkeypatch.setenv("PARTITIONS_INTERVAL_ATTEMPTS", "day")
    monkeypatch.setenv("PARTITIONS_AHEAD_ATTEMPTS", "20")
    settings.cache_clear()
    told = {one.table: (one.monthly, one.ahead) for one in all_series()}
    settings.cache_clear()
    assert told == {**plain, "webhook_delivery_attempts": (False, 20)}


def test_another_interval_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PARTITIONS_INTERVAL_EVENTS", "week")
    settings.cache_clear()
    with pytest.raises(ValueError, match="PARTITIONS_INTERVAL_EVENTS: week is neither day nor month"):
        settings()
