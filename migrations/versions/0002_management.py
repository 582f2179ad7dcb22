"""Management: applications, complete webhooks, filters, schemas of event types, jobs, the audit log.

Revision ID: 0002
Revises: 0001

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds tables, nullable columns and columns with constant defaults, none of which
rewrites a table. One thing of the previous release stops for the minutes until the new code is there: it cannot
add a subscription (500, nothing is lost), because a pattern may now be subscribed to with several filters and its
statement names the old unique constraint. The downgrade drops what only the new tables hold, and refuses to
while there is any of it unless HOOKLINE_ALLOW_DATA_LOSS=1.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

APPLICATIONS = """
CREATE TABLE webhook.applications (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  uid varchar(255),
  name varchar(255) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  updated_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  deleted_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  CONSTRAINT applications_project_key UNIQUE (project_id, id),
  CONSTRAINT applications_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT applications_name_not_empty CHECK (name <> ''),
  CONSTRAINT applications_uid_shape CHECK (uid ~ '^[A-Za-z0-9._-]+$')
);
COMMENT ON COLUMN webhook.applications.uid IS 'The project''s own name for it';
COMMENT ON COLUMN webhook.applications.deleted_at IS 'Deleted applications stay as parents of their events';
CREATE UNIQUE INDEX applications_uid_key ON webhook.applications (project_id, uid) WHERE deleted_at IS NULL;
CREATE INDEX applications_by_name ON webhook.applications (project_id, lower(name) text_pattern_ops)
  WHERE deleted_at IS NULL;

ALTER TABLE webhook.api_keys ADD COLUMN application_id uuid;
ALTER TABLE webhook.api_keys ADD CONSTRAINT api_keys_application_fkey
  FOREIGN KEY (project_id, application_id) REFERENCES webhook.applications (project_id, id);
ALTER TABLE webhook.projects ADD COLUMN validation text NOT NULL DEFAULT 'off'
  CONSTRAINT projects_validation_known CHECK (validation IN ('off', 'warn', 'enforce'));
ALTER TABLE webhook.projects ADD COLUMN catalog_version integer NOT NULL DEFAULT 1;
COMMENT ON COLUMN webhook.projects.catalog_version IS
  'Goes up by one whenever the project''s event types or its validation change; what caches them compares it';
ALTER TABLE webhook.projects ADD COLUMN version integer NOT NULL DEFAULT 1;
ALTER TABLE webhook.idempotency_keys ADD COLUMN response_version integer;
COMMENT ON COLUMN webhook.idempotency_keys.response_version IS 'The ETag that was answered';
"""

WEBHOOKS = """
ALTER TABLE webhook.webhooks
  ADD COLUMN application_id uuid,
  ADD COLUMN environment varchar(64),
  ADD COLUMN headers jsonb NOT NULL DEFAULT '{}',
  ADD COLUMN auth_type text NOT NULL DEFAULT 'none',
  ADD COLUMN credentials bytea,
  ADD COLUMN retry_strategy jsonb NOT NULL DEFAULT '{"kind": "exponential"}',
  ADD COLUMN ip_allowlist cidr[],
  ADD COLUMN rate_limit_requests integer,
  ADD COLUMN rate_limit_per_seconds integer,
  ADD COLUMN ordering text NOT NULL DEFAULT 'none',
  ADD COLUMN status_reason varchar(255),
  ADD COLUMN status_changed_at timestamptz,
  ADD COLUMN signing_algorithm text NOT NULL DEFAULT 'hmac',
  ADD COLUMN version integer NOT NULL DEFAULT 1,
  ADD CONSTRAINT webhooks_application_fkey FOREIGN KEY (project_id, application_id)
    REFERENCES webhook.applications (project_id, id),
  ADD CONSTRAINT webhooks_environment_shape CHECK (environment ~ '^[A-Za-z0-9._-]+$'),
  ADD CONSTRAINT webhooks_headers_are_an_object CHECK (jsonb_typeof(headers) = 'object'),
  ADD CONSTRAINT webhooks_auth_type_known CHECK (auth_type IN ('none', 'bearer', 'basic')),
  ADD CONSTRAINT webhooks_auth_has_credentials CHECK (auth_type = 'none' OR credentials IS NOT NULL
    OR deleted_at IS NOT NULL),
  ADD CONSTRAINT webhooks_retry_strategy_known CHECK (jsonb_typeof(retry_strategy) = 'object'
    AND retry_strategy ->> 'kind' IN ('exponential', 'linear', 'fixed', 'custom')),
  ADD CONSTRAINT webhooks_rate_limit_range CHECK (rate_limit_requests >= 1 AND rate_limit_per_seconds >= 1),
  ADD CONSTRAINT webhooks_rate_limit_whole
    CHECK ((rate_limit_requests IS NULL) = (rate_limit_per_seconds IS NULL)),
  ADD CONSTRAINT webhooks_ordering_known CHECK (ordering IN ('none', 'strict')),
  ADD CONSTRAINT webhooks_signing_algorithm_known CHECK (signing_algorithm IN ('hmac', 'ed25519'));
