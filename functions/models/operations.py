"""What is done with the rest: background jobs, and the log of every change."""

from sqlalchemy import Column, ForeignKey, Index, Integer, SmallInteger, String, Table, Text
from sqlalchemy.dialects.postgresql import INET, JSONB

from functions.models.base import KEY, TIME, created, key, metadata
from functions.models.configuration import api_keys, projects

jobs = Table(
    "jobs",
    metadata,
    key(),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("application_id", KEY),
    Column("kind", Text, nullable=False),
    Column("parameters", JSONB, nullable=False),
    Column("status", Text, nullable=False, server_default="queued"),
    Column("total", Integer, nullable=False),
    Column("processed", Integer, nullable=False, server_default="0", comment="Rows looked at"),
    Column(
        "changed",
        Integer,
        nullable=False,
        server_default="0",
        comment="Rows that were changed or made; others had moved on meanwhile",
    ),
    Column("position", KEY, comment="The key up to which rows were looked at"),
    Column(
        "token",
        Integer,
        nullable=False,
        server_default="1",
        comment="Goes up by one with every batch; a queue message with another token is stale",
    ),
    Column("sweep_at", TIME, comment="When dispatch looks at the job, were its queue message lost"),
    Column(
        "failures",
        SmallInteger,
        nullable=False,
        server_default="0",
        comment="Batches in a row that failed; 0 after one that did not",
    ),
    Column("error", String(255)),
    Column("correlation_id", String(128), nullable=False),
    created(),
    Column("created_by", KEY, ForeignKey(api_keys.c.id, ondelete="SET NULL")),
    Column("started_at", TIME),
    Column("finished_at", TIME),
    Index("jobs_by_project", "project_id", "id"),
)
Index("jobs_sweep", jobs.c.sweep_at, postgresql_where=jobs.c.sweep_at.is_not(None))

audit_log = Table(
    "audit_log",
    metadata,
    key(),
    Column("project_id", KEY, nullable=False),
    Column("application_id", KEY),
    Column("event", String(64), nullable=False, comment="What was done, such as webhook.updated"),
    Column(
        "level",
        Text,
        nullable=False,
        server_default="info",
        comment="warning: something was taken away, shown or sent again",
    ),
    Column("actor_type", Text, nullable=False),
    Column("actor_id", KEY),
    Column("resource_type", String(64), nullable=False),
    Column("resource_id", String(255), nullable=False),
    Column("before", JSONB),
    Column("after", JSONB),
    Column("correlation_id", String(128), nullable=False),
    Column("request_id", String(128), nullable=False),
    Column("source_ip", INET),
    created(),
    Index("audit_log_by_project", "project_id", "id"),
    Index("audit_log_by_event", "project_id", "event", "id"),
    Index("audit_log_by_type", "project_id", "resource_type", "id"),
    Index("audit_log_by_resource", "project_id", "resource_id", "id"),
    Index("audit_log_by_actor", "project_id", "actor_id", "id"),
    Index("audit_log_by_correlation", "project_id", "correlation_id", "id"),
    postgresql_partition_by="RANGE (id)",
)
Index(
    "audit_log_by_application",
    audit_log.c.application_id,
    audit_log.c.id,
    postgresql_where=audit_log.c.application_id.is_not(None),
)
Index(
    "audit_log_warnings",
    audit_log.c.project_id,
    audit_log.c.id,
    postgresql_where=audit_log.c.level == "warning",
)
