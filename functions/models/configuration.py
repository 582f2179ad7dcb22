"""What people configure: projects, applications and their keys, webhooks and what they subscribe to."""

from sqlalchemy import (
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
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, CIDR, JSONB, JSONPATH

from functions.models.base import KEY, TIME, created, key, metadata, updated

projects = Table(
    "projects",
    metadata,
    key(),
    Column("name", String(255), nullable=False),
    Column(
        "data_key",
        LargeBinary,
        nullable=False,
        comment="Data key encrypted by KMS; encrypts the project's secrets",
    ),
    created(),
    updated(),
    Column("validation", Text, nullable=False, server_default="off"),
    Column(
        "catalog_version",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one whenever the project's event types or its validation change; "
        "what caches them compares it",
    ),
    Column("version", Integer, nullable=False, server_default="1"),
    Column(
        "retention",
        JSONB,
        comment="Days this project keeps rows for, where that is less than the deployment does: "
        '{"events": 7, "deliveries": 30}',
    ),
)

api_keys = Table(
    "api_keys",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("key_hash", LargeBinary, nullable=False),
    Column("scopes", ARRAY(Text), nullable=False),
    Column("expires_at", TIME),
    Column("revoked_at", TIME),
    created(),
    Column("application_id", KEY),
    ForeignKeyConstraint(
        ["project_id", "application_id"],
        ["webhook.applications.project_id", "webhook.applications.id"],
        name="api_keys_application_fkey",
        use_alter=True,
    ),
    UniqueConstraint("prefix", name="api_keys_prefix_key"),
    Index("api_keys_by_project", "project_id", "id"),
)

applications = Table(
    "applications",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("uid", String(255), comment="The project's own name for it"),
    Column("name", String(255), nullable=False),
    created(),
    updated(),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("updated_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("deleted_at", TIME, comment="Deleted applications stay as parents of their events"),
    Column("version", Integer, nullable=False, server_default="1"),
    UniqueConstraint("project_id", "id", name="applications_project_key"),
)
Index(
    "applications_uid_key",
    applications.c.project_id,
    applications.c.uid,
    unique=True,
    postgresql_where=applications.c.deleted_at.is_(None),
)
Index(
    "applications_by_name",
    applications.c.project_id,
    func.lower(applications.c.name).label("lower_name"),
    postgresql_ops={"lower_name": "text_pattern_ops"},
    postgresql_where=applications.c.deleted_at.is_(None),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("owner_id", KEY, primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("request_hash", LargeBinary, nullable=False),
    Column("response_status", SmallInteger),
    Column("response_body", Text),
    created(),
    Column("response_version", Integer, comment="The ETag that was answered"),
)

webhook_event_types = Table(
    "webhook_event_types",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("description", Text),
    created(),
    updated(),
    Column("version", Integer, nullable=False, server_default="1"),
    Column("archived_at", TIME),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("updated_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column(
        "schema_version",
        Integer,
        nullable=False,
        server_default="0",
        comment="The version of the schema that events are validated by; 0 while there is none",
    ),
    UniqueConstraint("project_id", "name", name="webhook_event_types_name_key"),
)

webhook_event_type_versions = Table(
    "webhook_event_type_versions",
    metadata,
    Column("event_type_id", KEY, ForeignKey(webhook_event_types.c.id, ondelete="CASCADE"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("schema", JSONB),
    Column("examples", JSONB, nullable=False, server_default="[]"),
    created(),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
)

webhooks = Table(
    "webhooks",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("name", String(255), nullable=False),
    Column("url", String(2048), nullable=False),
    Column("description", Text),
    Column("status", Text, nullable=False, server_default="active"),
    Column("timeout_seconds", SmallInteger, nullable=False, server_default="15"),
    Column("max_attempts", SmallInteger, nullable=False, server_default="6"),
    Column("signing_secret", LargeBinary, nullable=False),
    created(),
    updated(),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("updated_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("deleted_at", TIME, comment="Deleted webhooks stay as parents of their deliveries"),
    Column("application_id", KEY),
    Column("environment", String(64)),
    Column(
        "headers",
        JSONB,
        nullable=False,
        server_default="{}",
        comment="Custom headers; the value of one that is kept with the credentials is null here",
    ),
    Column("auth_type", Text, nullable=False, server_default="none"),
    Column(
        "credentials",
        LargeBinary,
        comment="Encrypted JSON: what authenticates to the endpoint, and the custom headers that look like it",
    ),
    Column("retry_strategy", JSONB, nullable=False, server_default='{"kind": "exponential"}'),
    Column("ip_allowlist", ARRAY(CIDR)),
    Column("rate_limit_requests", Integer),
    Column("rate_limit_per_seconds", Integer),
    Column("ordering", Text, nullable=False, server_default="none"),
    Column("status_reason", String(255)),
    Column("status_changed_at", TIME),
    Column("signing_algorithm", Text, nullable=False, server_default="hmac"),
    Column(
        "version",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one whenever the configuration changes: the webhook's ETag",
    ),
    ForeignKeyConstraint(
        ["project_id", "application_id"],
        [applications.c.project_id, applications.c.id],
        name="webhooks_application_fkey",
    ),
    UniqueConstraint("project_id", "id", name="webhooks_project_key"),
)
Index(
    "webhooks_by_application",
    webhooks.c.application_id,
    postgresql_where=webhooks.c.application_id.is_not(None),
)
Index(
    "webhooks_by_project",
    webhooks.c.project_id,
    webhooks.c.id,
    postgresql_where=webhooks.c.deleted_at.is_(None),
)

Index(
    "webhooks_strict",
    webhooks.c.id,
    postgresql_where=(webhooks.c.ordering == "strict") & webhooks.c.deleted_at.is_(None),
)

webhook_expiring_secrets = Table(
    "webhook_expiring_secrets",
    metadata,
    key(),
    Column("webhook_id", KEY, ForeignKey(webhooks.c.id, ondelete="CASCADE"), nullable=False),
    Column("algorithm", Text, nullable=False),
    Column("secret", LargeBinary, nullable=False),
    Column("expires_at", TIME, nullable=False),
    created(),
    Index("webhook_expiring_secrets_by_webhook", "webhook_id", "expires_at"),
    comment="Signing secrets that were rotated out and still sign beside the webhook's own until they expire",
)

webhook_subscriptions = Table(
    "webhook_subscriptions",
    metadata,
    key(),
    Column("project_id", KEY, nullable=False),
    Column("webhook_id", KEY, nullable=False),
    Column("event_type", String(255), nullable=False),
    Column("enabled", Boolean, nullable=False, server_default=text("true")),
    created(),
    updated(),
    ForeignKeyConstraint(
        ["project_id", "webhook_id"],
        [webhooks.c.project_id, webhooks.c.id],
        name="webhook_subscriptions_webhook_fkey",
        ondelete="CASCADE",
    ),
    Column("filter", JSONB, comment="As people wrote it"),
    Column("filter_path", JSONPATH, comment="The same, compiled: data @@ it is the match"),
    Column(
        "application_id",
        KEY,
        comment="What its webhook is bound to, which never changes: an event looks only among those of its own",
    ),
)
Index(
    "webhook_subscriptions_pattern_key",
    webhook_subscriptions.c.webhook_id,
    webhook_subscriptions.c.event_type,
    func.md5(webhook_subscriptions.c.filter.cast(Text)),
    unique=True,
    postgresql_nulls_not_distinct=True,
)
Index(
    "webhook_subscriptions_matching",
    webhook_subscriptions.c.project_id,
    webhook_subscriptions.c.event_type,
    webhook_subscriptions.c.application_id,
    webhook_subscriptions.c.webhook_id,
    postgresql_where=webhook_subscriptions.c.enabled,
)

webhook_health = Table(
    "webhook_health",
    metadata,
    Column("webhook_id", KEY, ForeignKey(webhooks.c.id, ondelete="CASCADE"), primary_key=True),
    Column(
        "failure_count",
        Integer,
        nullable=False,
        server_default="0",
        comment="Failed attempts in a row; 0 after a success",
    ),
    Column("last_success_at", TIME),
    Column("last_failure_at", TIME),
    Column(
        "strikes",
        Integer,
        nullable=False,
        server_default="0",
        comment="Failures in a row that speak of the endpoint and not of one event; 0 after a success",
    ),
    Column("failing_since", TIME, comment="The first failure after the last success"),
    Column("circuit", Text, nullable=False, server_default="closed"),
    Column("circuit_changed_at", TIME),
    Column(
        "circuit_openings",
        Integer,
        nullable=False,
        server_default="0",
        comment="Times the circuit opened since the last success: each stays open for longer",
    ),
    Column(
        "hold_until",
        TIME,
        comment="Nothing is sent before: the circuit is open, its probe is under way, "
        "or the endpoint sent Retry-After",
    ),
    Column("slow_until", TIME, comment="Goes through the retry queue until then, a few at a time"),
    Column(
        "rate_due_at", TIME, comment="The token bucket of the rate limit as the time at which it is full again"
    ),
    Column("line_until", TIME, comment="When the last of those held back is due"),
)
Index(
    "webhook_health_failing",
    webhook_health.c.failing_since,
    postgresql_where=webhook_health.c.failing_since.is_not(None),
)
