"""What people configure: projects and their keys, webhooks and what they subscribe to."""

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
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

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
    UniqueConstraint("prefix", name="api_keys_prefix_key"),
    Index("api_keys_by_project", "project_id", "id"),
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
    UniqueConstraint("project_id", "name", name="webhook_event_types_name_key"),
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
    UniqueConstraint("project_id", "id", name="webhooks_project_key"),
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
    UniqueConstraint("webhook_id", "event_type", name="webhook_subscriptions_pattern_key"),
)
Index(
    "webhook_subscriptions_matching",
    webhook_subscriptions.c.project_id,
    webhook_subscriptions.c.event_type,
    postgresql_include=["webhook_id"],
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
)