COMMENT ON COLUMN webhook.webhooks.headers IS
  'Custom headers; the value of one that is kept with the credentials is null here';
COMMENT ON COLUMN webhook.webhooks.credentials IS
  'Encrypted JSON: what authenticates to the endpoint, and the custom headers that look like it';
COMMENT ON COLUMN webhook.webhooks.version IS
  'Goes up by one whenever the configuration changes: the webhook''s ETag';
CREATE INDEX webhooks_by_application ON webhook.webhooks (application_id) WHERE application_id IS NOT NULL;
CREATE INDEX webhooks_by_project ON webhook.webhooks (project_id, id) WHERE deleted_at IS NULL;

CREATE TABLE webhook.webhook_expiring_secrets (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  webhook_id uuid NOT NULL REFERENCES webhook.webhooks (id) ON DELETE CASCADE,
  algorithm text NOT NULL,
  secret bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_expiring_secrets_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_expiring_secrets_algorithm_known CHECK (algorithm IN ('hmac', 'ed25519'))
);
COMMENT ON TABLE webhook.webhook_expiring_secrets IS
  'Signing secrets that were rotated out and still sign beside the webhook''s own until they expire';
CREATE INDEX webhook_expiring_secrets_by_webhook ON webhook.webhook_expiring_secrets (webhook_id, expires_at);

ALTER TABLE webhook.webhook_subscriptions
  DROP CONSTRAINT webhook_subscriptions_pattern_key,
  ADD COLUMN application_id uuid,
  ADD COLUMN filter jsonb,
  ADD COLUMN filter_path jsonpath,
  ADD CONSTRAINT webhook_subscriptions_filter_is_an_object CHECK (jsonb_typeof(filter) = 'object'),
  ADD CONSTRAINT webhook_subscriptions_filter_compiled CHECK ((filter IS NULL) = (filter_path IS NULL));
COMMENT ON COLUMN webhook.webhook_subscriptions.application_id IS
  'What its webhook is bound to, which never changes: an event looks only among those of its own';
COMMENT ON COLUMN webhook.webhook_subscriptions.filter IS 'As people wrote it';
DROP INDEX webhook.webhook_subscriptions_matching;
CREATE INDEX webhook_subscriptions_matching ON webhook.webhook_subscriptions
  (project_id, event_type, application_id, webhook_id) WHERE enabled;
COMMENT ON COLUMN webhook.webhook_subscriptions.filter_path IS 'The same, compiled: data @@ it is the match';
CREATE UNIQUE INDEX webhook_subscriptions_pattern_key
  ON webhook.webhook_subscriptions (webhook_id, event_type, md5(filter::text)) NULLS NOT DISTINCT;
"""

EVENT_TYPES = """
ALTER TABLE webhook.webhook_event_types
  ADD COLUMN version integer NOT NULL DEFAULT 1,
  ADD COLUMN archived_at timestamptz,
  ADD COLUMN created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  ADD COLUMN updated_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  ADD COLUMN schema_version integer NOT NULL DEFAULT 0;
COMMENT ON COLUMN webhook.webhook_event_types.schema_version IS
  'The version of the schema that events are validated by; 0 while there is none';

