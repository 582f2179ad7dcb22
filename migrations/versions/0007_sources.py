"""Sources: inbound senders, what changedetection.io reported, and the crawls of Firecrawl (A3, B6, B7).

Revision ID: 0007
Revises: 0006

Safety rule: the code of the previous release must keep working on the new schema (expand now, contract one
release later). This revision adds tables, and a column without a default to webhook_event_ids, which is done at
once however many rows it has. The downgrade forgets them, and refuses to while there are any sources unless
HOOKLINE_ALLOW_DATA_LOSS=1.
"""

from alembic import op

from migrations.loss import refuse_to_lose
from migrations.scripts import run

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None
destructive = False

UP = """
ALTER TABLE webhook.webhook_event_ids ADD COLUMN received jsonb;
COMMENT ON COLUMN webhook.webhook_event_ids.received IS
  'Of an event that came through a source: which one, and the headers of the request that are kept';

CREATE TABLE webhook.sources (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  application_id uuid,
  environment varchar(64),
  name varchar(255) NOT NULL,
  description text,
  kind text NOT NULL,
  enabled boolean NOT NULL DEFAULT true,
  secret bytea NOT NULL,
  verification jsonb NOT NULL DEFAULT '{}',
  event_types jsonb NOT NULL DEFAULT '{}',
  ip_allowlist cidr[],
  max_body_bytes integer NOT NULL DEFAULT 262144,
  replay_window_seconds integer NOT NULL DEFAULT 300,
  rescrape jsonb,
  credentials bytea,
  received_at timestamptz,
  version integer NOT NULL DEFAULT 1,
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  created_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  updated_by uuid REFERENCES webhook.api_keys (id) ON DELETE SET NULL,
  deleted_at timestamptz,
  CONSTRAINT sources_application_fkey FOREIGN KEY (project_id, application_id)
    REFERENCES webhook.applications (project_id, id),
  CONSTRAINT sources_project_key UNIQUE (project_id, id),
  CONSTRAINT sources_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT sources_name_not_empty CHECK (name <> ''),
  CONSTRAINT sources_kind_known CHECK (kind IN
    ('changedetection', 'firecrawl', 'standard_webhooks', 'github', 'stripe', 'generic_hmac', 'token')),
  CONSTRAINT sources_environment_shape CHECK (environment ~ '^[A-Za-z0-9._-]+$'),
  CONSTRAINT sources_secret_not_empty CHECK (octet_length(secret) > 0 OR deleted_at IS NOT NULL),
  CONSTRAINT sources_verification_is_an_object CHECK (jsonb_typeof(verification) = 'object'),
  CONSTRAINT sources_event_types_is_an_object CHECK (jsonb_typeof(event_types) = 'object'),
  CONSTRAINT sources_ip_allowlist_size CHECK (cardinality(ip_allowlist) BETWEEN 1 AND 100),
  CONSTRAINT sources_max_body_bytes_range CHECK (max_body_bytes BETWEEN 1 AND 5242880),
  CONSTRAINT sources_replay_window_range CHECK (replay_window_seconds BETWEEN 1 AND 86400),
  CONSTRAINT sources_rescrape_is_an_object CHECK (jsonb_typeof(rescrape) = 'object'),
  CONSTRAINT sources_version_range CHECK (version >= 1)
) WITH (fillfactor = 70);
COMMENT ON TABLE webhook.sources IS 'Inbound senders: who may post to /in/{id}, and what becomes of it';
COMMENT ON COLUMN webhook.sources.secret IS 'Encrypted: what the sender signs with, or the token that it shows';
COMMENT ON COLUMN webhook.sources.verification IS
  'How a generic_hmac source signs and a token source shows its token: header, algorithm, encoding, prefix';
COMMENT ON COLUMN webhook.sources.event_types IS
  'What the sender calls it, and the type of the event that it becomes; "*" is for what is not named';
COMMENT ON COLUMN webhook.sources.rescrape IS 'When what changed is scraped again; null for never';
COMMENT ON COLUMN webhook.sources.credentials IS 'Encrypted JSON: the key to Firecrawl''s API';
COMMENT ON COLUMN webhook.sources.received_at IS 'About when something verified last came, within a minute';
COMMENT ON COLUMN webhook.sources.version IS
  'Goes up by one whenever the configuration changes: the source''s ETag';
COMMENT ON COLUMN webhook.sources.deleted_at IS 'Deleted sources stay as parents of what they sent';
CREATE INDEX sources_by_project ON webhook.sources (project_id, id) WHERE deleted_at IS NULL;
CREATE INDEX sources_by_application ON webhook.sources (application_id, id)
  WHERE deleted_at IS NULL AND application_id IS NOT NULL;

CREATE TABLE webhook.source_expiring_secrets (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  source_id uuid NOT NULL REFERENCES webhook.sources (id) ON DELETE CASCADE,
  secret bytea NOT NULL,
  expires_at timestamptz NOT NULL,
  created_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT source_expiring_secrets_secret_not_empty CHECK (octet_length(secret) > 0)
);
COMMENT ON TABLE webhook.source_expiring_secrets IS
  'Secrets that were rotated out and are still taken beside the source''s own until they expire';
CREATE INDEX source_expiring_secrets_by_source ON webhook.source_expiring_secrets (source_id, expires_at);

CREATE TABLE webhook.change_events (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  source_id uuid NOT NULL,
  application_id uuid,
  event_id uuid NOT NULL,
  watch_id varchar(255) NOT NULL,
  watch_url text NOT NULL,
  detected_at timestamptz NOT NULL,
  diff_summary text,
  snapshot_url text,
  metadata jsonb NOT NULL DEFAULT '{}',
  created_at timestamptz NOT NULL DEFAULT now(),
  rescrape_status text,
  rescrape_job_id varchar(255),
  rescrape_token integer NOT NULL DEFAULT 1,
  rescrape_waits boolean NOT NULL DEFAULT false,
  rescrape_attempts smallint NOT NULL DEFAULT 0,
  rescrape_error text,
  rescrape_sweep_at timestamptz,
  rescrape_started_at timestamptz,
  rescrape_finished_at timestamptz,
  indexed_at timestamptz,
  document_key varchar(1024),
  document_bytes bigint,
  document_event_id uuid,
  CONSTRAINT change_events_source_fkey FOREIGN KEY (project_id, source_id)
    REFERENCES webhook.sources (project_id, id) ON DELETE CASCADE,
  CONSTRAINT change_events_watch_key UNIQUE (watch_id, detected_at, source_id),
  CONSTRAINT change_events_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT change_events_watch_not_empty CHECK (watch_id <> '' AND watch_url <> ''),
  CONSTRAINT change_events_metadata_is_an_object CHECK (jsonb_typeof(metadata) = 'object'),
  CONSTRAINT change_events_rescrape_status_known
    CHECK (rescrape_status IN ('queued', 'in_progress', 'completed', 'failed')),
  CONSTRAINT change_events_rescrape_counts_range CHECK (rescrape_attempts >= 0 AND rescrape_token >= 1),
  CONSTRAINT change_events_unfinished_is_swept
    CHECK ((rescrape_status IN ('queued', 'in_progress')) IS TRUE = (rescrape_sweep_at IS NOT NULL)),
  CONSTRAINT change_events_waiting_is_queued CHECK (NOT rescrape_waits OR (rescrape_status = 'queued') IS TRUE),
  CONSTRAINT change_events_failure_has_error
    CHECK ((rescrape_status = 'failed') IS NOT TRUE OR rescrape_error IS NOT NULL),
  CONSTRAINT change_events_document_whole CHECK ((document_key IS NULL) = (document_bytes IS NULL)),
  CONSTRAINT change_events_document_bytes_range CHECK (document_bytes >= 0)
) WITH (fillfactor = 70);
COMMENT ON TABLE webhook.change_events IS 'Changes that changedetection.io reported, with their rescrapes';
COMMENT ON COLUMN webhook.change_events.application_id IS 'What its source is bound to';
COMMENT ON COLUMN webhook.change_events.event_id IS 'The event that it became; that goes to the archive sooner';
COMMENT ON COLUMN webhook.change_events.rescrape_token IS
  'Goes up by one with every claim and outcome; a queue message with another token is stale';
COMMENT ON COLUMN webhook.change_events.rescrape_waits IS
  'It found no room in its source, where the next that ends wakes it';
COMMENT ON COLUMN webhook.change_events.rescrape_sweep_at IS
  'When dispatch looks at the rescrape, were its message or its function lost';
COMMENT ON COLUMN webhook.change_events.indexed_at IS 'When the document of its rescrape was stored';
COMMENT ON COLUMN webhook.change_events.document_event_id IS 'The event that told of the document';
CREATE INDEX change_events_by_project ON webhook.change_events (project_id, id);
CREATE INDEX change_events_by_application ON webhook.change_events (application_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX change_events_by_source ON webhook.change_events (source_id, id);
CREATE INDEX change_events_by_watch ON webhook.change_events (project_id, watch_id, id);
CREATE INDEX change_events_by_application_watch ON webhook.change_events (application_id, watch_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX change_events_by_event ON webhook.change_events (event_id);
CREATE INDEX change_events_rescrapes ON webhook.change_events (project_id, rescrape_status, id)
  WHERE rescrape_status IS NOT NULL;
CREATE INDEX change_events_waiting ON webhook.change_events (source_id, id) WHERE rescrape_waits;
CREATE INDEX change_events_sweep ON webhook.change_events (rescrape_sweep_at) WHERE rescrape_sweep_at IS NOT NULL;

CREATE TABLE webhook.crawl_sessions (
  id uuid DEFAULT uuidv7() PRIMARY KEY,
  project_id uuid NOT NULL REFERENCES webhook.projects (id) ON DELETE CASCADE,
  source_id uuid NOT NULL,
  application_id uuid,
  job_id varchar(255) NOT NULL,
  kind text NOT NULL,
  status text NOT NULL DEFAULT 'in_progress',
  base_url text,
  success boolean,
  error text,
  started_at timestamptz,
  first_page_at timestamptz,
  last_page_at timestamptz,
  completed_at timestamptz,
  duration_ms bigint,
  pages_total integer,
  pages_received integer NOT NULL DEFAULT 0,
  pages_succeeded integer NOT NULL DEFAULT 0,
  pages_failed integer NOT NULL DEFAULT 0,
  bytes_received bigint NOT NULL DEFAULT 0,
  credits_used integer NOT NULL DEFAULT 0,
  metadata jsonb NOT NULL DEFAULT '{}',
  received_at timestamptz NOT NULL DEFAULT now(),
  created_at timestamptz NOT NULL DEFAULT now(),
  updated_at timestamptz NOT NULL DEFAULT now(),
  CONSTRAINT crawl_sessions_source_fkey FOREIGN KEY (project_id, source_id)
    REFERENCES webhook.sources (project_id, id) ON DELETE CASCADE,
  CONSTRAINT crawl_sessions_job_key UNIQUE (job_id, source_id),
  CONSTRAINT crawl_sessions_id_is_uuidv7 CHECK (uuid_extract_version(id) = 7),
  CONSTRAINT crawl_sessions_job_not_empty CHECK (job_id <> ''),
  CONSTRAINT crawl_sessions_kind_known CHECK (kind IN ('crawl', 'batch_scrape')),
  CONSTRAINT crawl_sessions_status_known CHECK (status IN ('in_progress', 'completed', 'failed', 'cancelled')),
  CONSTRAINT crawl_sessions_ended_has_time CHECK ((status = 'in_progress') = (completed_at IS NULL)),
  CONSTRAINT crawl_sessions_counts_range CHECK (pages_total >= 0 AND pages_received >= 0 AND pages_succeeded >= 0
    AND pages_failed >= 0 AND bytes_received >= 0 AND credits_used >= 0 AND duration_ms >= 0),
  CONSTRAINT crawl_sessions_pages_add_up CHECK (pages_received = pages_succeeded + pages_failed),
  CONSTRAINT crawl_sessions_metadata_is_an_object CHECK (jsonb_typeof(metadata) = 'object')
) WITH (fillfactor = 50);
COMMENT ON TABLE webhook.crawl_sessions IS 'The lives and totals of Firecrawl''s jobs, as its webhooks tell them';
COMMENT ON COLUMN webhook.crawl_sessions.application_id IS 'What its source is bound to';
COMMENT ON COLUMN webhook.crawl_sessions.pages_total IS 'What the job itself says there were';
COMMENT ON COLUMN webhook.crawl_sessions.pages_received IS 'Pages that came, each counted once';
COMMENT ON COLUMN webhook.crawl_sessions.bytes_received IS 'Of the bodies that its pages came in';
COMMENT ON COLUMN webhook.crawl_sessions.received_at IS 'When anything about it came last';
CREATE INDEX crawl_sessions_by_project ON webhook.crawl_sessions (project_id, id);
CREATE INDEX crawl_sessions_by_application ON webhook.crawl_sessions (application_id, id)
  WHERE application_id IS NOT NULL;
CREATE INDEX crawl_sessions_by_source ON webhook.crawl_sessions (source_id, id);

CREATE TABLE webhook.crawl_pages (
  session_id uuid NOT NULL REFERENCES webhook.crawl_sessions (id) ON DELETE CASCADE,
  page_hash bytea NOT NULL,
  CONSTRAINT crawl_pages_pkey PRIMARY KEY (session_id, page_hash),
  CONSTRAINT crawl_pages_hash_length CHECK (octet_length(page_hash) = 16)
);
COMMENT ON TABLE webhook.crawl_pages IS 'Which pages of a crawl came, so that each is counted once'
"""
GRANTS = """
DO $$ BEGIN
  IF to_regrole('hookline_app') IS NOT NULL THEN
    GRANT SELECT, INSERT, UPDATE, DELETE ON webhook.sources, webhook.source_expiring_secrets,
      webhook.change_events, webhook.crawl_sessions, webhook.crawl_pages TO hookline_app;
  END IF;
END $$
"""
DOWN = """
DROP TABLE webhook.crawl_pages;
DROP TABLE webhook.crawl_sessions;
DROP TABLE webhook.change_events;
DROP TABLE webhook.source_expiring_secrets;
DROP TABLE webhook.sources;
ALTER TABLE webhook.webhook_event_ids DROP COLUMN received
"""


def upgrade() -> None:
    run(UP)
    op.execute(GRANTS)


def downgrade() -> None:
    refuse_to_lose("forgets all sources and what they sent", "FROM webhook.sources")
    run(DOWN)
