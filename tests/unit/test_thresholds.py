"""Thresholds come from the environment, whole numbers from 1."""

from collections.abc import Iterator

import pytest

from functions.settings import Thresholds, settings


@pytest.fixture(autouse=True)
def _read_anew() -> Iterator[None]:
    settings.cache_clear()
    yield
    settings.cache_clear()


def test_the_defaults_are_those_of_the_requirement() -> None:
    limits = settings().thresholds
    assert limits == Thresholds()
    assert (limits.table_warning_gb, limits.table_critical_gb, limits.table_rows_millions) == (5, 20, 10)


def test_a_variable_is_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHOLD_TABLE_CRITICAL_GB", "80")
    assert settings().thresholds == Thresholds(table_critical_gb=80)


def test_what_is_no_threshold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("THRESHOLD_REPORT_SECONDS", "0")
    with pytest.raises(ValueError, match="THRESHOLD_REPORT_SECONDS must be a whole number from 1"):
        settings()
