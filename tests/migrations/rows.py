"""A row for every table of the schema, and rows that downgrades treat apart, at any revision."""

import json
from dataclasses import dataclass
from typing import Any

import pg8000.native

KEY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"
ANOTHER = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f4"
HELD = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f5"
LATER = "2027-01-31T12:00:00+00:00"
NOW = "2026-11-21T12:00:00+00:00"
HASH = "\\x" + "ab" * 32
MINE = {"project_id": KEY}
OF_WEBHOOK = {**MINE, "webhook_id": KEY}

NO_COUNTS = dict.fromkeys(
    ("redirected", "rejected", "throttled", "server_error", "timed_out", "dns_error", "connection_error",
     "tls_error", "invalid_response", "refused", "other", "deliveries_failed"), 0
)  # fmt: skip


@dataclass(frozen=True)
class Row:
    """Columns that the revision does not have yet are left out; `since` is the first that takes such a row."""

    table: str
    values: dict[str, Any]
    since: str = "0001"


ROWS = [
    Row("projects", {"id": KEY, "name": "p", "data_key": "\\x6b", "retention": {"events": 7, "deliveries": 30}}),
    Row("api_keys", {"id": KEY, **MINE, "name": "k", "prefix": "p", "key_hash": HASH, "scopes": ["*"]}),
    Row("applications", {"id": KEY, **MINE, "uid": "acme", "name": "Acme", "created_by": KEY}),
    Row(
        "idempotency_keys",
        {"owner_id": KEY, "key": "k", "request_hash": HASH, "response_status": 201, "response_body": "{}",
         "response_version": 1},
    ),
    Row("webhook_event_types", {"id": KEY, **MINE, "name": "invoice.paid", "schema_version": 1}),
    Row("webhook_event_type_versions", {"event_type_id": KEY, "version": 1, "schema": {}, "examples": [{}]}),
    Row(
        "webhooks",
        {"id": KEY, **MINE, "name": "w", "url": "https://x", "signing_secret": "\\x73", "ordering": "strict",
         "application_id": KEY, "environment": "live", "headers": {"x-a": "1", "x-key": None},
         "auth_type": "bearer", "credentials": "\\x63", "retry_strategy": {"kind": "fixed", "delay_seconds": 9},
         "ip_allowlist": ["10.0.0.0/8"], "rate_limit_requests": 5, "rate_limit_per_seconds": 1},
    ),
    Row(
        "webhook_expiring_secrets",
        {"id": KEY, "webhook_id": KEY, "algorithm": "hmac", "secret": "\\x73", "expires_at": LATER},
    ),
    Row("webhook_subscriptions", {"id": KEY, **OF_WEBHOOK, "event_type": "*"}),
    Row(
        "webhook_subscriptions",
        {"id": ANOTHER, **OF_WEBHOOK, "event_type": "*", "filter": {"n": 1}, "filter_path": "$.n == 1"},
        since="0002",
    ),
    Row("webhook_health", {"webhook_id": KEY, "circuit": "open", "circuit_changed_at": NOW, "hold_until": LATER}),
    Row(
        "webhook_events",
        {"id": KEY, **MINE, "external_id": "e", "type": "invoice.paid", "data": {"n": 1}, "occurred_at": NOW,
         "correlation_id": "c", "application_id": KEY, "environment": "live"},
    ),
    Row(
        "webhook_events",
        {"id": ANOTHER, **MINE, "type": "invoice.paid", "correlation_id": "c", "data": None, "expunged_at": NOW},
        since="0002",
    ),
    Row("webhook_event_ids", {**MINE, "external_id": "e", "event_id": KEY, "received": {"source_id": KEY}}),
    Row(
        "webhook_deliveries",
        {"id": KEY, **OF_WEBHOOK, "event_id": KEY, "event_type": "invoice.paid", "status": "failed", "attempts": 6,
         "last_attempt_at": NOW, "failed_at": NOW, "last_response_status": 500, "last_error_code": "http_status",
         "last_error_message": "the endpoint answered 500"},
    ),
    Row(
        "webhook_deliveries",
        {"id": ANOTHER, **OF_WEBHOOK, "event_id": KEY, "event_type": "invoice.paid", "status": "delivering",
         "scheduled_at": NOW, "sweep_at": NOW, "lease_expires_at": LATER},
    ),
    Row(
        "webhook_deliveries",
        {"id": HELD, **OF_WEBHOOK, "event_id": KEY, "event_type": "invoice.paid", "scheduled_at": NOW,
         "sweep_at": "infinity"},
    ),
    Row(
        "webhook_delivery_attempts",
        {"id": KEY, **MINE, "delivery_id": KEY, "attempt_number": 1, "request_url": "https://x",
         "request_headers": {}, "request_sent_at": NOW, "response_status": 500, "response_headers": {"a": "b"},
         "response_body": "b", "response_time_ms": 1, "remote_address": "192.0.2.1", "error_code": "http_status",
         "error_message": "the endpoint answered 500"},
    ),
    Row(
        "webhook_dlq",
        {"id": KEY, **OF_WEBHOOK, "event_id": KEY, "delivery_id": KEY, "event_type": "invoice.paid",
         "reason": "attempts_exhausted", "attempts": 6, "last_error_code": "http_status",
         "last_error_message": "the endpoint answered 500", "last_response_status": 500, "sweep_at": NOW},
    ),
    Row(
        "webhook_dlq",
        {"id": ANOTHER, **OF_WEBHOOK, "event_id": KEY, "delivery_id": ANOTHER, "reason": "skipped", "attempts": 0,
         "status": "discarded", "resolved_at": NOW, "resolved_by": KEY, "updated_by": KEY, "notes": "n"},
        since="0003",
    ),
    Row(
        "jobs",
        {"id": KEY, **MINE, "kind": "retry", "parameters": {"created_before": NOW}, "total": 1, "sweep_at": NOW,
         "correlation_id": "c", "created_by": KEY},
    ),
    Row(
        "audit_log",
        {"id": KEY, **MINE, "event": "project.created", "actor_type": "api_key", "actor_id": KEY,
         "after": {"a": 1}, "resource_type": "project", "resource_id": KEY, "correlation_id": "c",
         "request_id": "r", "source_ip": "192.0.2.1"},
    ),
    Row(
        "audit_log",
        {"id": ANOTHER, **MINE, "event": "webhook.disabled", "actor_type": "hookline", "resource_type": "webhook",
         "resource_id": KEY, "correlation_id": "c", "request_id": "r"},
        since="0003",
    ),
    Row(
        "archives",
        {"id": KEY, "table_name": "webhook_events", "partition_name": "webhook_events_2026_01_31",
         "range_from": "2026-01-31T00:00:00+00:00", "range_to": "2026-02-01T00:00:00+00:00",
         "schema_revision": "0004", "state": "restored", "manifest_key": "m", "written_at": NOW,
         "verified_at": NOW, "dropped_at": NOW, "restored_at": NOW},
    ),
    Row(
        "archive_chunks",
        {"archive_id": KEY, "number": 0, "first_id": KEY, "last_id": KEY, "rows": 1, "bytes": 1, "digest": 1,
         "sha256": HASH, "object_key": "archive/webhook_events/2026-01-31/part-00000.jsonl.gz"},
    ),
    Row(
        "sources",
        {"id": KEY, **MINE, "application_id": KEY, "environment": "live", "name": "s", "kind": "generic_hmac",
         "secret": "\\x73", "verification": {"header": "x-s"}, "event_types": {"*": "a"},
         "ip_allowlist": ["10.0.0.0/8"],
         "rescrape": {"enabled": True}, "credentials": "\\x63", "received_at": NOW, "created_by": KEY},
    ),
    Row("sources", {"id": ANOTHER, **MINE, "name": "d", "kind": "github", "secret": "\\x", "deleted_at": NOW}),
    Row("source_expiring_secrets", {"id": KEY, "source_id": KEY, "secret": "\\x73", "expires_at": LATER}),
    Row(
        "change_events",
        {"id": KEY, **MINE, "source_id": KEY, "application_id": KEY, "event_id": KEY, "watch_id": "w",
         "watch_url": "https://x", "detected_at": NOW, "metadata": {"a": 1}, "rescrape_status": "queued",
         "rescrape_sweep_at": NOW},
    ),
    Row(
        "crawl_sessions",
        {"id": KEY, **MINE, "source_id": KEY, "application_id": KEY, "job_id": "j", "kind": "crawl",
         "pages_received": 1, "pages_succeeded": 1},
    ),
    Row("crawl_pages", {"session_id": KEY, "page_hash": "\\x" + "ab" * 16}),
    Row(
        "request_metrics",
        {"id": KEY, **MINE, "timestamp": NOW, "method": "POST", "path": "/v1/events", "status_code": 202,
         "duration_ms": 4.2, "request_id": "r", "client_ip": "192.0.2.1", "user_agent": "a", "extra_metadata": {}},
    ),
    Row(
        "operation_metrics",
        {"id": KEY, **MINE, "timestamp": NOW, "operation_type": "job", "operation_name": "jobs.batch",
         "duration_ms": 4.2, "success": False, "error_message": "TooSlowError", "request_id": "r", "job_id": KEY,
         "document_url": "https://x", "extra_metadata": {"function": "jobs"}},
    ),
    Row("heartbeats", {"name": "dispatch", "succeeded_at": NOW, "counts": {"sent": 1}}),
    Row("reports", {"made_at": NOW, "hourly": True, "figures": {}}),
    Row(
        "delivery_statistics",
        {"subject_id": KEY, **OF_WEBHOOK, "bucket": NOW, "resolution": 60, "succeeded": 2, "first_attempts": 1,
         "first_succeeded": 1, "deliveries_delivered": 2, "time_total_ms": 42, "time_longest_ms": 21,
         "time_buckets": [18], "time_counts": [2], **NO_COUNTS},
    ),
    Row("endpoint_rankings", {**MINE, "window_hours": 24, "webhook_id": KEY, "attempts": 2, "succeeded": 2}),
    Row("statistics_progress", {"name": "attempts", "position": KEY, "until": NOW}),
]  # fmt: skip
COLUMNS = """
SELECT table_name, column_name FROM information_schema.columns
WHERE table_schema = 'webhook' ORDER BY ordinal_position
"""


def fill(sql: pg8000.native.Connection, revision: str = "9999") -> None:
    """Insert what the schema takes at this revision and does not have yet."""
    columns: dict[str, list[str]] = {}
    for table, column in sql.run(COLUMNS):
        columns.setdefault(table, []).append(column)
    for row in ROWS:
        if row.table in columns and row.since <= revision:
            _insert(sql, row.table, {name: row.values[name] for name in row.values if name in columns[row.table]})


def _insert(sql: pg8000.native.Connection, table: str, values: dict[str, Any]) -> None:
    """By way of JSON, so that whatever type a column has is Postgres' business."""
    names = ", ".join(values)
    sql.run(
        f"INSERT INTO webhook.{table} ({names}) SELECT {names}"
        f" FROM jsonb_populate_record(CAST(NULL AS webhook.{table}), CAST(:row AS jsonb))"
        " ON CONFLICT DO NOTHING",
        row=json.dumps(values),
    )
