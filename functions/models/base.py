"""What every table shares: the schema, the key, the timestamps."""

from typing import Any

from sqlalchemy import Column, DateTime, MetaData, text
from sqlalchemy.dialects.postgresql import UUID

metadata = MetaData(schema="webhook")

TIME = DateTime(timezone=True)
KEY = UUID(as_uuid=False)


def key() -> Column[str]:
    """A UUIDv7 primary key (C2): made by the application where it needs it first, else by the database."""
    return Column("id", KEY, primary_key=True, server_default=text("uuidv7()"))


def created() -> Column[Any]:
    return Column("created_at", TIME, nullable=False, server_default=text("now()"))


def updated() -> Column[Any]:
    return Column("updated_at", TIME, nullable=False, server_default=text("now()"))
