"""A year, week by week: partitions come and go, the archive grows, the database does not."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.maintain import archive, partitions, restore, retention
from functions.maintain.run import Run
from functions.settings import settings
from tests.integration.archive_scene import TABLES, Past, archive_all, bucket, restore_days, retain
from tests.integration.conftest import Service
from tests.shelf import Shelf

__all__ = ["bucket"]
START = datetime(2026, 1, 1, tzinfo=UTC)
WEEKS = 52
A_WEEK = 5  # events
KEPT_WEEKS = 4 + 5 + 1  # of deliveries: 28 days, the rest of their month, and the week that begins
HELD_WEEKS = 8  # a delivery now and then takes so long to finish
HELD = {"status": "pending", "delivered_at": None, "failed_at": None, "sweep_at": "infinity"}
FINISH = """
UPDATE webhook.webhook_deliveries SET status = 'failed', failed_at = :now, sweep_at = NULL WHERE id = :id
"""
UNFINISHED = """
SELECT d.id, e.id FROM webhook.webhook_deliveries d LEFT JOIN webhook.webhook_events e ON e.id = d.event_id
WHERE d.sweep_at IS NOT NULL ORDER BY d.id
"""


@pytest.fixture
def past(service: Service, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Past:
    monkeypatch.setenv("PARTITIONS_AHEAD_EVENTS", "1")  # of each week three days, not fifteen
    monkeypatch.setenv("RETENTION_EVENTS_DAYS", "14")
    monkeypatch.setenv("RETENTION_DELIVERIES_DAYS", "28")
    monkeypatch.setenv("RETENTION_AUDIT_LOG_DAYS", "60")
    settings.cache_clear()
    shelf = Shelf()
    for job in (archive, retention, restore):
        monkeypatch.setattr(job, "Bucket", lambda _name: shelf)  # moto would take most of the time
    return Past(service)


class Ledger:
    """Every row there ever was, as it was last seen."""

    def __init__(self) -> None:
        self.rows: dict[str, dict[str, Any]] = {table: {} for table in TABLES}

    def note(self, past: Past) -> dict[str, int]:
        """Enter what is in the database now; how many rows that is, table by table."""
        seen = {table: {str(id): rest for id, *rest in past.rows(table)} for table in TABLES}
        for table, rows in seen.items():
            self.rows[table] |= rows
        return {table: len(rows) for table, rows in seen.items()}


@pytest.mark.timeout(300)
def test_the_database_stays_as_it_is_and_all_that_left_comes_back(past: Past) -> None:
    ledger = Ledger()
    held: dict[str, int] = {}
    dropped = 0
    for week in range(WEEKS):
        now = START + timedelta(weeks=week)
        partitions.run(Run(now=now))
        for n in range(A_WEEK):
            past.event(now + timedelta(days=n % 2, hours=n + 3), week * A_WEEK + n)
        if week % 4 == 0:
            held[past.event(now + timedelta(hours=5), week * A_WEEK + 1000, **HELD)] = week + HELD_WEEKS
        for id in [id for id, until in held.items() if until == week]:
            past.sql.run(FINISH, id=id, now=now)
            del held[id]
        counts = ledger.note(past)
        assert counts["webhook_deliveries"] <= KEPT_WEEKS * A_WEEK + len(held) + 3
        assert archive_all(now)["left"] == 0
        answer = retain(now)
        assert (answer["waiting_for_archive"], answer["busy"], answer["left"]) == (0, 0, 0)
        dropped += answer["dropped"]
        unfinished = past.sql.run(UNFINISHED)
        assert {str(id) for id, _ in unfinished} == set(held)
        assert all(event is not None for _, event in unfinished)

    default = [past.sql.run(f"SELECT count(*) FROM webhook.{table}_default") for table in TABLES]
    assert default == [[[0]]] * len(TABLES)
    assert dropped > 2 * WEEKS  # days, and a few months of the others
    assert len(past.rows("webhook_events")) < 4 * A_WEEK
    answer = restore_days(now, f"{START:%Y-%m-%d}", f"{now:%Y-%m-%d}")
    assert (answer["done"], answer["damaged"], answer["beside"]) == (1, [], [])
    restored = {table: {str(id): rest for id, *rest in past.rows(table)} for table in TABLES}
    assert restored == ledger.rows
