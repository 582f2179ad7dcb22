from datetime import UTC, datetime
from itertools import pairwise

from functions.domain.partitions import Series, wanted

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
