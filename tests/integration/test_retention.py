"""The job that takes partitions out: what goes, what stays and why, and that nobody waits for it."""

import gzip
import threading
from datetime import timedelta
from typing import Any

import boto3
import pg8000.native
import pytest
from sqlalchemy import text

from functions.domain import attachment, retention
from functions.domain.archives import records
from functions.domain.archives.files import DamagedError
from functions.domain.ids import uuid7
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.archive_scene import (
    JUNE,
    LATER,
    MUCH_LATER,
    Past,
    archive_all,
    bucket,
    restore_days,
    retain,
)
from tests.integration.conftest import Service

__all__ = ["bucket"]
PENDING = {"status": "pending", "delivered_at": None, "failed_at": None, "scheduled_at": str(LATER)}
HELD = PENDING | {"sweep_at": "infinity"}
REOPEN = """
UPDATE webhook.webhook_deliveries SET status = 'pending', failed_at = NULL, sweep_at = 'infinity' WHERE id = :id
"""


@pytest.fixture
def past(service: Service, bucket: str) -> Past:
    past = Past(service)
    past.day(JUNE)
    return past


def failed_delivery(past: Past) -> tuple[str, str]:
    """A failed delivery of June, and its event."""
    ((delivery, event),) = past.sql.run(
        "SELECT d.id, d.event_id FROM webhook.webhook_deliveries d"
        " JOIN webhook.webhook_events e ON e.id = d.event_id WHERE d.status = 'failed'"
        " AND e.data IS NOT NULL ORDER BY d.id LIMIT 1"
    )
    return str(delivery), str(event)


def second_session(databases: Databases, past: Past) -> pg8000.native.Connection:
    ((name,),) = past.sql.run("SELECT current_database()")
    return databases.connect(databases.server.url(database=name))


def test_what_is_archived_and_not_needed_goes_and_its_own_ids_with_it(past: Past) -> None:
    archive_all(LATER)
    answer = retain(LATER)
    assert (answer["dropped"], answer["kept"], answer["rewritten"]) == (3, 0, 0)
    left = past.everything()
    assert (left["webhook_events"], left["webhook_deliveries"], left["webhook_delivery_attempts"]) == ([], [], [])
    assert left["own ids"] == []
    assert len(left["audit_log"]) == 20  # a year
    assert set(past.states().values()) == {"dropped"}
    assert not any(retain(LATER).values())


def test_what_is_not_verified_stays(past: Past) -> None:
    before = past.everything()
    answer = retain(LATER)
    assert (answer["waiting_for_archive"], answer["dropped"]) == (3, 0)
    assert past.everything() == before


def test_an_unfinished_delivery_keeps_its_event_and_attempts_and_nothing_else(past: Past) -> None:
    made = past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(LATER)
    answer = retain(LATER)
    assert (answer["dropped"], answer["kept"]) == (0, 3)
    assert answer["thinned"] == 20 + 20 + 40
    left = past.everything()
    assert [str(row[0]) for row in left["webhook_deliveries"]] == [made]
    assert len(left["webhook_events"]) == 1
    assert len(left["webhook_delivery_attempts"]) == 2
    assert retain(LATER)["thinned"] == 0


def test_a_pending_dead_letter_keeps_its_delivery_event_and_attempts(past: Past) -> None:
    delivery, event = failed_delivery(past)
    past.letter(delivery, JUNE)
    archive_all(LATER)
    assert retain(LATER)["kept"] == 3
    left = past.everything()
    assert [str(row[0]) for row in left["webhook_deliveries"]] == [delivery]
    assert [str(row[0]) for row in left["webhook_events"]] == [event]
    assert len(left["webhook_delivery_attempts"]) == 2


