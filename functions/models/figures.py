"""How the database is doing, and when what runs by the clock last ran."""

from sqlalchemy import Boolean, Column, String, Table, Text
from sqlalchemy.dialects.postgresql import JSONB

from functions.models.base import TIME, metadata

heartbeats = Table(
    "heartbeats",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("succeeded_at", TIME),
    Column("counts", JSONB, nullable=False, server_default="{}", comment="What the last run that succeeded did"),
    Column("failed_at", TIME, comment="When it last failed, which may be before it last succeeded"),
    Column("error", Text),
    comment="When what runs by the clock last ran: dispatch, and each job of maintain",
)

reports = Table(
    "reports",
    metadata,
    Column("made_at", TIME, primary_key=True),
    Column("hourly", Boolean, nullable=False, comment="The first of its hour, which is kept for longer"),
    Column("figures", JSONB, nullable=False),
    comment="How the database was doing, every five minutes",
)
