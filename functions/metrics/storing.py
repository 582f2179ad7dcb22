"""Rows into the database: many a statement, each once, and one that it does not take keeps no other back."""

import json
from collections.abc import Sequence
from typing import Any, NamedTuple

from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import again, sqlstate, transaction
from functions.statements import named
from functions.telemetry import logger

AT_ONCE = 500  # rows a statement: 150 KB of JSON, 10 ms
ABOUT_ROWS = {"22", "23"}  # classes of SQLSTATE: data exceptions, broken constraints

STATEMENTS = {
    "requests": named(
        "metrics.store_requests",
        text("""
INSERT INTO webhook.request_metrics (id, timestamp, method, path, status_code, duration_ms, request_id, client_ip,
  user_agent, project_id)
SELECT id, timestamp, method, path, status_code, duration_ms, request_id, client_ip, user_agent, project_id
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, timestamp timestamptz, method text, path text,
  status_code smallint, duration_ms double precision, request_id text, client_ip inet, user_agent text,
  project_id uuid)
ON CONFLICT DO NOTHING
"""),
    ),
    "operations": named(
        "metrics.store_operations",
        text("""
INSERT INTO webhook.operation_metrics (id, timestamp, operation_type, operation_name, duration_ms, success,
  error_message, request_id, job_id, document_url, project_id, extra_metadata)
SELECT id, timestamp, operation_type, operation_name, duration_ms, success, error_message, request_id, job_id,
  document_url, project_id, extra_metadata
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS r (id uuid, timestamp timestamptz, operation_type text,
  operation_name text, duration_ms double precision, success boolean, error_message text, request_id text,
  job_id text, document_url text, project_id uuid, extra_metadata jsonb)
ON CONFLICT DO NOTHING
"""),
    ),
}


class Done(NamedTuple):
    stored: int = 0
    known: int = 0  # by their keys: the line came twice
    refused: int = 0


def store(kind: str, rows: Sequence[dict[str, Any]]) -> Done:
    """Store the rows, in the order of their keys. Raises sqlalchemy.exc.DBAPIError for what is no row's fault."""
    done = Done()
    for start in range(0, len(rows), AT_ONCE):
        batch = _batch(kind, rows[start : start + AT_ONCE])
        done = Done(*(one + more for one, more in zip(done, batch, strict=True)))
    return done


def _batch(kind: str, rows: Sequence[dict[str, Any]]) -> Done:
    """One transaction. Where a row is refused for what it has the halves are tried, until it stands alone."""

    def insert() -> int:
        with transaction() as connection:
            statement = STATEMENTS[kind]
            return connection.execute(statement, {"rows": json.dumps(rows)}).rowcount

    try:
        stored = again(insert)
    except DBAPIError as error:
        if sqlstate(error)[:2] not in ABOUT_ROWS:
            raise
        if len(rows) == 1:
            logger.error("a metric is refused", kind=kind, error=str(error.orig)[:200])
            return Done(refused=1)
        middle = len(rows) // 2
        halves = _batch(kind, rows[:middle]), _batch(kind, rows[middle:])
        return Done(*(one + more for one, more in zip(*halves, strict=True)))
    return Done(stored, len(rows) - stored)
