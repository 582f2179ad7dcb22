"""Shapes: what rows have to be like, said in the database (A4, E8).

Revision ID: 0006
Revises: 0005

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). Every rule here is one that its code keeps. Tables are locked for a moment each while their
constraints are added NOT VALID; rows that are there already are read afterwards, beside writers, a partition at a
time (migrations/online.py). Interrupted, it goes on where it was. The downgrade takes the constraints away and
loses no row.

What a claim or an outcome writes is checked every time, so the rules of deliveries and attempts compare columns
and look into no JSON and at no pattern.
"""

from alembic import op

from migrations import online

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None
destructive = False

# The code of the first release wrote failed deliveries without the time while 0002 was there and its code not yet.
FAILED_WITHOUT_TIME = """
UPDATE {partition} SET failed_at = coalesce(last_attempt_at, created_at)
WHERE status = 'failed' AND failed_at IS NULL
"""

# Of jsonpath: comparing anything but a number with one is neither true nor false, hence the type() each time, and
# `$.*` would look into arrays, which keyvalue() does not.
DAYS = """NOT jsonb_path_exists(retention, '$.keyvalue() ? (
    @.key != "events" && @.key != "deliveries"
    || @.value.type() != "number" || @.value < 1 || @.value.floor() != @.value)')"""
HEADERS = """jsonb_array_length(jsonb_path_query_array(headers, '$.keyvalue()')) <= 20
  AND NOT jsonb_path_exists(headers, '$.keyvalue() ? (@.value.type() != "string" && @.value.type() != "null")')"""
HIDDEN_HEADERS = """credentials IS NOT NULL OR deleted_at IS NOT NULL
  OR NOT jsonb_path_exists(headers, '$.keyvalue() ? (@.value == null)')"""
# As domain/retry.py takes it.
RETRY_FIELDS = """retry_strategy - CASE retry_strategy ->> 'kind'
    WHEN 'exponential' THEN ARRAY['kind', 'jitter', 'initial_seconds', 'factor', 'max_seconds']
    WHEN 'linear' THEN ARRAY['kind', 'jitter', 'step_seconds', 'max_seconds']
    WHEN 'fixed' THEN ARRAY['kind', 'jitter', 'delay_seconds']
    ELSE ARRAY['kind', 'jitter', 'delays_seconds'] END = '{}'
  AND (retry_strategy ->> 'kind' <> 'custom' OR retry_strategy -> 'delays_seconds' IS NOT NULL)"""
RETRY_VALUES = """NOT jsonb_path_exists(retry_strategy, '$.keyvalue() ? (
    @.key == "jitter" && @.value.type() != "boolean"
    || @.key == "factor" && (@.value.type() != "number" || @.value < 1 || @.value > 100)
    || @.key like_regex "(initial|max|step|delay)_seconds"
      && (@.value.type() != "number" || @.value < 1 || @.value > 604800)
    || @.key == "delays_seconds" && (@.value.type() != "array" || @.value.size() < 1 || @.value.size() > 20
      || exists (@.value[*] ? (@.type() != "number" || @ < 1 || @ > 604800))))')"""
FLAT = """NOT jsonb_path_exists(parameters,
  '$.keyvalue() ? (@.value.type() == "object" || @.value.type() == "array")')"""
NEEDED = """CASE WHEN kind IN ('release', 'recover', 'replay_missing') THEN parameters ->> 'webhook_id' IS NOT NULL
  WHEN kind = 'expunge' THEN parameters ->> 'before' IS NOT NULL ELSE true END"""
EVENT_TYPE = r"^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$"

