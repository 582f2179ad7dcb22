"""The tables of the schema `webhook`, declared once: Alembic compares them, the API's queries are built on them.

They are SQLAlchemy Core tables and not ORM classes: importing the ORM costs every cold start more than the
API's reads would gain by it (docs/decisions/core-not-orm.md).
"""

from functions.models.base import metadata
from functions.models.configuration import (
    api_keys,
    applications,
    idempotency_keys,
    projects,
    webhook_event_type_versions,
    webhook_event_types,
    webhook_expiring_secrets,
    webhook_health,
    webhook_subscriptions,
    webhooks,
)
from functions.models.figures import heartbeats, reports
from functions.models.inbound import (
    change_events,
    crawl_pages,
    crawl_sessions,
    source_expiring_secrets,
    sources,
)
from functions.models.lifecycle import archive_chunks, archives
from functions.models.metrics import operation_metrics, request_metrics
from functions.models.operations import audit_log, jobs
from functions.models.statistics import delivery_statistics, endpoint_rankings, statistics_progress
from functions.models.traffic import (
    webhook_deliveries,
    webhook_delivery_attempts,
    webhook_dlq,
    webhook_event_ids,
    webhook_events,
)

__all__ = [
    "api_keys",
    "applications",
    "archive_chunks",
    "archives",
    "audit_log",
    "change_events",
    "crawl_pages",
    "crawl_sessions",
    "delivery_statistics",
    "endpoint_rankings",
    "heartbeats",
    "idempotency_keys",
    "jobs",
    "metadata",
    "operation_metrics",
    "projects",
    "reports",
    "request_metrics",
    "source_expiring_secrets",
    "sources",
    "statistics_progress",
    "webhook_deliveries",
    "webhook_delivery_attempts",
    "webhook_dlq",
    "webhook_event_ids",
    "webhook_event_type_versions",
    "webhook_event_types",
    "webhook_events",
    "webhook_expiring_secrets",
    "webhook_health",
    "webhook_subscriptions",
    "webhooks",
]
