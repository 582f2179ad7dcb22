"""Metrics: one row for each request to the API, and one for each timed operation (A1, A2).

Revision ID: 0008
Revises: 0007

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds two partitioned tables, each with a default partition; the others are made by
maintenance. The downgrade forgets all metrics, and refuses to while there are any unless
HOOKLINE_ALLOW_DATA_LOSS=1.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None
destructive = False

UP = """
CREATE TABLE webhook.request_metrics (
  id uuid DEFAULT uuidv7() NOT NULL,
  timestamp timestamptz NOT NULL,
  method varchar(10) NOT NULL,
  path varchar(500) NOT NULL,
  status_code smallint NOT NULL,
  duration_ms double precision NOT NULL,
  request_id varchar(100) NOT NULL,
  client_ip inet,
  user_agent varchar(500),
  project_id uuid,
  extra_metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT request_metrics_pkey PRIMARY KEY (id),
  CONSTRAINT request_metrics_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT request_metrics_status_code_range CHECK (status_code BETWEEN 100 AND 599),
  CONSTRAINT request_metrics_duration_range CHECK (duration_ms >= 0 AND duration_ms < 'infinity'),
  CONSTRAINT request_metrics_extra_metadata_is_an_object CHECK (jsonb_typeof(extra_metadata) = 'object')
) PARTITION BY RANGE (id);
CREATE INDEX request_metrics_by_project ON webhook.request_metrics (project_id, id) WHERE project_id IS NOT NULL;
CREATE INDEX request_metrics_by_path ON webhook.request_metrics (path, id);
CREATE INDEX request_metrics_by_request ON webhook.request_metrics (request_id, id);
CREATE INDEX request_metrics_failed ON webhook.request_metrics (id) WHERE status_code >= 500;
CREATE TABLE webhook.request_metrics_default PARTITION OF webhook.request_metrics DEFAULT;
COMMENT ON TABLE webhook.request_metrics IS 'One row for each request to the API';
COMMENT ON COLUMN webhook.request_metrics.path IS
  'The route, such as /v1/events/{event_id}: ids are not told apart';

CREATE TABLE webhook.operation_metrics (
  id uuid DEFAULT uuidv7() NOT NULL,
  timestamp timestamptz NOT NULL,
  operation_type varchar(50) NOT NULL,
  operation_name varchar(100) NOT NULL,
  duration_ms double precision NOT NULL,
  success boolean NOT NULL,
  error_message text,
  request_id varchar(100),
  job_id varchar(100),
  document_url varchar(500),
  project_id uuid,
  extra_metadata jsonb,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT operation_metrics_pkey PRIMARY KEY (id),
  CONSTRAINT operation_metrics_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT operation_metrics_duration_range CHECK (duration_ms >= 0 AND duration_ms < 'infinity'),
  CONSTRAINT operation_metrics_error_of_failures CHECK (NOT success OR error_message IS NULL),
  CONSTRAINT operation_metrics_extra_metadata_is_an_object CHECK (jsonb_typeof(extra_metadata) = 'object')
) PARTITION BY RANGE (id);
CREATE INDEX operation_metrics_by_project ON webhook.operation_metrics (project_id, id)
  WHERE project_id IS NOT NULL;
CREATE INDEX operation_metrics_by_type ON webhook.operation_metrics (operation_type, id);
CREATE INDEX operation_metrics_by_name ON webhook.operation_metrics (operation_name, id);
CREATE INDEX operation_metrics_by_request ON webhook.operation_metrics (request_id, id)
  WHERE request_id IS NOT NULL;
CREATE INDEX operation_metrics_by_job ON webhook.operation_metrics (job_id, id) WHERE job_id IS NOT NULL;
CREATE INDEX operation_metrics_failed ON webhook.operation_metrics (id) WHERE NOT success;
CREATE TABLE webhook.operation_metrics_default PARTITION OF webhook.operation_metrics DEFAULT;
COMMENT ON TABLE webhook.operation_metrics IS
  'One row for each timed operation: ingest, claim, send, a job, a query'
"""
GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT, INSERT ON webhook.request_metrics, webhook.operation_metrics TO hookline_app;
  END IF;
END $$
"""
DOWN = """
DROP TABLE webhook.operation_metrics;
DROP TABLE webhook.request_metrics
"""


def upgrade() -> None:
    run(UP)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("forgets all metrics", "FROM webhook.request_metrics", "FROM webhook.operation_metrics")
    run(DOWN)
