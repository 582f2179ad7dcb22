"""Hookline's own metrics: one row for each request, and one for each timed operation."""

from sqlalchemy import Boolean, Column, Double, Index, SmallInteger, String, Table, Text
from sqlalchemy.dialects.postgresql import INET, JSONB

from functions.models.base import KEY, TIME, created, key, metadata

request_metrics = Table(
    "request_metrics",
    metadata,
    key(),
    Column("timestamp", TIME, nullable=False),
    Column("method", String(10), nullable=False),
    Column(
        "path",
        String(500),
        nullable=False,
        comment="The route, such as /v1/events/{event_id}: ids are not told apart",
    ),
    Column("status_code", SmallInteger, nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("request_id", String(100), nullable=False),
    Column("client_ip", INET),
    Column("user_agent", String(500)),
    Column("project_id", KEY),
    Column("extra_metadata", JSONB),
    created(),
    Index("request_metrics_by_path", "path", "id"),
    Index("request_metrics_by_request", "request_id", "id"),
    comment="One row for each request to the API",
    postgresql_partition_by="RANGE (id)",
)
requests = request_metrics.c
Index(
    "request_metrics_by_project",
    requests.project_id,
    requests.id,
    postgresql_where=requests.project_id.is_not(None),
)
Index("request_metrics_failed", requests.id, postgresql_where=requests.status_code >= 500)

operation_metrics = Table(
    "operation_metrics",
    metadata,
    key(),
    Column("timestamp", TIME, nullable=False),
    Column("operation_type", String(50), nullable=False),
    Column("operation_name", String(100), nullable=False),
    Column("duration_ms", Double, nullable=False),
    Column("success", Boolean, nullable=False),
    Column("error_message", Text),
    Column("request_id", String(100)),
    Column("job_id", String(100)),
    Column("document_url", String(500)),
    Column("project_id", KEY),
    Column("extra_metadata", JSONB),
    created(),
    Index("operation_metrics_by_type", "operation_type", "id"),
    Index("operation_metrics_by_name", "operation_name", "id"),
    comment="One row for each timed operation: ingest, claim, send, a job, a query",
    postgresql_partition_by="RANGE (id)",
)
operations = operation_metrics.c
for name, column in (
    ("project", operations.project_id),
    ("request", operations.request_id),
    ("job", operations.job_id),
):
    Index(f"operation_metrics_by_{name}", column, operations.id, postgresql_where=column.is_not(None))
Index("operation_metrics_failed", operations.id, postgresql_where=~operations.success)
