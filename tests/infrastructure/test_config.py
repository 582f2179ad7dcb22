"""What a stage may be told."""

from dataclasses import fields, replace
from typing import Any

import pytest

from functions.settings import Partitions, Retention, Vacuum, settings
from infrastructure.config import DEV


def test_limits_are_those_that_the_functions_know() -> None:
    assert replace(DEV, limits=(("CIRCUIT_STRIKES", 20),)).limits == (("CIRCUIT_STRIKES", 20),)
    with pytest.raises(ValueError, match="CIRCUIT_STRIKE=20 is no limit: there are CIRCUIT_MOST_SECONDS"):
        replace(DEV, limits=(("CIRCUIT_STRIKE", 20),))
    with pytest.raises(ValueError, match="each from 1"):
        replace(DEV, limits=(("CIRCUIT_STRIKES", 0),))


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"retention": (("RETENTION_EVENTS_DAYS", 14),)}, ""),
        (
            {"retention": (("EVENTS_DAYS", 14),)},
            "EVENTS_DAYS=14 is no retention: there are RETENTION_AUDIT_LOG_DAYS",
        ),
        ({"retention": (("RETENTION_EVENTS_DAYS", 0),)}, "each from 1"),
        ({"vacuum": (("VACUUM_DEAD_ROWS", 5),)}, ""),
        ({"vacuum": (("VACUUM_DEAD", 5),)}, "VACUUM_DEAD=5 is no threshold"),
        ({"partitions": (("PARTITIONS_AHEAD_EVENTS", 21), ("PARTITIONS_INTERVAL_AUDIT_LOG", "day"))}, ""),
        ({"partitions": (("PARTITIONS_AHEAD_EVENT", 21),)}, "is no number of partitions"),
        ({"partitions": (("PARTITIONS_INTERVAL_EVENTS", "week"),)}, "is no interval: there are day, month"),
    ],
)
def test_so_are_retention_partitions_and_thresholds(values: dict[str, Any], said: str) -> None:
    if said:
        with pytest.raises(ValueError, match=said):
            replace(DEV, **values)
    else:
        replace(DEV, **values)


def test_what_the_functions_read_of_it_is_what_a_stage_may_say(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each variable that a stage may set changes a setting."""
    settings.cache_clear()
    plain = settings()
    for stage in (
        replace(DEV, retention=tuple((f"RETENTION_{f.name.upper()}", 2) for f in fields(Retention))),
        replace(DEV, vacuum=tuple((f"VACUUM_{f.name.upper()}", 2) for f in fields(Vacuum))),
        replace(DEV, partitions=tuple((f"PARTITIONS_AHEAD_{f.name.upper()}", 2) for f in fields(Partitions))),
    ):
        for name, value in (*stage.retention, *stage.vacuum, *stage.partitions):
            monkeypatch.setenv(name, str(value))
    settings.cache_clear()
    told = settings()
    settings.cache_clear()
    assert {getattr(told.retention, f.name) for f in fields(Retention)} == {2}
    assert {getattr(told.vacuum, f.name) for f in fields(Vacuum)} == {2}
    assert {getattr(told.partitions, f.name).ahead for f in fields(Partitions)} == {2}
    assert told.limits == plain.limits
