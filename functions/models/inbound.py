"""What comes in: sources, what changedetection.io reported with its rescrapes, and the crawls of Firecrawl."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, JSONB

from functions.models.base import KEY, TIME, created, key, metadata, updated
from functions.models.configuration import api_keys, applications, projects

sources = Table(
    "sources",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("application_id", KEY),
    Column("environment", String(64)),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    Column("kind", Text, nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    Column(
        "secret",
        LargeBinary,
        nullable=False,
        comment="Encrypted: what the sender signs with, or the token that it shows",
    ),
    Column(
        "verification",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="How a generic_hmac source signs and a token source shows its token: "
        "header, algorithm, encoding, prefix",
    ),
    Column(
        "event_types",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="What the sender calls it, and the type of the event that it becomes; "
        '"*" is for what is not named',
    ),
    Column("ip_allowlist", ARRAY(CIDR)),
    Column("max_body_bytes", Integer, nullable=False, server_default="262144"),
    Column("replay_window_seconds", Integer, nullable=False, server_default="300"),
    Column("rescrape", JSONB, comment="When what changed is scraped again; null for never"),
    Column("credentials", LargeBinary, comment="Encrypted JSON: the key to Firecrawl's API"),
    Column("received_at", TIME, comment="About when something verified last came, within a minute"),
    Column(
        "version",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one whenever the configuration changes: the source's ETag",
    ),
    created(),
    updated(),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("updated_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("deleted_at", TIME, comment="Deleted sources stay as parents of what they sent"),
    ForeignKeyConstraint(
        ["project_id", "application_id"],
        [applications.c.project_id, applications.c.id],
        name="sources_application_fkey",
    ),
    UniqueConstraint("project_id", "id", name="sources_project_key"),
    comment="Inbound senders: who may post to /in/{id}, and what becomes of it",
)
Index("sources_by_project", sources.c.project_id, sources.c.id, postgresql_where=sources.c.deleted_at.is_(None))
Index(
    "sources_by_application",
    sources.c.application_id,
    sources.c.id,
    postgresql_where=sources.c.deleted_at.is_(None) & sources.c.application_id.is_not(None),
)

source_expiring_secrets = Table(
    "source_expiring_secrets",
    metadata,
    key(),
    Column("source_id", KEY, ForeignKey(sources.c.id, ondelete="CASCADE"), nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("expires_at", TIME, nullable=False),
    created(),
    Index("source_expiring_secrets_by_source", "source_id", "expires_at"),
    comment="Secrets that were rotated out and are still taken beside the source's own until they expire",
)

change_events = Table(
    "change_events",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("source_id", KEY, nullable=False),
    Column("application_id", KEY, comment="What its source is bound to"),
    Column(
        "event_id",
        KEY,
        nullable=False,
        comment="The event that it became; that goes to the archive sooner",
    ),
    Column("watch_id", String(255), nullable=False),
    Column("watch_url", Text, nullable=False),
    Column("detected_at", TIME, nullable=False),
    Column("diff_summary", Text),
    Column("snapshot_url", Text),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    created(),
    Column("rescrape_status", Text),
    Column("rescrape_job_id", String(255)),
    Column(
        "rescrape_token",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one with every claim and outcome; a queue message with another token is stale",
    ),
    Column(
        "rescrape_waits",
        Boolean,
        nullable=False,
        server_default=text("false"),
        comment="It found no room in its source, where the next that ends wakes it",
    ),
    Column("rescrape_attempts", SmallInteger, nullable=False, server_default="0"),
    Column("rescrape_error", Text),
    Column(
        "rescrape_sweep_at",
        TIME,
        comment="When dispatch looks at the rescrape, were its message or its function lost",
    ),
    Column("rescrape_started_at", TIME),
    Column("rescrape_finished_at", TIME),
    Column("indexed_at", TIME, comment="When the document of its rescrape was stored"),
    Column("document_key", String(1024)),
    Column("document_bytes", BigInteger),
    Column("document_event_id", KEY, comment="The event that told of the document"),
    ForeignKeyConstraint(
        ["project_id", "source_id"],
        [sources.c.project_id, sources.c.id],
        name="change_events_source_fkey",
        ondelete="CASCADE",
    ),
    UniqueConstraint("watch_id", "detected_at", "source_id", name="change_events_watch_key"),
    Index("change_events_by_project", "project_id", "id"),
    Index("change_events_by_source", "source_id", "id"),
    Index("change_events_by_event", "event_id"),
    Index("change_events_by_watch", "project_id", "watch_id", "id"),
    comment="Changes that changedetection.io reported, with their rescrapes",
)
Index(
    "change_events_by_application",
    change_events.c.application_id,
    change_events.c.id,
    postgresql_where=change_events.c.application_id.is_not(None),
)
Index(
    "change_events_by_application_watch",
    change_events.c.application_id,
    change_events.c.watch_id,
    change_events.c.id,
    postgresql_where=change_events.c.application_id.is_not(None),
)
Index(
    "change_events_rescrapes",
    change_events.c.project_id,
    change_events.c.rescrape_status,
    change_events.c.id,
    postgresql_where=change_events.c.rescrape_status.is_not(None),
)
Index(
    "change_events_waiting",
    change_events.c.source_id,
    change_events.c.id,
    postgresql_where=change_events.c.rescrape_waits,
)
Index(
    "change_events_sweep",
    change_events.c.rescrape_sweep_at,
    postgresql_where=change_events.c.rescrape_sweep_at.is_not(None),
)

crawl_sessions = Table(
    "crawl_sessions",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("source_id", KEY, nullable=False),
    Column("application_id", KEY, comment="What its source is bound to"),
    Column("job_id", String(255), nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False, server_default="in_progress"),
    Column("base_url", Text),
    Column("success", Boolean),
    Column("error", Text),
    Column("started_at", TIME),
    Column("first_page_at", TIME),
    Column("last_page_at", TIME),
    Column("completed_at", TIME),
    Column("duration_ms", BigInteger),
    Column("pages_total", Integer, comment="What the job itself says there were"),
    Column(
        "pages_received", Integer, nullable=False, server_default="0", comment="Pages that came, each counted once"
    ),
    Column("pages_succeeded", Integer, nullable=False, server_default="0"),
    Column("pages_failed", Integer, nullable=False, server_default="0"),
    Column(
        "bytes_received",
        BigInteger,
        nullable=False,
        server_default="0",
        comment="Of the bodies that its pages came in",
    ),
    Column("credits_used", Integer, nullable=False, server_default="0"),
    Column("metadata", JSONB, nullable=False, server_default="{}"),
    Column(
        "received_at",
        TIME,
        nullable=False,
        server_default=text("now()"),
        comment="When anything about it came last",
    ),
    created(),
    updated(),
    ForeignKeyConstraint(
        ["project_id", "source_id"],
        [sources.c.project_id, sources.c.id],
        name="crawl_sessions_source_fkey",
        ondelete="CASCADE",
    ),
    UniqueConstraint("job_id", "source_id", name="crawl_sessions_job_key"),
    Index("crawl_sessions_by_project", "project_id", "id"),
    Index("crawl_sessions_by_source", "source_id", "id"),
    comment="The lives and totals of Firecrawl's jobs, as its webhooks tell them",
)
Index(
    "crawl_sessions_by_application",
    crawl_sessions.c.application_id,
    crawl_sessions.c.id,
    postgresql_where=crawl_sessions.c.application_id.is_not(None),
)

crawl_pages = Table(
    "crawl_pages",
    metadata,
    Column("session_id", KEY, ForeignKey(crawl_sessions.c.id, ondelete="CASCADE"), primary_key=True),
    Column("page_hash", LargeBinary, primary_key=True),
    comment="Which pages of a crawl came, so that each is counted once",
)
