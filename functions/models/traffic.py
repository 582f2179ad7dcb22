"""What happens: events, deliveries, attempts (partitioned by their UUIDv7 key) and dead letters."""

from sqlalchemy import (
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import INET, JSONB

from functions.models.base import KEY, TIME, created, key, metadata
from functions.models.configuration import api_keys, applications, projects, webhooks

webhook_events = Table(
    "webhook_events",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id), nullable=False),
    Column("external_id", String(255)),
    Column("type", String(255), nullable=False),
    Column("data", JSONB),
    Column("occurred_at", TIME),
    Column("correlation_id", String(128), nullable=False),
    Column("webhooks_matched", Integer, nullable=False, server_default="0"),
    created(),
    Column("application_id", KEY),
    Column("environment", String(64)),
    Column("expunged_at", TIME, comment="When the payload was erased on request; the rest stays"),
    ForeignKeyConstraint(
        ["project_id", "application_id"],
        [applications.c.project_id, applications.c.id],
        name="webhook_events_application_fkey",
    ),
    Index("webhook_events_by_project", "project_id", "id"),
    Index("webhook_events_by_type", "project_id", "type", "id"),
    postgresql_partition_by="RANGE (id)",
)
Index(
    "webhook_events_by_application",
    webhook_events.c.application_id,
    webhook_events.c.id,
    postgresql_where=webhook_events.c.application_id.is_not(None),
)

webhook_event_ids = Table(
    "webhook_event_ids",
    metadata,
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), primary_key=True),
    Column("external_id", String(255), primary_key=True),
    Column("event_id", KEY, nullable=False),
    Column(
        "received",
        JSONB,
        comment="Of an event that came through a source: which one, and the headers of the request that are kept",
    ),
    comment="The callers' own event ids, unique per project over all partitions of webhook_events",
)

webhook_deliveries = Table(
    "webhook_deliveries",
    metadata,
    key(),
    Column("project_id", KEY, nullable=False),
    Column("webhook_id", KEY, nullable=False),
    Column("event_id", KEY, nullable=False),
    Column("event_type", String(255), nullable=False),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("attempts", SmallInteger, nullable=False, server_default="0"),
    Column("max_attempts", SmallInteger, nullable=False, server_default="6"),
    Column(
        "token",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one whenever the delivery is claimed; a queue message with another token is stale",
    ),
    Column("scheduled_at", TIME, comment="When the next attempt is due"),
    Column(
        "sweep_at",
        TIME,
        comment="When dispatch looks at the row, were its queue message lost; "
        "NULL when nothing is to be done any more",
    ),
    Column("lease_expires_at", TIME),
    Column("last_attempt_at", TIME),
    Column("last_response_status", SmallInteger),
    Column("last_error_code", String(64)),
    Column("last_error_message", Text),
    Column("delivered_at", TIME),
    created(),
    Column("application_id", KEY, comment="What its webhook is bound to"),
    Column("failed_at", TIME, comment="Set while the delivery is failed"),
    ForeignKeyConstraint(
        ["project_id", "webhook_id"],
        [webhooks.c.project_id, webhooks.c.id],
        name="webhook_deliveries_webhook_fkey",
    ),
    Index("webhook_deliveries_by_project", "project_id", "id"),
    Index("webhook_deliveries_by_webhook", "webhook_id", "id"),
    Index("webhook_deliveries_by_event", "event_id", "id"),
    Index("webhook_deliveries_by_type", "project_id", "event_type", "id"),
    postgresql_partition_by="RANGE (id)",
)
Index(
    "webhook_deliveries_sweep",
    webhook_deliveries.c.sweep_at,
    postgresql_where=webhook_deliveries.c.sweep_at.is_not(None),
)
Index(
    "webhook_deliveries_by_application",
    webhook_deliveries.c.application_id,
    webhook_deliveries.c.id,
    postgresql_where=webhook_deliveries.c.application_id.is_not(None),
)
Index(
    "webhook_deliveries_unfinished",
    webhook_deliveries.c.project_id,
    webhook_deliveries.c.id,
    postgresql_where=webhook_deliveries.c.sweep_at.is_not(None),
)
Index(
    "webhook_deliveries_unfinished_by_webhook",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.id,
    postgresql_where=webhook_deliveries.c.sweep_at.is_not(None),
)
Index(
    "webhook_deliveries_failed",
    webhook_deliveries.c.project_id,
    webhook_deliveries.c.id,
    postgresql_where=webhook_deliveries.c.failed_at.is_not(None),
)
Index(
    "webhook_deliveries_failed_by_webhook",
    webhook_deliveries.c.webhook_id,
    webhook_deliveries.c.id,
    postgresql_where=webhook_deliveries.c.failed_at.is_not(None),
)

