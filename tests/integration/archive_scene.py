"""Traffic that is long over, with values that are awkward to write down, and the jobs that archive it."""

import gzip
import hashlib
import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import boto3
import pytest

from functions.domain.ids import uuid7_floor
from functions.domain.partitions import all_series, wanted
from functions.maintain import archive, restore, retention
from functions.maintain.run import Run
from functions.settings import settings
from tests.integration.conftest import Service

JUNE = datetime(2026, 6, 1, tzinfo=UTC)
LATER = datetime(2026, 12, 1, tzinfo=UTC)  # events and deliveries of June are past their age, the audit log is not
MUCH_LATER = datetime(2027, 8, 1, tzinfo=UTC)  # and so is the audit log
TABLES = ("webhook_events", "webhook_deliveries", "webhook_delivery_attempts", "audit_log")
AWKWARD: list[Any] = [
    {
        "text": 'quotes " and \\ and \n and \t',
        "unicode": "żółć 日本 🎉 \u2028 \u0001",
        "empty": {},
        "list": [[], [[1]]],
    },
    {"big": 123456789012345678901234567890, "small": 1.50e-30, "minus": -0.000001, "null": None},
    [1, "two", None, {"three": [4.0]}],
    "a text",
    None,  # JSON's null, which is not SQL's
    0,
    True,
    {"wide": "x" * 20_000},
]
NEVER = "'infinity'"


def key_at(at: datetime, n: int = 0) -> str:
    """A UUIDv7 of that millisecond; `n` keeps several apart, in their order."""
    return str(UUID(int=int(at.timestamp() * 1000) << 80 | 0x7 << 76 | 0x2 << 62 | n))


