"""When what runs by the clock last ran: dispatch, and each job of maintain."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, bindparam, text
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.exc import DBAPIError

from functions.domain.figures.reading import rows
from functions.domain.figures.waiting import since
from functions.statements import named

DISPATCH = "dispatch"
ERROR_CHARACTERS = 500
# Every job that the clock starts runs once a day at least: what failed before that, and not since, was started by
# hand, or is no job any more.
FORGOTTEN_AFTER = timedelta(hours=26)
SUCCEEDED = named(
    "heartbeats.succeeded",
    text("""
INSERT INTO webhook.heartbeats (name, succeeded_at, counts) VALUES (:name, :at, :counts)
ON CONFLICT (name) DO UPDATE SET succeeded_at = excluded.succeeded_at, counts = excluded.counts
""").bindparams(bindparam("counts", type_=JSONB)),
)
FAILED = named(
    "heartbeats.failed",
    text("""
INSERT INTO webhook.heartbeats (name, failed_at, error) VALUES (:name, :at, :error)
ON CONFLICT (name) DO UPDATE SET failed_at = excluded.failed_at, error = excluded.error
"""),
)
READ = named(
    "heartbeats.read",
    text("SELECT name, succeeded_at, counts, failed_at, error FROM webhook.heartbeats ORDER BY name"),
)


def job(name: str) -> str:
    """What a job of maintain is called here."""
    return f"maintain.{name}"


def succeeded(connection: Connection, name: str, at: datetime, counts: Mapping[str, Any]) -> None:
    connection.execute(SUCCEEDED, {"name": name, "at": at, "counts": dict(counts)})


def failed(connection: Connection, name: str, at: datetime, error: Exception) -> None:
    """Of an error of the database only what the server said: the rest of it has the statement's values."""
    said = error.orig if isinstance(error, DBAPIError) else error
    told = f"{type(error).__name__}: {said}"[:ERROR_CHARACTERS]
    connection.execute(FAILED, {"name": name, "at": at, "error": told})


def read(connection: Connection, now: datetime) -> list[dict[str, Any]]:
    """All of them, each with its age."""
    return [aged(one, now) for one in rows(connection, READ)]


def aged(one: dict[str, Any], now: datetime) -> dict[str, Any]:
    """A row of READ with its age in seconds; `failing` when its last run, of this day, did not succeed."""
    succeeded_at, failed_at = one["succeeded_at"], one["failed_at"]
    lately = failed_at is not None and failed_at > now - FORGOTTEN_AFTER
    failing = lately and (succeeded_at is None or failed_at > succeeded_at)
    age = since(succeeded_at, now) if succeeded_at is not None else None
    return {**one, "age_seconds": age, "failing": failing}