webhook_delivery_attempts = Table(
    "webhook_delivery_attempts",
    metadata,
    key(),
    Column("project_id", KEY, nullable=False),
    Column("delivery_id", KEY, nullable=False),
    Column("attempt_number", SmallInteger, nullable=False),
    Column("request_url", String(2048), nullable=False),
    Column("request_headers", JSONB, nullable=False),
    Column("request_sent_at", TIME, nullable=False),
    Column("response_status", SmallInteger),
    Column("response_headers", JSONB),
    Column("response_body", Text),
    Column("response_time_ms", Integer),
    Column("remote_address", INET),
    Column("error_code", String(64)),
    Column("error_message", Text),
    Column("expunged_at", TIME),
    Index("webhook_delivery_attempts_by_delivery", "delivery_id"),
    postgresql_partition_by="RANGE (id)",
)

webhook_dlq = Table(
    "webhook_dlq",
    metadata,
    key(),
    Column("project_id", KEY, nullable=False),
    Column("webhook_id", KEY, nullable=False),
    Column("event_id", KEY, nullable=False),
    Column("delivery_id", KEY, nullable=False),
    Column("reason", String(64), nullable=False),
    Column("attempts", SmallInteger, nullable=False),
    Column("last_error_code", String(64)),
    Column("last_error_message", Text),
    Column("last_response_status", SmallInteger),
    Column("status", Text, nullable=False, server_default="pending"),
    Column("resolved_at", TIME),
    Column("resolved_by", String(255)),
    Column("notes", Text),
    Column(
        "token",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one whenever the queue message is sent; a message with another token is stale",
    ),
    Column(
        "queue_message_id",
        String(100),
        comment="The message that is on its way to the dead-letter queue; "
        "another message id is that message redriven",
    ),
    Column("sweep_at", TIME, comment="When dispatch sends the message again, were it lost"),
    created(),
    Column("application_id", KEY),
    Column("event_type", String(255)),
    Column("updated_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    ForeignKeyConstraint(
        ["project_id", "webhook_id"], [webhooks.c.project_id, webhooks.c.id], name="webhook_dlq_webhook_fkey"
    ),
    Index("webhook_dlq_by_project", "project_id", "id"),
    Index("webhook_dlq_by_webhook", "webhook_id", "id"),
    Index("webhook_dlq_by_delivery", "delivery_id"),
)
Index(
    "webhook_dlq_by_application",
    webhook_dlq.c.application_id,
    webhook_dlq.c.id,
    postgresql_where=webhook_dlq.c.application_id.is_not(None),
)
Index(
    "webhook_dlq_pending",
    webhook_dlq.c.project_id,
    webhook_dlq.c.id,
    postgresql_where=webhook_dlq.c.status == "pending",
)
Index(
    "webhook_dlq_pending_delivery",
    webhook_dlq.c.delivery_id,
    unique=True,
    postgresql_where=webhook_dlq.c.status == "pending",
)
Index(
    "webhook_dlq_resolved",
    webhook_dlq.c.resolved_at,
    postgresql_where=webhook_dlq.c.resolved_at.is_not(None),
)
Index("webhook_dlq_sweep", webhook_dlq.c.sweep_at, postgresql_where=webhook_dlq.c.sweep_at.is_not(None))
