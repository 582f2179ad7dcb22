"""Retention and archives: what left the database and where it is, and how long a project keeps its rows.

Revision ID: 0004
Revises: 0003

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds two tables, a nullable column and a partial index of a small table. The
downgrade forgets where archives are, and refuses to while there are any unless HOOKLINE_ALLOW_DATA_LOSS=1; the
files stay, each with its manifest.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

UP = """
ALTER TABLE webhook.projects ADD COLUMN retention jsonb
  CONSTRAINT projects_retention_is_an_object CHECK (jsonb_typeof(retention) = 'object');
COMMENT ON COLUMN webhook.projects.retention IS
  'Days this project keeps rows for, where that is less than the deployment does: {"events": 7, "deliveries": 30}';

CREATE TABLE webhook.archives (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  table_name varchar(63) NOT NULL,
  partition_name varchar(63) NOT NULL,
  range_from timestamptz NOT NULL,
  range_to timestamptz NOT NULL,
  state text NOT NULL DEFAULT 'writing',
  rows bigint NOT NULL DEFAULT 0,
  bytes bigint NOT NULL DEFAULT 0,
  manifest_key varchar(1024),
  schema_revision varchar(32) NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  written_at timestamptz,
  verified_at timestamptz,
  dropped_at timestamptz,
  restored_at timestamptz,
  restored_until timestamptz,
  CONSTRAINT archives_range_key UNIQUE (table_name, range_from),
  CONSTRAINT archives_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT archives_range_order CHECK (range_from < range_to),
  CONSTRAINT archives_state_known CHECK (state IN ('writing', 'written', 'verified', 'dropped', 'restored')),
  CONSTRAINT archives_counts_range CHECK (rows >= 0 AND bytes >= 0)
);
COMMENT ON TABLE webhook.archives IS 'Partitions that were copied to the archive bucket, one row each';
COMMENT ON COLUMN webhook.archives.state IS
  'writing, written, verified: the partition is here too; dropped: only files; restored: until restored_until';
COMMENT ON COLUMN webhook.archives.bytes IS 'Of the files, compressed';

CREATE TABLE webhook.archive_chunks (
  archive_id uuid NOT NULL REFERENCES webhook.archives (id) ON DELETE CASCADE,
  number integer NOT NULL,
  first_id uuid NOT NULL,
  last_id uuid NOT NULL,
  rows integer NOT NULL,
  bytes bigint NOT NULL,
  digest numeric NOT NULL,
  sha256 bytea NOT NULL,
  object_key varchar(1024) NOT NULL,
  written_at timestamptz NOT NULL DEFAULT now(),
  verified_at timestamptz,
  CONSTRAINT archive_chunks_pkey PRIMARY KEY (archive_id, number),
  CONSTRAINT archive_chunks_range_order CHECK (first_id <= last_id),
  CONSTRAINT archive_chunks_counts_range CHECK (number >= 0 AND rows >= 1 AND bytes >= 1),
  CONSTRAINT archive_chunks_sha256_length CHECK (octet_length(sha256) = 32)
);
COMMENT ON TABLE webhook.archive_chunks IS 'The files of an archive: rows of consecutive keys, one file each';
COMMENT ON COLUMN webhook.archive_chunks.digest IS
  'Sum of hashtextextended(line, 0) over its lines: compared with the table before its rows may go';
COMMENT ON COLUMN webhook.archive_chunks.sha256 IS 'Of the lines before compression';

CREATE INDEX webhook_dlq_resolved ON webhook.webhook_dlq (resolved_at) WHERE resolved_at IS NOT NULL;
"""
GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT ON webhook.archives, webhook.archive_chunks TO hookline_app;
  END IF;
END $$
"""
DOWN = """
DROP INDEX webhook.webhook_dlq_resolved;
DROP TABLE webhook.archive_chunks;
DROP TABLE webhook.archives;
ALTER TABLE webhook.projects DROP COLUMN retention;
"""


def upgrade() -> None:
    run(UP)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("forgets the archives", "FROM webhook.archives")
    run(DOWN)
