"""Figures: how the database is doing, and when each function last ran.

Revision ID: 0005
Revises: 0004

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds two tables. The downgrade forgets the history of the figures, and refuses to
while there is any unless HOOKLINE_ALLOW_DATA_LOSS=1.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

UP = """
CREATE TABLE webhook.heartbeats (
  name varchar(64) PRIMARY KEY,
  succeeded_at timestamptz,
  counts jsonb NOT NULL DEFAULT '{}',
  failed_at timestamptz,
  error text,
  CONSTRAINT heartbeats_name_shape CHECK (name ~ '^[a-z_]+([.][a-z_]+)*$'),
  CONSTRAINT heartbeats_counts_are_an_object CHECK (jsonb_typeof(counts) = 'object'),
  CONSTRAINT heartbeats_ran CHECK (succeeded_at IS NOT NULL OR failed_at IS NOT NULL),
  CONSTRAINT heartbeats_failure_has_error CHECK ((failed_at IS NULL) = (error IS NULL))
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook.heartbeats IS 'When what runs by the clock last ran: dispatch, and each job of maintain';
COMMENT ON COLUMN webhook.heartbeats.counts IS 'What the last run that succeeded did';
COMMENT ON COLUMN webhook.heartbeats.failed_at IS 'When it last failed, which may be before it last succeeded';

CREATE TABLE webhook.reports (
  made_at timestamptz PRIMARY KEY,
  hourly boolean NOT NULL,
  figures jsonb NOT NULL,
  CONSTRAINT reports_figures_are_an_object CHECK (jsonb_typeof(figures) = 'object')
);
COMMENT ON TABLE webhook.reports IS 'How the database was doing, every five minutes';
COMMENT ON COLUMN webhook.reports.hourly IS 'The first of its hour, which is kept for longer'
"""
GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT, INSERT, UPDATE ON webhook.heartbeats TO hookline_app;
    GRANT SELECT ON webhook.reports TO hookline_app;
  END IF;
END $$
"""
DOWN = """
DROP TABLE webhook.reports;
DROP TABLE webhook.heartbeats
"""


def upgrade() -> None:
    run(UP)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("forgets all figures", "FROM webhook.reports")
    run(DOWN)
