"""What became of deliveries, counted by webhook, application and project (D10)."""

from sqlalchemy import (
    BigInteger,
    Column,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
)
from sqlalchemy.dialects.postgresql import ARRAY

from functions.models.base import KEY, TIME, metadata
from functions.models.configuration import applications, projects, webhooks


def _count(name: str, comment: str | None = None) -> Column[int]:
    return Column(name, Integer, nullable=False, server_default="0", comment=comment)


delivery_statistics = Table(
    "delivery_statistics",
    metadata,
    Column(
        "subject_id",
        KEY,
        comment="Whose figures: the webhook's, the application's, or those of the whole project",
    ),
    Column("project_id", KEY, ForeignKey(projects.c.id, ondelete="CASCADE"), nullable=False),
    Column("webhook_id", KEY),
    Column("application_id", KEY),
    Column("bucket", TIME, comment="When it begins; an attempt counts when it ended"),
    Column(
        "resolution",
        SmallInteger,
        comment="Minutes that the bucket lasts: 5, 60 or 1440",
    ),
    _count("succeeded", "Attempts by outcome, this one and those up to other: every attempt is in one of them"),
    _count("redirected"),
    _count("rejected"),
    _count("throttled"),
    _count("server_error"),
    _count("timed_out"),
    _count("dns_error"),
    _count("connection_error"),
    _count("tls_error"),
    _count("invalid_response"),
    _count("refused"),
    _count("other"),
    _count("first_attempts"),
    _count("first_succeeded"),
    _count("deliveries_delivered"),
    _count("deliveries_failed", "Deliveries that left a dead letter"),
    Column("time_total_ms", BigInteger, nullable=False, server_default="0"),
    _count("time_longest_ms"),
    Column(
        "time_buckets",
        ARRAY(SmallInteger),
        nullable=False,
        server_default="{}",
        comment="Numbers of the logarithmic buckets of response times that have any "
        "(functions/domain/log_buckets.py)",
    ),
    Column(
        "time_counts",
        ARRAY(Integer),
        nullable=False,
        server_default="{}",
        comment="How many response times are in each of them",
    ),
    PrimaryKeyConstraint("subject_id", "resolution", "bucket"),
    ForeignKeyConstraint(
        ["project_id", "webhook_id"],
        [webhooks.c.project_id, webhooks.c.id],
        name="delivery_statistics_webhook_fkey",
        ondelete="CASCADE",
    ),
    ForeignKeyConstraint(
        ["project_id", "application_id"],
        [applications.c.project_id, applications.c.id],
        name="delivery_statistics_application_fkey",
        ondelete="CASCADE",
    ),
    Index("delivery_statistics_by_bucket", "resolution", "bucket"),
    comment="Attempts and what they came to, counted in buckets of time, for each webhook, application and "
    "project",
)

endpoint_rankings = Table(
    "endpoint_rankings",
    metadata,
    Column("project_id", KEY, primary_key=True),
    Column("window_hours", SmallInteger, primary_key=True, autoincrement=False),
    Column("webhook_id", KEY, primary_key=True),
    Column("attempts", BigInteger, nullable=False),
    Column("succeeded", BigInteger, nullable=False),
    ForeignKeyConstraint(
        ["project_id", "webhook_id"],
        [webhooks.c.project_id, webhooks.c.id],
        name="endpoint_rankings_webhook_fkey",
        ondelete="CASCADE",
    ),
    comment="By what endpoints are sorted, as of a few minutes ago: which had attempts in the last hours, "
    "and how many",
)

statistics_progress = Table(
    "statistics_progress",
    metadata,
    Column("name", String(32), primary_key=True),
    Column(
        "position",
        KEY,
        comment="Attempts and dead letters with a smaller key are counted, each once; the others are not",
    ),
    Column("until", TIME, nullable=False, comment="What ended before that is counted, or ranked"),
    comment="How far the statistics are",
)
