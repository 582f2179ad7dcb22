"""The core: projects, keys, webhooks, subscriptions, event types, events, deliveries, attempts, dead letters.

Revision ID: 0001
Revises:

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision only creates; its downgrade drops every row, and refuses to while there are
projects unless HOOKLINE_ALLOW_DATA_LOSS=1.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

FUNCTIONS = """
CREATE FUNCTION webhook.uuidv7_floor(at timestamptz) RETURNS uuid
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN (lpad(to_hex(floor(extract(epoch FROM at) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid;
COMMENT ON FUNCTION webhook.uuidv7_floor IS
  'The smallest key a UUIDv7 made at this moment can have (RFC 9562, 5.7)';

CREATE FUNCTION webhook.rfc3339(at timestamptz) RETURNS text
LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
RETURN to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"');
"""

CONFIGURATION = """
CREATE TABLE webhook.projects (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  name varchar(255) NOT NULL,
  data_key bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT projects_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT projects_name_not_empty CHECK (name <> '')
);
COMMENT ON COLUMN webhook.projects.data_key IS 'Data key encrypted by KMS; encrypts the project''s secrets';

CREATE TABLE webhook.api_keys (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  name varchar(255) NOT NULL,
  prefix varchar(16) NOT NULL,
  key_hash bytea NOT NULL,
  scopes text[] NOT NULL,
  expires_at timestamptz,
  revoked_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT api_keys_prefix_key UNIQUE (prefix),
  CONSTRAINT api_keys_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT api_keys_name_not_empty CHECK (name <> ''),
  CONSTRAINT api_keys_hash_is_sha256 CHECK (octet_length(key_hash) = 32),
  CONSTRAINT api_keys_scopes_known CHECK (cardinality(scopes) > 0 AND scopes <@ ARRAY['*',
    'events:write', 'events:read', 'webhooks:write', 'webhooks:read', 'deliveries:write', 'deliveries:read',
    'sources:write', 'sources:read', 'audit:read', 'metrics:read'])
);
CREATE INDEX api_keys_by_project ON webhook.api_keys (project_id, id);

CREATE TABLE webhook.idempotency_keys (
  owner_id uuid NOT NULL,
  key varchar(255) NOT NULL,
  request_hash bytea NOT NULL,
  response_status smallint,
  response_body text,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT idempotency_keys_pkey PRIMARY KEY (owner_id, key),
  CONSTRAINT idempotency_keys_hash_is_sha256 CHECK (octet_length(request_hash) = 32),
  CONSTRAINT idempotency_keys_status_range CHECK (response_status BETWEEN 200 AND 299)
);

CREATE TABLE webhook.webhook_event_types (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  name varchar(255) NOT NULL,
  description text,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_event_types_name_key UNIQUE (project_id, name),
  CONSTRAINT webhook_event_types_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_event_types_name_shape CHECK (name ~ '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$')
);

CREATE TABLE webhook.webhooks (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  name varchar(255) NOT NULL,
  url varchar(2048) NOT NULL,
  description text,
  status text NOT NULL DEFAULT 'active',
  timeout_seconds smallint NOT NULL DEFAULT 15,
  max_attempts smallint NOT NULL DEFAULT 6,
  signing_secret bytea NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  updated_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  deleted_at timestamptz,
  CONSTRAINT webhooks_project_key UNIQUE (project_id, id),
  CONSTRAINT webhooks_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhooks_name_not_empty CHECK (name <> ''),
  CONSTRAINT webhooks_url_is_http CHECK (url ~ '^https?://'),
  CONSTRAINT webhooks_status_known CHECK (status IN ('active', 'paused', 'disabled')),
  CONSTRAINT webhooks_timeout_range CHECK (timeout_seconds BETWEEN 1 AND 30),
  CONSTRAINT webhooks_max_attempts_range CHECK (max_attempts BETWEEN 1 AND 20)
);
COMMENT ON COLUMN webhook.webhooks.deleted_at IS 'Deleted webhooks stay as parents of their deliveries';

CREATE TABLE webhook.webhook_subscriptions (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL,
  webhook_id uuid NOT NULL,
  event_type varchar(255) NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_subscriptions_webhook_fkey FOREIGN KEY (project_id, webhook_id)
    REFERENCES webhook.webhooks (project_id, id) ON DELETE CASCADE,
  CONSTRAINT webhook_subscriptions_pattern_key UNIQUE (webhook_id, event_type),
  CONSTRAINT webhook_subscriptions_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_subscriptions_pattern_shape
    CHECK (event_type ~ '^(\\*|[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*(\\.\\*)?)$')
);
CREATE INDEX webhook_subscriptions_matching ON webhook.webhook_subscriptions (project_id, event_type)
  INCLUDE (webhook_id) WHERE enabled;

CREATE TABLE webhook.webhook_health (
  webhook_id uuid PRIMARY KEY REFERENCES webhook.webhooks (id) ON DELETE CASCADE,
  failure_count integer NOT NULL DEFAULT 0,
  last_success_at timestamptz,
  last_failure_at timestamptz,
  CONSTRAINT webhook_health_failure_count_range CHECK (failure_count >= 0)
) WITH (fillfactor = 40);
COMMENT ON COLUMN webhook.webhook_health.failure_count IS 'Failed attempts in a row; 0 after a success';
"""

TRAFFIC = """
CREATE TABLE webhook.webhook_events (
  id uuid DEFAULT uuidv7() NOT NULL,
  project_id uuid NOT NULL REFERENCES webhook.projects (id),
  external_id varchar(255),
  type varchar(255) NOT NULL,
  data jsonb NOT NULL,
  occurred_at timestamptz,
  correlation_id varchar(128) NOT NULL,
  webhooks_matched integer NOT NULL DEFAULT 0,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_events_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_events_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_events_type_shape CHECK (type ~ '^[A-Za-z0-9_-]+(\\.[A-Za-z0-9_-]+)*$'),
  CONSTRAINT webhook_events_matched_range CHECK (webhooks_matched >= 0)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_events_by_project ON webhook.webhook_events (project_id, id);

CREATE TABLE webhook.webhook_event_ids (
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  external_id varchar(255) NOT NULL,
  event_id uuid NOT NULL,
  CONSTRAINT webhook_event_ids_pkey PRIMARY KEY (project_id, external_id)
);
COMMENT ON TABLE webhook.webhook_event_ids IS
  'The callers'' own event ids, unique per project over all partitions of webhook_events';

CREATE TABLE webhook.webhook_deliveries (
  id uuid DEFAULT uuidv7() NOT NULL,
  project_id uuid NOT NULL,
  webhook_id uuid NOT NULL,
  event_id uuid NOT NULL,
  event_type varchar(255) NOT NULL,
  status text NOT NULL DEFAULT 'pending',
  attempts smallint NOT NULL DEFAULT 0,
  max_attempts smallint NOT NULL DEFAULT 6,
  token integer NOT NULL DEFAULT 1,
  scheduled_at timestamptz,
  sweep_at timestamptz,
  lease_expires_at timestamptz,
  last_attempt_at timestamptz,
  last_response_status smallint,
  last_error_code varchar(64),
  last_error_message text,
  delivered_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_deliveries_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_deliveries_webhook_fkey FOREIGN KEY (project_id, webhook_id)
    REFERENCES webhook.webhooks (project_id, id),
  CONSTRAINT webhook_deliveries_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_deliveries_status_known
    CHECK (status IN ('pending', 'delivering', 'delivered', 'failed')),
  CONSTRAINT webhook_deliveries_attempts_range CHECK (attempts BETWEEN 0 AND max_attempts),
  CONSTRAINT webhook_deliveries_swept_while_unfinished
    CHECK ((status IN ('pending', 'delivering')) = (sweep_at IS NOT NULL)),
  CONSTRAINT webhook_deliveries_leased_while_delivering
    CHECK ((status = 'delivering') = (lease_expires_at IS NOT NULL)),
  CONSTRAINT webhook_deliveries_delivered_has_time
    CHECK ((status = 'delivered') = (delivered_at IS NOT NULL)),
  CONSTRAINT webhook_deliveries_response_range CHECK (last_response_status BETWEEN 100 AND 999)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_deliveries_by_project ON webhook.webhook_deliveries (project_id, id);
CREATE INDEX webhook_deliveries_by_webhook ON webhook.webhook_deliveries (webhook_id, id);
CREATE INDEX webhook_deliveries_by_event ON webhook.webhook_deliveries (event_id);
CREATE INDEX webhook_deliveries_sweep ON webhook.webhook_deliveries (sweep_at) WHERE sweep_at IS NOT NULL;
COMMENT ON COLUMN webhook.webhook_deliveries.token IS
  'Goes up by one whenever the delivery is claimed; a queue message with another token is stale';
COMMENT ON COLUMN webhook.webhook_deliveries.scheduled_at IS 'When the next attempt is due';
COMMENT ON COLUMN webhook.webhook_deliveries.sweep_at IS
  'When dispatch looks at the row, were its queue message lost; NULL when nothing is to be done any more';

CREATE TABLE webhook.webhook_delivery_attempts (
  id uuid DEFAULT uuidv7() NOT NULL,
  project_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  attempt_number smallint NOT NULL,
  request_url varchar(2048) NOT NULL,
  request_headers jsonb NOT NULL,
  request_sent_at timestamptz NOT NULL,
  response_status smallint,
  response_headers jsonb,
  response_body text,
  response_time_ms integer,
  remote_address inet,
  error_code varchar(64),
  error_message text,
  CONSTRAINT webhook_delivery_attempts_pkey PRIMARY KEY (id),
  CONSTRAINT webhook_delivery_attempts_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_delivery_attempts_number_range CHECK (attempt_number >= 1),
  CONSTRAINT webhook_delivery_attempts_status_range CHECK (response_status BETWEEN 100 AND 999),
  CONSTRAINT webhook_delivery_attempts_time_range CHECK (response_time_ms >= 0),
  CONSTRAINT webhook_delivery_attempts_headers_are_objects
    CHECK (jsonb_typeof(request_headers) = 'object' AND jsonb_typeof(response_headers) = 'object'),
  CONSTRAINT webhook_delivery_attempts_outcome CHECK (response_status IS NOT NULL OR error_code IS NOT NULL)
) PARTITION BY RANGE (id);
CREATE INDEX webhook_delivery_attempts_by_delivery ON webhook.webhook_delivery_attempts (delivery_id);

CREATE TABLE webhook.webhook_dlq (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL,
  webhook_id uuid NOT NULL,
  event_id uuid NOT NULL,
  delivery_id uuid NOT NULL,
  reason varchar(64) NOT NULL,
  attempts smallint NOT NULL,
  last_error_code varchar(64),
  last_error_message text,
  last_response_status smallint,
  status text NOT NULL DEFAULT 'pending',
  resolved_at timestamptz,
  resolved_by varchar(255),
  notes text,
  token integer NOT NULL DEFAULT 1,
  queue_message_id varchar(100),
  sweep_at timestamptz,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT webhook_dlq_webhook_fkey FOREIGN KEY (project_id, webhook_id)
    REFERENCES webhook.webhooks (project_id, id),
  CONSTRAINT webhook_dlq_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT webhook_dlq_status_known CHECK (status IN ('pending', 'resolved', 'discarded')),
  CONSTRAINT webhook_dlq_attempts_range CHECK (attempts >= 1),
  CONSTRAINT webhook_dlq_resolved_has_time CHECK ((status = 'pending') = (resolved_at IS NULL))
);
CREATE UNIQUE INDEX webhook_dlq_pending_delivery ON webhook.webhook_dlq (delivery_id) WHERE status = 'pending';
CREATE INDEX webhook_dlq_by_project ON webhook.webhook_dlq (project_id, id);
CREATE INDEX webhook_dlq_sweep ON webhook.webhook_dlq (sweep_at) WHERE sweep_at IS NOT NULL;
COMMENT ON COLUMN webhook.webhook_dlq.token IS
  'Goes up by one whenever the queue message is sent; a message with another token is stale';
COMMENT ON COLUMN webhook.webhook_dlq.queue_message_id IS
  'The message that is on its way to the dead-letter queue; another message id is that message redriven';
COMMENT ON COLUMN webhook.webhook_dlq.sweep_at IS 'When dispatch sends the message again, were it lost';
"""

# A new row version fits on the same page twice (claim, record): both updates can be heap-only (HOT).
PARTITIONED = {
    "webhook_events": "",
    "webhook_deliveries": "WITH (fillfactor = 45)",
    "webhook_delivery_attempts": "",
}

GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT USAGE ON SCHEMA webhook TO hookline_app;
    GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA webhook TO hookline_app;
    GRANT DELETE ON webhook.webhook_subscriptions, webhook.idempotency_keys TO hookline_app;
    REVOKE INSERT, UPDATE ON webhook.alembic_version FROM hookline_app;
  END IF;
END $$
"""


def upgrade() -> None:
    for script in (FUNCTIONS, CONFIGURATION, TRAFFIC):
        run(script)
    for table, options in PARTITIONED.items():
        op.execute(f"CREATE TABLE webhook.{table}_default PARTITION OF webhook.{table} DEFAULT {options}")
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("drops everything", "FROM webhook.projects")
    for table in (
        *("webhook_dlq", "webhook_delivery_attempts", "webhook_deliveries", "webhook_event_ids"),
        *("webhook_events", "webhook_health", "webhook_subscriptions", "webhooks", "webhook_event_types"),
        *("idempotency_keys", "api_keys", "projects"),
    ):
        op.execute(f"DROP TABLE webhook.{table}")
    op.execute("DROP FUNCTION webhook.rfc3339")
    op.execute("DROP FUNCTION webhook.uuidv7_floor")