CHECKS = {
    "projects": {
        "projects_data_key_not_empty": "octet_length(data_key) > 0",
        "projects_versions_range": "version >= 1 AND catalog_version >= 1",
        "projects_retention_shape": DAYS,
    },
    "api_keys": {"api_keys_prefix_not_empty": "prefix <> ''"},
    "applications": {"applications_version_range": "version >= 1"},
    "idempotency_keys": {
        "idempotency_keys_key_not_empty": "key <> ''",
        "idempotency_keys_answer_whole": "(response_status IS NULL) = (response_body IS NULL)",
        "idempotency_keys_version_range": "response_version >= 1",
    },
    "webhook_event_types": {"webhook_event_types_versions_range": "version >= 1 AND schema_version >= 0"},
    "webhooks": {
        "webhooks_headers_shape": HEADERS,
        "webhooks_hidden_headers_have_credentials": HIDDEN_HEADERS,
        "webhooks_retry_strategy_fields": RETRY_FIELDS,
        "webhooks_retry_strategy_values": RETRY_VALUES,
        "webhooks_rate_limit_most": "rate_limit_requests <= 1000000 AND rate_limit_per_seconds <= 3600",
        "webhooks_ip_allowlist_shape": "cardinality(ip_allowlist) > 0"
        " AND array_position(ip_allowlist, NULL) IS NULL",
        "webhooks_signs_while_it_lives": "deleted_at IS NOT NULL OR octet_length(signing_secret) > 0",
        "webhooks_version_range": "version >= 1",
    },
    "webhook_expiring_secrets": {"webhook_expiring_secrets_not_empty": "octet_length(secret) > 0"},
    "webhook_health": {
        "webhook_health_broken_circuit_waits": "circuit = 'closed' OR hold_until IS NOT NULL",
    },
    "webhook_event_ids": {
        "webhook_event_ids_external_id_not_empty": "external_id <> ''",
        "webhook_event_ids_event_id_is_uuidv7": "uuid_extract_version(event_id) = 7",
    },
    "webhook_events": {
        "webhook_events_external_id_not_empty": "external_id <> ''",
        "webhook_events_correlation_id_not_empty": "correlation_id <> ''",
        "webhook_events_occurred_at_finite": "isfinite(occurred_at)",
    },
    "webhook_deliveries": {
        "webhook_deliveries_event_type_not_empty": "event_type <> ''",
        "webhook_deliveries_failed_has_time": "(status = 'failed') = (failed_at IS NOT NULL)",
        "webhook_deliveries_scheduled_while_unfinished": "scheduled_at IS NULL OR sweep_at IS NOT NULL",
        "webhook_deliveries_error_whole": "(last_error_code IS NULL) = (last_error_message IS NULL)",
        "webhook_deliveries_counts_range": "token >= 1 AND max_attempts >= 1",
    },
    "webhook_delivery_attempts": {
        "webhook_delivery_attempts_url_is_http": "starts_with(request_url, 'http')",
        "webhook_delivery_attempts_error_whole": "(error_code IS NULL) = (error_message IS NULL)",
        "webhook_delivery_attempts_nothing_once_expunged": "expunged_at IS NULL"
        " OR response_body IS NULL AND response_headers IS NULL",
    },
    "webhook_dlq": {
        "webhook_dlq_reason_known": "reason IN ('attempts_exhausted', 'endpoint_gone', 'skipped')",
        "webhook_dlq_event_type_shape": f"event_type ~ '{EVENT_TYPE}'",
        "webhook_dlq_swept_while_pending": "sweep_at IS NULL OR status = 'pending'",
        "webhook_dlq_pending_has_no_resolver": "status <> 'pending' OR resolved_by IS NULL AND updated_by IS NULL",
        "webhook_dlq_error_whole": "(last_error_code IS NULL) = (last_error_message IS NULL)",
        "webhook_dlq_response_range": "last_response_status BETWEEN 100 AND 999",
        "webhook_dlq_token_range": "token >= 1",
    },
    "jobs": {
        "jobs_kind_known": "kind IN ('retry', 'recover', 'replay_missing', 'redrive', 'discard', 'release',"
        " 'expunge')",
        "jobs_parameters_flat": FLAT,
        "jobs_parameters_needed": NEEDED,
        "jobs_started_has_time": "CASE status WHEN 'queued' THEN started_at IS NULL"
        " WHEN 'running' THEN started_at IS NOT NULL ELSE true END",
        "jobs_failed_says_why": "(status = 'failed') = (error IS NOT NULL)",
        "jobs_token_range": "token >= 1 AND failures >= 0",
    },
    # What says that rows may go, or are gone, says where they are.
    "archives": {
        "archives_written_has_manifest": "state = 'writing'"
        " OR manifest_key IS NOT NULL AND written_at IS NOT NULL",
        "archives_verified_has_time": "state IN ('writing', 'written') OR verified_at IS NOT NULL",
        "archives_dropped_has_time": "state <> 'dropped' OR dropped_at IS NOT NULL",
        "archives_restored_has_time": "state <> 'restored' OR restored_at IS NOT NULL",
    },
    "audit_log": {
        "audit_log_event_shape": r"event ~ '^[a-z_]+\.[a-z_]+$' AND resource_type = split_part(event, '.', 1)",
        "audit_log_resource_id_not_empty": "resource_id <> ''",
        "audit_log_before_and_after_are_objects": "jsonb_typeof(before) = 'object'"
        " AND jsonb_typeof(after) = 'object'",
    },
}
KEYS = {
    "webhook_dlq": {
        "webhook_dlq_updated_by_fkey": "FOREIGN KEY (updated_by) REFERENCES webhook.api_keys (id)"
        " ON DELETE SET NULL",
    },
}


def upgrade() -> None:
    with online.steps():
        for partition in online.partitions("webhook_deliveries"):
            op.execute(FAILED_WITHOUT_TIME.format(partition=partition))
        for table, checks in CHECKS.items():
            rules = {name: f"CHECK ({rule})" for name, rule in checks.items()}
            online.add_constraints(table, rules | KEYS.get(table, {}))
        for table in CHECKS:
            online.validate(table)


def downgrade() -> None:
    with online.steps():
        for table, checks in CHECKS.items():
            online.drop_constraints(table, [*checks, *KEYS.get(table, {})])
