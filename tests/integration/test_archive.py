"""The job that copies partitions to the archive: what the files say, and that only what is verified counts."""

import gzip
import hashlib
import json
from typing import Any

import boto3
import pytest

from functions.adapters import objects
from functions.domain.partitions import all_series
from functions.maintain import archive
from functions.maintain.run import Run
from tests.integration.archive_scene import (
    JUNE,
    LATER,
    MUCH_LATER,
    Past,
    archive_all,
    bucket,
    retain,
)
from tests.integration.conftest import Service

__all__ = ["bucket"]


def files_in(bucket: str) -> dict[str, bytes]:
    s3 = boto3.client("s3")
    listed = s3.list_objects_v2(Bucket=bucket).get("Contents", [])
    return {one["Key"]: s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in listed}


def manifest_of(files: dict[str, bytes], folder: str) -> dict[str, Any]:
    return dict(json.loads(files[f"archive/{folder}/_manifest.json"]))


def test_every_row_is_in_one_file_in_the_order_of_the_keys(service: Service, bucket: str) -> None:
    past = Past(service)
    past.day(JUNE)
    answer = archive_all(MUCH_LATER)
    assert answer["left"] == 0
    assert answer["verified"] == 4  # never a default partition
    files = files_in(bucket)
    for folder, rows in (("webhook_events/2026-06-01", 20), ("webhook_delivery_attempts/2026-06", 40)):
        manifest = manifest_of(files, folder)
        assert manifest["rows"] == rows
        assert [part["rows"] for part in manifest["chunks"]] == [7] * (rows // 7) + [rows % 7]
        lines = b"".join(gzip.decompress(files[part["key"]]) for part in manifest["chunks"]).splitlines()
        ids = [json.loads(line)["id"] for line in lines]
        assert ids == sorted(set(ids))
        assert ids == [str(id) for id, *_ in past.rows(manifest["table"])]


def test_the_manifest_says_what_the_files_are(service: Service, bucket: str) -> None:
    past = Past(service)
    past.day(JUNE)
    archive_all(LATER)
    files = files_in(bucket)
    manifest = manifest_of(files, "webhook_events/2026-06-01")
    for part in manifest["chunks"]:
        lines = gzip.decompress(files[part["key"]])
        assert part["sha256"] == hashlib.sha256(lines).hexdigest()
        assert part["bytes"] == len(files[part["key"]])
        assert part["first_id"] == json.loads(lines.splitlines()[0])["id"]
        assert part["last_id"] == json.loads(lines.splitlines()[-1])["id"]
    ((revision,),) = service.sql.run("SELECT version_num FROM webhook.alembic_version")
    assert (manifest["from"], manifest["to"]) == ("2026-06-01T00:00:00+00:00", "2026-06-02T00:00:00+00:00")
    assert (manifest["schema_revision"], manifest["format"]) == (revision, 1)
    assert manifest["columns"][0] == {"name": "id", "type": "uuid", "nullable": False}
    assert manifest["verified_at"] == LATER.isoformat()


def test_lines_say_times_in_utc_whatever_the_database_is_set_to(service: Service, bucket: str) -> None:
    ((name,),) = service.sql.run("SELECT current_database()")
    service.sql.run(f"ALTER DATABASE \"{name}\" SET timezone = 'Asia/Kathmandu'")
    past = Past(service)
    past.day(JUNE)
    archive_all(LATER)
    retained = retain(LATER)
    lines = gzip.decompress(files_in(bucket)["archive/webhook_events/2026-06-01/part-00000.jsonl.gz"]).splitlines()
    assert json.loads(lines[1])["created_at"] == "2026-06-01T00:01:00.001001+00:00"
    assert (retained["rewritten"], retained["kept"]) == (0, 0)


def test_what_is_younger_than_its_age_stays_where_it_is(service: Service, bucket: str) -> None:
    past = Past(service)
    past.day(JUNE)
    archive_all(LATER)
    assert not [key for key in files_in(bucket) if "audit_log" in key]
    assert "audit_log_2026_06" not in past.states()
    assert past.states()["webhook_deliveries_2026_06"] == "verified"


def test_a_second_run_finds_nothing_to_do(service: Service, bucket: str) -> None:
    Past(service).day(JUNE)
    archive_all(LATER)
    before = files_in(bucket)
    assert archive_all(LATER) == {"written": 0, "read_back": 0, "verified": 0, "left": 0}
    assert files_in(bucket) == before


def test_without_a_bucket_nothing_is_archived_and_nothing_dropped(service: Service) -> None:
    past = Past(service)
    past.day(JUNE)
    before = past.everything()
    assert archive_all(LATER) == {"no_bucket": 1}
    answer = retain(LATER)
    assert (answer["dropped"], answer["waiting_for_archive"]) == (0, 5)  # two are of metrics
    assert past.everything() == before


def test_a_run_without_time_left_goes_on_in_the_next(service: Service, bucket: str) -> None:
    """Each run has time for one chunk."""
    past = Past(service)
    past.day(JUNE)
    for _ in range(200):
        answer = archive.run(_OneStep(now=LATER))
        if not answer["left"]:
            break
    assert set(past.states().values()) == {"verified"}
    assert manifest_of(files_in(bucket), "webhook_delivery_attempts/2026-06")["rows"] == 40


def test_a_file_that_does_not_read_back_is_written_again(
    service: Service, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    past = Past(service)
    past.day(JUNE)
    verify = archive.writing.verify
    monkeypatch.setattr(archive.writing, "verify", lambda *_: (0, False))
    assert archive_all(LATER)["verified"] == 0
    monkeypatch.setattr(archive.writing, "verify", verify)
    s3 = boto3.client("s3")
    good = files_in(bucket)
    first, second, third = (f"archive/webhook_events/2026-06-01/part-{n:05}.jsonl.gz" for n in range(3))
    s3.put_object(Bucket=bucket, Key=first, Body=good[first][:-9])
    s3.put_object(Bucket=bucket, Key=second, Body=good[third])
    s3.delete_object(Bucket=bucket, Key=third)
    archive_all(LATER)
    assert past.states()["webhook_events_2026_06_01"] == "verified"
    assert {key: files_in(bucket)[key] for key in (first, second, third)} == {
        key: good[key] for key in (first, second, third)
    }


def test_large_rows_do_not_make_large_pages(
    service: Service, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from functions.domain.archives import rows

    past = Past(service)
    past.day(JUNE)
    monkeypatch.setattr(rows, "PAGE_BYTES", 1)
    archive_all(LATER)
    assert manifest_of(files_in(bucket), "webhook_events/2026-06-01")["rows"] == 20


def test_a_large_file_goes_up_in_parts(service: Service, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "PART_BYTES", 5 << 20)
    past = Past(service)
    past.day(JUNE, events=1)
    # 10 MB of hexadecimal digits, which gzip makes no smaller than 5
    service.sql.run(
        "UPDATE webhook.webhook_delivery_attempts SET response_body ="
        " (SELECT string_agg(sha512(CAST(CAST(n AS text) AS bytea))::text, '') FROM generate_series(1, 80000) n)"
    )
    archive_all(LATER)
    s3 = boto3.client("s3")
    key = "archive/webhook_delivery_attempts/2026-06/part-00000.jsonl.gz"
    assert s3.head_object(Bucket=bucket, Key=key, PartNumber=1)["PartsCount"] > 1
    assert retain(LATER)["rewritten"] == 0


def test_every_partitioned_table_begins_with_its_key(service: Service) -> None:
    """Lines are told apart by how they begin."""
    for series in all_series():
        ((first,),) = service.sql.run(
            "SELECT attname FROM pg_attribute WHERE attrelid = to_regclass(:table) AND attnum = 1",
            table=f"webhook.{series.table}",
        )
        assert first == "id"


class _OneStep(Run):
    """A run that has time for one thing."""

    def has_time(self) -> bool:
        asked: list[None] = self.__dict__.setdefault("asked", [])
        asked.append(None)
        return len(asked) <= 1
