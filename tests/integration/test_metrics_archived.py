"""Metrics leave the database after a quarter of a year, for the archive, and come back as they were (A6)."""

from datetime import timedelta

import boto3
import pytest

from functions.settings import settings
from tests.integration.archive_scene import (
    JUNE,
    LATER,
    Past,
    archive_all,
    bucket,
    key_at,
    restore_days,
    retain,
)
from tests.integration.conftest import Service

__all__ = ["bucket"]
TABLES = ("request_metrics", "operation_metrics")
ROWS = 20
REQUEST = {
    "method": "POST",
    "path": "/v1/events/{event_id}",
    "status_code": 202,
    "request_id": "r-1",
    "client_ip": "2001:db8::1",
    "user_agent": 'żółć 🎉 \t"',
}
OPERATION = {
    "operation_type": "job",
    "operation_name": "jobs.batch",
    "job_id": "j-1",
    "document_url": "https://x/",
}


def files_in(bucket: str) -> list[str]:
    return [one["Key"] for one in boto3.client("s3").list_objects_v2(Bucket=bucket).get("Contents", [])]


@pytest.fixture
def measured(service: Service, bucket: str, monkeypatch: pytest.MonkeyPatch) -> Past:
    """A day of June with requests and operations."""
    monkeypatch.setenv("RETENTION_METRICS_DAYS", "90")
    settings.cache_clear()
    past = Past(service)
    past.day(JUNE)
    for n in range(ROWS):
        at = JUNE + timedelta(minutes=n)
        when = {"id": key_at(at, n), "timestamp": str(at), "created_at": str(at), "duration_ms": 0.1 + n}
        past._insert("request_metrics", **REQUEST, **when, project_id=service.project_id)
        error = "ValueError" if n % 2 else None
        told = {"error_message": error, "success": error is None, "extra_metadata": {"rows": n}}
        past._insert("operation_metrics", **OPERATION, **when, **told)
    return past


def test_they_are_archived_taken_out_and_come_back_as_they_were(measured: Past, bucket: str) -> None:
    before = {table: measured.rows(table) for table in TABLES}
    assert [len(rows) for rows in before.values()] == [ROWS, ROWS]
    archive_all(LATER)
    for table in TABLES:
        assert measured.states()[f"{table}_2026_06"] == "verified"
        assert any(key.startswith(f"archive/{table}/2026-06/part-") for key in files_in(bucket))
    retain(LATER)
    assert {table: measured.rows(table) for table in TABLES} == {table: [] for table in TABLES}
    answer = restore_days(LATER, "2026-06-01", "2026-06-01", tables=list(TABLES))
    assert (answer["restored"], answer["rows"], answer["damaged"]) == (2, 2 * ROWS, [])
    assert {table: measured.rows(table) for table in TABLES} == before


def test_younger_ones_stay(measured: Past, bucket: str) -> None:
    archive_all(JUNE + timedelta(days=100))
    retain(JUNE + timedelta(days=100))
    assert [len(measured.rows(table)) for table in TABLES] == [ROWS, ROWS]
    assert not [key for key in files_in(bucket) if "metrics" in key]


def test_what_comes_late_to_a_month_that_is_gone_is_still_stored(measured: Past) -> None:
    archive_all(LATER)
    retain(LATER)
    late = {"id": key_at(JUNE), "timestamp": str(JUNE), "method": "GET", "path": "/", "status_code": 200}
    measured._insert("request_metrics", **late, duration_ms=1, request_id="r", created_at=str(LATER))
    assert len(measured.rows("request_metrics")) == 1