@pytest.fixture
def bucket(service: Service, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The archive bucket, empty, and settings that make chunks small."""
    name = f"archive-{uuid4().hex}"
    location: Any = {"LocationConstraint": "eu-central-1"}
    boto3.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=location)
    monkeypatch.setenv("ARCHIVE_BUCKET", name)
    monkeypatch.setenv("ARCHIVE_CHUNK_ROWS", "7")
    monkeypatch.setenv("ARCHIVE_LOCK_MS", "200")
    monkeypatch.setenv("ARCHIVE_LOCK_TRIES", "1")
    monkeypatch.setenv("RETENTION_METRICS_DAYS", "3650")  # a story of their own: test_metrics_archived.py
    settings.cache_clear()
    yield name
    settings.cache_clear()


class Past:
    """What happened on some days: events, each delivered or failed after two attempts, and the audit log."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.sql = service.sql
        self.webhook_id: str = service.webhook()["id"]
        self.sql.run("DELETE FROM webhook.audit_log")  # of today, and of no partition

    def day(self, day: datetime, events: int = 20) -> None:
        """A day's rows, into the partitions of its time, which are made."""
        self._make_partitions(day)
        for n in range(events):
            self.event(day + timedelta(minutes=n, microseconds=n * 1001), n)

    def event(self, at: datetime, n: int = 0, **delivery: Any) -> str:
        """One event with its delivery, attempts and entry in the audit log; the delivery's key."""
        project = self.service.project_id
        event, made = key_at(at, n), key_at(at + timedelta(seconds=1), n)
        expunged = n % 5 == 4
        self._insert(
            "webhook_events",
            id=event,
            project_id=project,
            external_id=f'own-{at:%m%d}-{n} "żó"' if n % 2 else None,
            type="invoice.paid",
            data=None if expunged else AWKWARD[n % len(AWKWARD)],
            occurred_at=str(at - timedelta(microseconds=123457)) if n % 3 else None,
            correlation_id=f"c-{n}",
            webhooks_matched=1,
            created_at=str(at),
            environment="prod" if n % 4 else None,
            expunged_at=str(at + timedelta(days=2)) if expunged else None,
        )
        finished = {
            "status": "delivered" if n % 3 else "failed",
            "delivered_at": str(at + timedelta(seconds=3)) if n % 3 else None,
            "failed_at": None if n % 3 else str(at + timedelta(seconds=3)),
        }
        self._insert(
            "webhook_deliveries",
            id=made,
            project_id=project,
            webhook_id=self.webhook_id,
            event_id=event,
            event_type="invoice.paid",
            attempts=2,
            max_attempts=6,
            token=5,
            last_attempt_at=str(at + timedelta(seconds=2, microseconds=7)),
            last_response_status=204 if n % 3 else 500,
            last_error_code=None if n % 3 else "http_status",
            last_error_message=None if n % 3 else "tab\tand \\ and żółć",
            created_at=str(at),
            **(finished | delivery),
        )
        for number in (1, 2):
            self._insert(
                "webhook_delivery_attempts",
                id=key_at(at + timedelta(seconds=1 + number), n),
                project_id=project,
                delivery_id=made,
                attempt_number=number,
                request_url="https://example.com/hook?a=1&b=%20",
                request_headers={"webhook-id": event, "x": "ü"},
                request_sent_at=str(at + timedelta(seconds=number, microseconds=n)),
                response_status=204 if number == 2 else None,
                response_headers={"a": "b"} if number == 2 else None,
                response_body='{"ok": true}\n\\u0041' if number == 2 else None,
                response_time_ms=n,
                remote_address="10.0.0.1" if number == 2 else "2001:db8::1",
                error_code=None if number == 2 else "timeout",
                error_message=None if number == 2 else "too late",
            )
        self._insert(
            "audit_log",
            id=key_at(at, n),
            project_id=project,
            event="webhook.updated",
            level="info",
            actor_type="admin",
            resource_type="webhook",
            resource_id=self.webhook_id,
            before={"n": n},
            after=AWKWARD[0],
            correlation_id="c",
            request_id="r",
            source_ip="192.0.2.1",
            created_at=str(at),
        )
        return made

    def letter(self, delivery_id: str, at: datetime) -> str:
        """A pending dead letter of a delivery."""
        ((event_id,),) = self.sql.run(
            "SELECT event_id FROM webhook.webhook_deliveries WHERE id = :id", id=delivery_id
        )
        letter = key_at(at + timedelta(hours=1))
        self.sql.run(
            "INSERT INTO webhook.webhook_dlq (id, project_id, webhook_id, event_id, delivery_id, reason, attempts)"
            " VALUES (:id, :project, :webhook, :event, :delivery, 'attempts_exhausted', 2)",
            id=letter,
            project=self.service.project_id,
            webhook=self.webhook_id,
            event=event_id,
            delivery=delivery_id,
        )
        return letter

    def rows(self, table: str) -> list[list[Any]]:
        """Key and fingerprint of every row, in the order of the keys."""
        return [
            list(row)
            for row in self.sql.run(
                f"SELECT id, md5(CAST(t AS text)), octet_length(t::text) FROM webhook.{table} t ORDER BY id"
            )
        ]

    def everything(self) -> dict[str, list[list[Any]]]:
        own_ids = self.sql.run("SELECT * FROM webhook.webhook_event_ids ORDER BY 1, 2")
        return {table: self.rows(table) for table in TABLES} | {"own ids": [list(row) for row in own_ids]}

    def counted(self, everything: dict[str, list[list[Any]]]) -> dict[str, list[str]]:
        """The keys of each table, as `archived_rows` has them."""
        return {table: [str(row[0]) for row in everything[table]] for table in TABLES}

    def partitions(self, table: str) -> list[str]:
        """The partitions that have rows, oldest first; `default` is one of them."""
        return [
            name
            for (name,) in self.sql.run(
                f"SELECT DISTINCT substr(CAST(CAST(tableoid AS regclass) AS text), {len('webhook.') + 1})"
                f" FROM webhook.{table} ORDER BY 1"
            )
        ]

    def states(self) -> dict[str, str]:
        found = self.sql.run("SELECT partition_name, state FROM webhook.archives")
        return {str(name): str(state) for name, state in found}

    def _make_partitions(self, day: datetime) -> None:
        """Those of this day and no others, as the job `partitions` would have made them."""
        self.sql.run("SET ROLE hookline_owner")
        for series in all_series():
            (partition,) = wanted(replace(series, ahead=0, behind=0), day)
            if self.sql.run("SELECT to_regclass(:table)", table=f"webhook.{partition.name}") == [[None]]:
                table = f"webhook.{partition.name}"
                self.sql.run(f"CREATE TABLE {table} (LIKE webhook.{series.table} INCLUDING ALL) {series.options}")
                first, behind = uuid7_floor(partition.start), uuid7_floor(partition.end)
                bounds = f"FOR VALUES FROM ('{first}') TO ('{behind}')"
                self.sql.run(f"ALTER TABLE webhook.{series.table} ATTACH PARTITION {table} {bounds}")
        self.sql.run("RESET ROLE")

    def _insert(self, table: str, **values: Any) -> None:
        """As the columns' types want it; JSON's null is told from SQL's by not being absent."""
        given = {name: value for name, value in values.items() if value is not None}
        columns = ", ".join(given)
        populated = f"json_populate_record(NULL::webhook.{table}, :row::json)"
        self.sql.run(
            f"INSERT INTO webhook.{table} ({columns}{', data' if self._is_json_null(table, values) else ''})"
            f" SELECT {columns}{', CAST($$null$$ AS jsonb)' if self._is_json_null(table, values) else ''}"
            f" FROM {populated}",
            row=json.dumps(given),
        )
        if values.get("external_id"):
            self.sql.run(
                "INSERT INTO webhook.webhook_event_ids VALUES (:project, :external, :id)",
                project=values["project_id"],
                external=values["external_id"],
                id=values["id"],
            )

    @staticmethod
    def _is_json_null(table: str, values: dict[str, Any]) -> bool:
        return table == "webhook_events" and values["data"] is None and values["expunged_at"] is None


def archived_rows(bucket: str) -> dict[str, list[str]]:
    """The keys of the rows in the archive, table by table, as its manifests and their files have them."""
    s3 = boto3.client("s3")
    found: dict[str, list[str]] = {table: [] for table in TABLES}
    keys = [one["Key"] for one in s3.list_objects_v2(Bucket=bucket)["Contents"]]
    named = set()
    for key in sorted(key for key in keys if key.endswith("/_manifest.json")):
        manifest = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for part in manifest["chunks"]:
            named.add(part["key"])
            lines = gzip.decompress(s3.get_object(Bucket=bucket, Key=part["key"])["Body"].read())
            assert hashlib.sha256(lines).hexdigest() == part["sha256"]
            found[manifest["table"]] += [json.loads(line)["id"] for line in lines.splitlines()]
    assert named == {key for key in keys if not key.endswith("/_manifest.json")}
    return found


def archive_all(now: datetime) -> dict[str, Any]:
    return archive.run(Run(now=now))


def retain(now: datetime) -> dict[str, Any]:
    return retention.run(Run(now=now))


def restore_days(now: datetime, first: str, last: str, **parameters: Any) -> dict[str, Any]:
    return restore.run(Run(now=now, parameters={"from": first, "to": last, **parameters}))