CREATE TABLE webhook.webhook_event_type_versions (
  event_type_id uuid NOT NULL REFERENCES webhook.webhook_event_types (id) ON DELETE CASCADE,
  version integer NOT NULL,
  schema jsonb,
  examples jsonb NOT NULL DEFAULT '[]',
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  CONSTRAINT webhook_event_type_versions_pkey PRIMARY KEY (event_type_id, version),
  CONSTRAINT webhook_event_type_versions_number_range CHECK (version >= 1),
  CONSTRAINT webhook_event_type_versions_schema_shape CHECK (jsonb_typeof(schema) IN ('object', 'boolean')),
  CONSTRAINT webhook_event_type_versions_examples_shape CHECK (jsonb_typeof(examples) = 'array')
);
"""

# Partial indexes name only columns that a claim does not change: one that named `status` would make every claim a
# write to all indexes (an index's predicate counts as naming its columns).
TRAFFIC = """
ALTER TABLE webhook.webhook_events
  ADD COLUMN application_id uuid,
  ADD COLUMN environment varchar(64),
  ADD COLUMN expunged_at timestamptz,
  ALTER COLUMN data DROP NOT NULL,
  ADD CONSTRAINT webhook_events_application_fkey FOREIGN KEY (project_id, application_id)
    REFERENCES webhook.applications (project_id, id),
  ADD CONSTRAINT webhook_events_environment_shape CHECK (environment ~ '^[A-Za-z0-9._-]+$'),
  ADD CONSTRAINT webhook_events_data_until_expunged CHECK ((data IS NULL) = (expunged_at IS NOT NULL));
COMMENT ON COLUMN webhook.webhook_events.expunged_at IS 'When the payload was erased on request; the rest stays';
CREATE INDEX webhook_events_by_type ON webhook.webhook_events (project_id, type, id);
CREATE INDEX webhook_events_by_application ON webhook.webhook_events (application_id, id)
  WHERE application_id IS NOT NULL;

ALTER TABLE webhook.webhook_deliveries
  ADD COLUMN application_id uuid,
  ADD COLUMN failed_at timestamptz;
