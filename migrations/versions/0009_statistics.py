"""Statistics: what became of deliveries, counted by webhook, application and project (D10).

Revision ID: 0009
Revises: 0008

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds three tables. What it counts begins with the oldest attempt that is there. The
downgrade forgets what was counted, and refuses to while there is any unless HOOKLINE_ALLOW_DATA_LOSS=1: days are
kept for longer than the attempts they were counted from.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None
destructive = False

# The rows of the present buckets are changed once a minute, all at once: half a page is left for their new
# versions, so that no index is written to. There are no partitions: what gets too old is deleted as it does, a few
# rows a minute by an index, and the room is taken by what comes next.
UP = """
CREATE TABLE webhook.delivery_statistics (
  subject_id uuid NOT NULL,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  webhook_id uuid,
  application_id uuid,
  bucket timestamptz NOT NULL,
  resolution smallint NOT NULL,
  succeeded integer NOT NULL DEFAULT 0,
  redirected integer NOT NULL DEFAULT 0,
  rejected integer NOT NULL DEFAULT 0,
  throttled integer NOT NULL DEFAULT 0,
  server_error integer NOT NULL DEFAULT 0,
  timed_out integer NOT NULL DEFAULT 0,
  dns_error integer NOT NULL DEFAULT 0,
  connection_error integer NOT NULL DEFAULT 0,
  tls_error integer NOT NULL DEFAULT 0,
  invalid_response integer NOT NULL DEFAULT 0,
  refused integer NOT NULL DEFAULT 0,
  other integer NOT NULL DEFAULT 0,
  first_attempts integer NOT NULL DEFAULT 0,
  first_succeeded integer NOT NULL DEFAULT 0,
  deliveries_delivered integer NOT NULL DEFAULT 0,
  deliveries_failed integer NOT NULL DEFAULT 0,
  time_total_ms bigint NOT NULL DEFAULT 0,
  time_longest_ms integer NOT NULL DEFAULT 0,
  time_buckets smallint[] NOT NULL DEFAULT '{}',
  time_counts integer[] NOT NULL DEFAULT '{}',
  CONSTRAINT delivery_statistics_pkey PRIMARY KEY (subject_id, resolution, bucket),
  CONSTRAINT delivery_statistics_webhook_fkey FOREIGN KEY (project_id, webhook_id)
    REFERENCES webhook.webhooks (project_id, id) ON DELETE CASCADE,
  CONSTRAINT delivery_statistics_application_fkey FOREIGN KEY (project_id, application_id)
    REFERENCES webhook.applications (project_id, id) ON DELETE CASCADE,
  CONSTRAINT delivery_statistics_subject CHECK
    (subject_id = coalesce(webhook_id, application_id, project_id)
      AND num_nonnulls(webhook_id, application_id) <= 1),
  CONSTRAINT delivery_statistics_resolution_known CHECK (resolution IN (5, 60, 1440)),
  CONSTRAINT delivery_statistics_bucket_begins CHECK
    (bucket = date_bin(resolution * interval '1 minute', bucket, timestamptz '2000-01-01 00:00:00+00')),
  CONSTRAINT delivery_statistics_counts_range CHECK
    (least(succeeded, redirected, rejected, throttled, server_error, timed_out, dns_error, connection_error,
       tls_error, invalid_response, refused, other, first_attempts, deliveries_delivered, deliveries_failed) >= 0),
  CONSTRAINT delivery_statistics_first_range CHECK (first_succeeded BETWEEN 0 AND first_attempts),
  CONSTRAINT delivery_statistics_time_range CHECK (time_longest_ms >= 0 AND time_total_ms >= time_longest_ms),
  CONSTRAINT delivery_statistics_time_shape CHECK (cardinality(time_buckets) = cardinality(time_counts)
    AND 0 <= ALL (time_buckets) AND 0 < ALL (time_counts))
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook.delivery_statistics IS
  'Attempts and what they came to, counted in buckets of time, for each webhook, application and project';
COMMENT ON COLUMN webhook.delivery_statistics.subject_id IS
  'Whose figures: the webhook''s, the application''s, or those of the whole project';
COMMENT ON COLUMN webhook.delivery_statistics.bucket IS 'When it begins; an attempt counts when it ended';
COMMENT ON COLUMN webhook.delivery_statistics.resolution IS 'Minutes that the bucket lasts: 5, 60 or 1440';
COMMENT ON COLUMN webhook.delivery_statistics.succeeded IS
  'Attempts by outcome, this one and those up to other: every attempt is in one of them';
COMMENT ON COLUMN webhook.delivery_statistics.deliveries_failed IS 'Deliveries that left a dead letter';
COMMENT ON COLUMN webhook.delivery_statistics.time_buckets IS
  'Numbers of the logarithmic buckets of response times that have any (functions/domain/log_buckets.py)';
COMMENT ON COLUMN webhook.delivery_statistics.time_counts IS 'How many response times are in each of them';
CREATE INDEX delivery_statistics_by_bucket ON webhook.delivery_statistics (resolution, bucket);

CREATE TABLE webhook.endpoint_rankings (
  project_id uuid NOT NULL,
  window_hours smallint NOT NULL,
  webhook_id uuid NOT NULL,
  attempts bigint NOT NULL,
  succeeded bigint NOT NULL,
  CONSTRAINT endpoint_rankings_pkey PRIMARY KEY (project_id, window_hours, webhook_id),
  CONSTRAINT endpoint_rankings_webhook_fkey FOREIGN KEY (project_id, webhook_id)
    REFERENCES webhook.webhooks (project_id, id) ON DELETE CASCADE,
  CONSTRAINT endpoint_rankings_window_known CHECK (window_hours IN (1, 24, 168, 720, 2160)),
  CONSTRAINT endpoint_rankings_counts_range CHECK (attempts > 0 AND succeeded BETWEEN 0 AND attempts)
) WITH (fillfactor = 70);
COMMENT ON TABLE webhook.endpoint_rankings IS
  'By what endpoints are sorted, as of a few minutes ago: which had attempts in the last hours, and how many';

CREATE TABLE webhook.statistics_progress (
  name varchar(32) PRIMARY KEY,
  position uuid,
  until timestamptz NOT NULL,
  CONSTRAINT statistics_progress_name_known CHECK
    (name IN ('attempts', 'ranking_1h', 'ranking_24h', 'ranking_7d', 'ranking_30d', 'ranking_90d')),
  CONSTRAINT statistics_progress_position_of_attempts CHECK ((position IS NOT NULL) = (name = 'attempts'))
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook.statistics_progress IS 'How far the statistics are';
COMMENT ON COLUMN webhook.statistics_progress.position IS
  'Attempts and dead letters with a smaller key are counted, each once; the others are not';
COMMENT ON COLUMN webhook.statistics_progress.until IS 'What ended before that is counted, or ranked'
"""
GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT ON webhook.delivery_statistics, webhook.endpoint_rankings, webhook.statistics_progress
      TO hookline_app;
  END IF;
END $$
"""
DOWN = """
DROP TABLE webhook.statistics_progress;
DROP TABLE webhook.endpoint_rankings;
DROP TABLE webhook.delivery_statistics
"""


def upgrade() -> None:
    run(UP)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("forgets what was counted of deliveries", "FROM webhook.delivery_statistics")
    run(DOWN)