def test_what_was_kept_goes_when_it_is_finished_and_the_archive_has_its_end(past: Past) -> None:
    made = past.event(JUNE + timedelta(hours=8), 30, **HELD)
    before = past.everything()
    archive_all(LATER)
    retain(LATER)
    past.sql.run(
        "UPDATE webhook.webhook_deliveries SET status = 'delivered', delivered_at = :now, sweep_at = NULL,"
        " scheduled_at = NULL, attempts = 3 WHERE id = :id",
        now=LATER,
        id=made,
    )
    (finished,) = past.rows("webhook_deliveries")
    answer = retain(LATER)
    assert (answer["dropped"], answer["kept"]) == (3, 0)
    restore_days(LATER, "2026-06-01", "2026-06-01")
    restored = past.everything()
    assert restored["webhook_deliveries"] == [
        finished if str(row[0]) == made else row for row in before["webhook_deliveries"]
    ]
    assert {**restored, "webhook_deliveries": None} == {**before, "webhook_deliveries": None}


def test_rows_that_changed_after_they_were_archived_are_archived_anew_before_they_go(past: Past) -> None:
    past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(LATER)
    past.sql.run(
        "UPDATE webhook.webhook_deliveries SET last_error_code = 'dns', last_error_message = 'changed'"
        " WHERE sweep_at IS NULL"
    )
    before = past.everything()
    assert retain(LATER)["thinned"] == 20 + 20 + 40
    restore_days(LATER, "2026-06-01", "2026-06-01")
    assert past.everything() == before


def test_a_restore_fills_a_partition_that_stayed_and_leaves_what_is_in_it(past: Past) -> None:
    made = past.event(JUNE + timedelta(hours=8), 30, **HELD)
    before = past.everything()
    archive_all(LATER)
    retain(LATER)
    past.sql.run("UPDATE webhook.webhook_deliveries SET token = 99 WHERE id = :id", id=made)
    answer = restore_days(LATER, "2026-06-01", "2026-06-01", days=2)
    assert (answer["restored"], answer["rows"]) == (3, 20 + 20 + 40)
    now = past.everything()
    assert {**now, "webhook_deliveries": now["webhook_deliveries"][:-1]} == {
        **before,
        "webhook_deliveries": before["webhook_deliveries"][:-1],
    }
    assert past.sql.run("SELECT token FROM webhook.webhook_deliveries WHERE id = :id", id=made) == [[99]]
    assert retain(LATER + timedelta(days=3))["thinned"] == 20 + 20 + 40