COMMENT ON COLUMN webhook.webhook_deliveries.application_id IS 'What its webhook is bound to';
COMMENT ON COLUMN webhook.webhook_deliveries.failed_at IS 'Set while the delivery is failed';
DROP INDEX webhook.webhook_deliveries_by_event;
CREATE INDEX webhook_deliveries_by_event ON webhook.webhook_deliveries (event_id, id);
CREATE INDEX webhook_deliveries_by_type ON webhook.webhook_deliveries (project_id, event_type, id);
CREATE INDEX webhook_deliveries_by_application ON webhook.webhook_deliveries (application_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX webhook_deliveries_unfinished ON webhook.webhook_deliveries (project_id, id)
  WHERE sweep_at IS NOT NULL;
CREATE INDEX webhook_deliveries_failed ON webhook.webhook_deliveries (project_id, id)
  WHERE failed_at IS NOT NULL;
CREATE INDEX webhook_deliveries_failed_by_webhook ON webhook.webhook_deliveries (webhook_id, id)
  WHERE failed_at IS NOT NULL;

ALTER TABLE webhook.webhook_delivery_attempts ADD COLUMN expunged_at timestamptz;

ALTER TABLE webhook.webhook_dlq
  ADD COLUMN application_id uuid,
  ADD COLUMN event_type varchar(255),
  ADD COLUMN updated_by uuid;
CREATE INDEX webhook_dlq_by_webhook ON webhook.webhook_dlq (webhook_id, id);
CREATE INDEX webhook_dlq_by_delivery ON webhook.webhook_dlq (delivery_id);
CREATE INDEX webhook_dlq_by_application ON webhook.webhook_dlq (application_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX webhook_dlq_pending ON webhook.webhook_dlq (project_id, id) WHERE status = 'pending';
"""

# What the previous release wrote, filled in. Failed deliveries are few: those that ran out of attempts.
DATA = """
UPDATE webhook.webhook_deliveries SET failed_at = coalesce(last_attempt_at, created_at) WHERE status = 'failed';
UPDATE webhook.webhook_dlq l SET event_type = d.event_type
FROM webhook.webhook_deliveries d WHERE d.id = l.delivery_id;
"""

JOBS = """
CREATE TABLE webhook.jobs (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  application_id uuid,
  kind text NOT NULL,
  parameters jsonb NOT NULL,
  status text NOT NULL DEFAULT 'queued',
  total integer NOT NULL,
  processed integer NOT NULL DEFAULT 0,
  changed integer NOT NULL DEFAULT 0,
  position uuid,
  token integer NOT NULL DEFAULT 1,
  sweep_at timestamptz,
  failures smallint NOT NULL DEFAULT 0,
  error varchar(255),
  correlation_id varchar(128) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  started_at timestamptz,
  finished_at timestamptz,
  CONSTRAINT jobs_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT jobs_parameters_are_an_object CHECK (jsonb_typeof(parameters) = 'object'),
  CONSTRAINT jobs_status_known CHECK (status IN ('queued', 'running', 'completed', 'failed', 'cancelled')),
  CONSTRAINT jobs_counts_range CHECK (total >= 0 AND processed >= 0 AND changed BETWEEN 0 AND processed),
  CONSTRAINT jobs_swept_while_unfinished CHECK ((status IN ('queued', 'running')) = (sweep_at IS NOT NULL)),
  CONSTRAINT jobs_finished_has_time
    CHECK ((status IN ('completed', 'failed', 'cancelled')) = (finished_at IS NOT NULL))
);
COMMENT ON COLUMN webhook.jobs.processed IS 'Rows looked at';
COMMENT ON COLUMN webhook.jobs.changed IS 'Rows that were changed or made; others had moved on meanwhile';
COMMENT ON COLUMN webhook.jobs.position IS 'The key up to which rows were looked at';
COMMENT ON COLUMN webhook.jobs.token IS
  'Goes up by one with every batch; a queue message with another token is stale';
COMMENT ON COLUMN webhook.jobs.sweep_at IS 'When dispatch looks at the job, were its queue message lost';
COMMENT ON COLUMN webhook.jobs.failures IS 'Batches in a row that failed; 0 after one that did not';
CREATE INDEX jobs_by_project ON webhook.jobs (project_id, id);
CREATE INDEX jobs_sweep ON webhook.jobs (sweep_at) WHERE sweep_at IS NOT NULL;
"""

AUDIT = """
CREATE TABLE webhook.audit_log (
  id uuid DEFAULT uuidv7() NOT NULL,
  project_id uuid NOT NULL,
  application_id uuid,
  event varchar(64) NOT NULL,
  level text NOT NULL DEFAULT 'info',
  actor_type text NOT NULL,
  actor_id uuid,
  resource_type varchar(64) NOT NULL,
  resource_id varchar(255) NOT NULL,
  before jsonb,
  after jsonb,
  correlation_id varchar(128) NOT NULL,
  request_id varchar(128) NOT NULL,
  source_ip inet,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT audit_log_pkey PRIMARY KEY (id),
  CONSTRAINT audit_log_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT audit_log_level_known CHECK (level IN ('info', 'warning')),
  CONSTRAINT audit_log_actor_known CHECK (actor_type IN ('api_key', 'admin')),
  CONSTRAINT audit_log_actor_has_id CHECK ((actor_type = 'api_key') = (actor_id IS NOT NULL))
) PARTITION BY RANGE (id);
COMMENT ON COLUMN webhook.audit_log.event IS 'What was done, such as webhook.updated';
COMMENT ON COLUMN webhook.audit_log.level IS 'warning: something was taken away, shown or sent again';
CREATE TABLE webhook.audit_log_default PARTITION OF webhook.audit_log DEFAULT;
CREATE INDEX audit_log_by_project ON webhook.audit_log (project_id, id);
CREATE INDEX audit_log_by_event ON webhook.audit_log (project_id, event, id);
CREATE INDEX audit_log_by_type ON webhook.audit_log (project_id, resource_type, id);
CREATE INDEX audit_log_by_resource ON webhook.audit_log (project_id, resource_id, id);
CREATE INDEX audit_log_by_actor ON webhook.audit_log (project_id, actor_id, id);
CREATE INDEX audit_log_by_correlation ON webhook.audit_log (project_id, correlation_id, id);
CREATE INDEX audit_log_by_application ON webhook.audit_log (application_id, id) WHERE application_id IS NOT NULL;
CREATE INDEX audit_log_warnings ON webhook.audit_log (project_id, id) WHERE level = 'warning';
"""

GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT, INSERT, UPDATE ON webhook.applications, webhook.webhook_expiring_secrets,
      webhook.webhook_event_type_versions, webhook.jobs TO hookline_app;
    GRANT DELETE ON webhook.webhook_expiring_secrets TO hookline_app;
    GRANT SELECT, INSERT ON webhook.audit_log TO hookline_app;
  END IF;
END $$
"""


def upgrade() -> None:
    for script in (APPLICATIONS, WEBHOOKS, EVENT_TYPES, TRAFFIC, DATA, JOBS, AUDIT):
        run(script)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose(
        "drops applications, filters, schemas, jobs, rotated secrets and the audit log",
        "FROM webhook.applications",
        "FROM webhook.audit_log",
        "FROM webhook.webhook_subscriptions WHERE filter IS NOT NULL",
        "FROM webhook.webhook_event_type_versions",
        "FROM webhook.webhook_expiring_secrets",
        "FROM webhook.jobs",
    )
    for table in ("audit_log", "jobs", "webhook_event_type_versions", "webhook_expiring_secrets"):
        op.execute(f"DROP TABLE webhook.{table}")
    op.execute("DELETE FROM webhook.webhook_subscriptions WHERE filter IS NOT NULL")
    op.execute("UPDATE webhook.webhook_events SET data = 'null', expunged_at = NULL WHERE data IS NULL")
    for table, columns in ADDED.items():
        drops = ", ".join(f"DROP COLUMN {column}" for column in columns)
        op.execute(f"ALTER TABLE webhook.{table} {drops}")
    op.execute("DROP INDEX webhook.webhook_dlq_pending")
    op.execute("DROP INDEX webhook.webhooks_by_project")
    for index in ("webhook_events_by_type", "webhook_deliveries_by_type", "webhook_deliveries_unfinished"):
        op.execute(f"DROP INDEX webhook.{index}")
    op.execute("DROP INDEX webhook.webhook_dlq_by_webhook")
    op.execute("DROP INDEX webhook.webhook_dlq_by_delivery")
    op.execute("DROP INDEX webhook.webhook_deliveries_by_event")
    op.execute("CREATE INDEX webhook_deliveries_by_event ON webhook.webhook_deliveries (event_id)")
    op.execute("ALTER TABLE webhook.webhook_events ALTER COLUMN data SET NOT NULL")
    op.execute(
        "ALTER TABLE webhook.webhook_subscriptions"
        " ADD CONSTRAINT webhook_subscriptions_pattern_key UNIQUE (webhook_id, event_type)"
    )
    op.execute(
        "CREATE INDEX webhook_subscriptions_matching ON webhook.webhook_subscriptions (project_id, event_type)"
        " INCLUDE (webhook_id) WHERE enabled"
    )
    op.execute("DROP TABLE webhook.applications")


ADDED = {
    "webhook_dlq": ("application_id", "event_type", "updated_by"),
    "webhook_delivery_attempts": ("expunged_at",),
    "webhook_deliveries": ("application_id", "failed_at"),
    "webhook_events": ("application_id", "environment", "expunged_at"),
    "webhook_event_types": ("version", "archived_at", "created_by", "updated_by", "schema_version"),
    "webhook_subscriptions": ("filter", "filter_path", "application_id"),
    "webhooks": (
        *("application_id", "environment", "headers", "auth_type", "credentials", "retry_strategy"),
        *("ip_allowlist", "rate_limit_requests", "rate_limit_per_seconds", "ordering", "status_reason"),
        *("status_changed_at", "signing_algorithm", "version"),
    ),
    "projects": ("validation", "catalog_version", "version"),
    "api_keys": ("application_id",),
    "idempotency_keys": ("response_version",),
}
