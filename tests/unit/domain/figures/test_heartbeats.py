"""When a run that failed is a problem, and until when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.figures.heartbeats import aged

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


def beat(succeeded: float | None, failed: float | None) -> dict[str, Any]:
    """A heartbeat of so many hours ago."""
    ago = [None if hours is None else NOW - hours * HOUR for hours in (succeeded, failed)]
    return aged({"name": "maintain.vacuum", "succeeded_at": ago[0], "failed_at": ago[1]}, NOW)


@pytest.mark.parametrize(
    ("succeeded", "failed", "failing"),
    [(1, None, False), (None, 1, True), (2, 1, True), (1, 2, False), (90, 25, True), (90, 27, False)],
)
def test_it_fails_until_it_succeeds_or_is_of_another_day(
    succeeded: float | None, failed: float | None, failing: bool
) -> None:
    assert beat(succeeded, failed)["failing"] is failing


def test_its_age_is_that_of_its_last_success() -> None:
    assert beat(2, 1)["age_seconds"] == 7200
    assert beat(None, 1)["age_seconds"] is None