def test_a_delivery_that_is_retried_while_its_partition_is_taken_out_brings_it_back(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the look at what is needed and the lock, somebody retries."""
    delivery, _ = failed_delivery(past)
    archive_all(LATER)
    detach = attachment.detach

    def retry_first(connection: Any, series: Any, partition: Any, lock_ms: int) -> None:
        if series.table == "webhook_events":
            assert past.service.client("POST", f"/v1/deliveries/{delivery}/retry").status in {200, 202}
        detach(connection, series, partition, lock_ms)

    monkeypatch.setattr(attachment, "detach", retry_first)
    before = past.rows("webhook_events")
    answer = retain(LATER)
    assert (answer["kept"], answer["dropped"]) == (3, 0)
    assert past.rows("webhook_events") == before
    ((keys,),) = past.sql.run(
        "SELECT count(*) FROM pg_constraint WHERE contype = 'f'"
        " AND conrelid = to_regclass('webhook.webhook_events_2026_06_01')"
    )
    assert keys == 2  # as before, none twice
    assert past.service.client("GET", f"/v1/deliveries/{delivery}").body["status"] == "pending"


def test_a_look_that_takes_too_long_is_made_afterwards_and_the_partition_put_back(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As with very many unfinished deliveries: others do not wait for it."""
    delivery, _ = failed_delivery(past)
    archive_all(LATER)
    is_needed = retention.is_needed
    looks: list[Any] = []

    def slow(connection: Any, series: Any, partition: Any) -> bool:
        looks.append(partition)
        if len(looks) == 2:  # while others wait
            past.sql.run(REOPEN, id=delivery)
            connection.execute(text("SELECT pg_sleep(60)"))
        return is_needed(connection, series, partition)

    before = past.rows("webhook_events")
    monkeypatch.setattr(retention, "is_needed", slow)
    answer = retain(LATER)
    assert (answer["kept"], answer["dropped"]) == (3, 0)
    assert past.rows("webhook_events") == before


def test_a_row_that_changes_while_its_partition_is_taken_out_is_in_the_archive(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive_all(LATER)
    detach = attachment.detach

    def change_first(connection: Any, series: Any, partition: Any, lock_ms: int) -> None:
        past.sql.run(
            "UPDATE webhook.webhook_deliveries SET last_error_code = 'dns', last_error_message = 'late'"
            " WHERE status = 'failed'"
        )
        detach(connection, series, partition, lock_ms)

    monkeypatch.setattr(attachment, "detach", change_first)
    answer = retain(LATER)
    assert answer["dropped"] == 3
    assert answer["rewritten"] == 3
    restore_days(LATER, "2026-06-01", "2026-06-01")
    late = "SELECT count(*) FROM webhook.webhook_deliveries WHERE last_error_message = 'late'"
    assert past.sql.run(late) == [[7]]


@pytest.mark.parametrize("needed", [False, True])
def test_a_run_that_dies_after_taking_a_partition_out_is_finished_by_the_next(
    past: Past, monkeypatch: pytest.MonkeyPatch, needed: bool
) -> None:
    delivery, _ = failed_delivery(past)
    before = past.everything()
    archive_all(LATER)
    is_needed = retention.is_needed
    asked: list[Any] = []

    def die(*given: Any) -> bool:
        asked.append(given)
        if len(asked) == 3:  # after it was taken out
            raise RuntimeError("killed")
        return is_needed(*given)

    monkeypatch.setattr(retention, "is_needed", die)
    with pytest.raises(RuntimeError, match="killed"):
        retain(LATER)
    monkeypatch.setattr(retention, "is_needed", is_needed)
    assert past.rows("webhook_events") == []
    if needed:
        past.sql.run(REOPEN, id=delivery)
    answer = retain(LATER)
    assert (answer["kept"], answer["dropped"]) == ((3, 0) if needed else (0, 3))
    assert past.rows("webhook_events") == (before["webhook_events"] if needed else [])


@pytest.mark.parametrize("stays", [False, True])
def test_a_run_that_dies_when_a_file_is_rewritten_and_not_noted_is_finished_by_the_next(
    past: Past, monkeypatch: pytest.MonkeyPatch, stays: bool
) -> None:
    """The file is another than the chunk's row says: nothing of it may go before they agree again."""
    if stays:
        past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(LATER)
    past.sql.run("UPDATE webhook.webhook_events SET environment = 'changed'")
    before = past.everything()

    def die(*_: Any) -> None:
        raise RuntimeError("killed")

    with monkeypatch.context() as patched:
        patched.setattr(records, "save_chunk", die)
        with pytest.raises(RuntimeError, match="killed"):
            retain(LATER)
    answer = retain(LATER)
    assert answer["kept" if stays else "dropped"] == 3
    restored = restore_days(LATER, "2026-06-01", "2026-06-01")
    assert (restored["damaged"], restored["restored"]) == ([], 3)
    assert past.everything() == before


def test_nobody_waits_longer_than_for_the_lock_timeout(past: Past, databases: Databases) -> None:
    """A transaction that takes hours reads the table: retention gives up again and again, and writers go on."""
    archive_all(LATER)
    long_one = second_session(databases, past)
    long_one.run("BEGIN")
    long_one.run("SELECT count(*) FROM webhook.webhook_events")
    answers: list[Any] = []
    running = threading.Thread(target=lambda: answers.append(retain(LATER)), daemon=True)
    with second_session(databases, past) as writer:
        writer.run("SET lock_timeout = '1500ms'")  # ours is 200 ms: one that waits for so long gets an error
        running.start()
        written = 0
        while running.is_alive():
            writer.run(
                "INSERT INTO webhook.webhook_events (id, project_id, type, data, correlation_id)"
                " VALUES (:id, :project, 'invoice.paid', '1', 'c')",
                id=uuid7(),
                project=past.service.project_id,
            )
            written += 1
    running.join()
    assert written > 0
    assert (answers[0]["busy"], answers[0]["dropped"]) == (1, 2)  # the deliveries' partitions went
    long_one.run("COMMIT")
    long_one.close()
    assert retain(LATER)["dropped"] == 1


def test_a_row_that_somebody_holds_makes_it_stand_back(past: Past, databases: Databases) -> None:
    past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(LATER)
    with second_session(databases, past) as other:
        other.run("BEGIN")
        other.run("SELECT FROM webhook.webhook_events ORDER BY id LIMIT 1 FOR SHARE")
        answer = retain(LATER)
        assert (answer["busy"], answer["kept"]) == (1, 2)
        other.run("COMMIT")
    assert retain(LATER)["kept"] == 3


def test_a_table_that_is_being_worked_on_is_left_to_whom_does(past: Past, databases: Databases) -> None:
    archive_all(LATER)
    with second_session(databases, past) as other:
        other.run("SELECT pg_advisory_lock(hashtextextended('archive.webhook_events_2026_06_01', 0))")
        answer = retain(LATER)
        assert (answer["busy"], answer["dropped"]) == (1, 2)
        assert restore_days(LATER, "2026-06-01", "2026-06-01")["busy"] == 1
    assert retain(LATER)["dropped"] >= 1


def test_what_is_restored_just_before_it_would_go_stays(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    archive_all(LATER)
    archives_of = records.archives_of

    def restored_after_the_look(connection: Any, series: Any) -> Any:
        found = archives_of(connection, series)
        monkeypatch.setattr(records, "archives_of", archives_of)
        restore_days(LATER, "2026-06-01", "2026-06-01")
        return found

    monkeypatch.setattr(records, "archives_of", restored_after_the_look)
    before = past.everything()
    assert retain(LATER)["held"] == 3
    assert past.everything() == before


def test_a_damaged_archive_keeps_its_partition_and_no_other(past: Past, bucket: str) -> None:
    archive_all(LATER)
    past.sql.run("UPDATE webhook.webhook_events SET environment = 'changed'")
    key = "archive/webhook_events/2026-06-01/part-00001.jsonl.gz"
    s3 = boto3.client("s3")
    lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=key)["Body"].read()).splitlines(keepends=True)
    s3.put_object(Bucket=bucket, Key=key, Body=gzip.compress(b"".join(lines[1:])))  # sound, but a line is missing
    before = past.everything()
    for _ in range(2):  # the next run does not take it for one that was being rewritten
        with pytest.raises(DamagedError, match="part-00001"):
            retain(LATER)
    assert past.rows("webhook_events_2026_06_01") == before["webhook_events"]
    assert past.states()["webhook_events_2026_06_01"] == "verified"
    assert past.rows("webhook_deliveries") == []


def test_rows_that_come_late_to_a_dropped_partition_join_its_archive(past: Past) -> None:
    """A partition that was made again for them: they lie between those of the archive, and behind them."""
    before = past.everything()
    archive_all(LATER)
    retain(LATER)
    past.day(JUNE, events=0)
    for minute in (3, 300):
        past.event(JUNE + timedelta(minutes=minute, seconds=30), 50)
    late = past.everything()
    assert archive_all(LATER)["written"] == 0
    answer = retain(LATER)
    assert answer["dropped"] == 3
    restore_days(LATER, "2026-06-01", "2026-06-01")
    together = past.everything()
    for table in ("webhook_events", "webhook_deliveries", "webhook_delivery_attempts"):
        assert together[table] == sorted(before[table] + late[table])


def test_the_audit_log_goes_after_a_year_whatever_is_unfinished(past: Past) -> None:
    past.event(JUNE + timedelta(hours=8), 30, **HELD)
    archive_all(MUCH_LATER)
    answer = retain(MUCH_LATER)
    assert (answer["dropped"], answer["kept"]) == (1, 3)
    assert past.rows("audit_log") == []


def test_ages_are_settings(past: Past, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_EVENTS_DAYS", "3")
    settings.cache_clear()
    soon = JUNE + timedelta(days=4)
    assert archive_all(soon - timedelta(minutes=1))["verified"] == 0
    assert archive_all(soon)["verified"] == 1
    assert retain(soon)["dropped"] == 1
    assert past.rows("webhook_events") == []
    assert len(past.rows("webhook_deliveries")) == 20
