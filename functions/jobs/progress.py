"""A job's own row: taken for a batch, moved on with it in one transaction, marked when a batch failed."""

import json
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import sqlstate, transaction
from functions.domain.jobs import Batch, BusyError, Job, Status
from functions.domain.outbox import OUTBOX_SECONDS
from functions.jobs.kinds import KINDS
from functions.statements import named

QUERY_CANCELED = "57014"  # by the role's statement_timeout: the statement's own fault, not the server's
BUSY_SECONDS = 1  # until a batch that another job stood in the way of is tried again
FAILED_SECONDS = 5  # until one that failed is
STILL_FAILING_SECONDS = 60  # until one is that failed FAILURES times in a row and cannot be given up
FAILURES = 3  # in a row end a job
GAVE_UP = "three batches in a row failed on our side; what was done before stays done"

# Another that is at work on the row already does what this message asks for, so it is not waited for.
TAKE = named(
    "jobs.take",
    text("""
SELECT json_build_array(id, project_id, application_id, kind, parameters, position, created_by,
  correlation_id)::text
FROM webhook.jobs
WHERE id = CAST(:id AS uuid) AND token = :token AND status IN ('queued', 'running') FOR UPDATE SKIP LOCKED
"""),
)
ADVANCE = named(
    "jobs.advance",
    text("""
UPDATE webhook.jobs
SET status = :status, token = token + 1, processed = processed + :processed, changed = changed + :changed,
    position = coalesce(CAST(:position AS uuid), position), failures = 0, error = :error,
    started_at = coalesce(started_at, now()),
    sweep_at = CASE WHEN :status = 'running' THEN now() + CAST(:outbox AS integer) * interval '1 s' END,
    finished_at = CASE WHEN :status <> 'running' THEN clock_timestamp() END
WHERE id = CAST(:id AS uuid) RETURNING token
"""),
)
# A release is never given up: nothing else would find what it has yet to give back.
NOTE_FAILURE = named(
    "jobs.note_failure",
    text("""
WITH failed AS MATERIALIZED (
  SELECT id, least(failures + 1, CAST(:most AS integer)) AS failures,
    failures + 1 >= CAST(:most AS integer) AND kind <> 'release' AS over
  FROM webhook.jobs WHERE id = CAST(:id AS uuid) AND token = :token AND status IN ('queued', 'running') FOR UPDATE
)
UPDATE webhook.jobs j
SET status = CASE WHEN f.over THEN 'failed' ELSE 'running' END, token = j.token + 1, failures = f.failures,
    started_at = coalesce(j.started_at, now()), error = CASE WHEN f.over THEN :error END,
    sweep_at = CASE WHEN NOT f.over THEN now() + CAST(:outbox AS integer) * interval '1 s' END,
    finished_at = CASE WHEN f.over THEN now() END
FROM failed f WHERE j.id = f.id
RETURNING json_build_object('id', j.id, 'project_id', project_id, 'kind', kind, 'correlation_id', correlation_id,
  'status', status, 'token', token, 'delay_seconds',
  CASE WHEN f.failures < CAST(:most AS integer) THEN CAST(:soon AS integer) ELSE CAST(:later AS integer) END)::text
"""),
)


class TooSlowError(Exception):
    """A statement of the batch took longer than it may."""


@dataclass(frozen=True)
class Done:
    """A job as a batch left it; while it is running, a message with `token` is to follow after `delay_seconds`."""

    id: str
    project_id: str
    kind: str
    correlation_id: str
    status: str
    token: int
    changed: int = 0
    due: list[tuple[str, int]] = field(default_factory=list)
    delay_seconds: int = 0


def advance(id: str, token: int) -> Done | None:
    """Do the next batch: its rows, the job's progress and its token in one transaction.

    None for a stale message: the job is finished, further on, or just being worked on. Raises TooSlowError, or
    whatever the batch raises; then nothing was done.
    """
    try:
        with transaction() as connection:
            job = _take(connection, id, token)
            return None if job is None else _do(connection, job, token)
    except DBAPIError as error:
        if sqlstate(error) == QUERY_CANCELED:
            raise TooSlowError from error
        raise


def note_failure(id: str, token: int) -> Done | None:
    """Note that a batch failed. The third in a row ends the job, unless it is a release; else it comes again."""
    parameters = {
        "id": id,
        "token": token,
        "most": FAILURES,
        "error": GAVE_UP,
        "outbox": OUTBOX_SECONDS,
        "soon": FAILED_SECONDS,
        "later": STILL_FAILING_SECONDS,
    }
    with transaction() as connection:
        noted = connection.execute(NOTE_FAILURE, parameters).scalar_one_or_none()
    return Done(**json.loads(noted)) if noted else None


def _take(connection: Connection, id: str, token: int) -> Job | None:
    taken = connection.execute(TAKE, {"id": id, "token": token}).scalar_one_or_none()
    return Job(*json.loads(taken)) if taken else None


def _do(connection: Connection, job: Job, token: int) -> Done:
    try:
        batch = KINDS[job.kind](connection, job)
    except BusyError:
        return _left(job, "running", token, delay_seconds=BUSY_SECONDS)
    status = _status(batch)
    parameters = {
        "id": job.id,
        "status": status,
        "processed": batch.processed,
        "changed": batch.changed,
        "position": batch.position,
        "error": batch.error,
        "outbox": OUTBOX_SECONDS,
    }
    token = connection.execute(ADVANCE, parameters).scalar_one()
    return _left(job, status, token, changed=batch.changed, due=batch.due)


def _left(job: Job, status: Status, token: int, **rest: Any) -> Done:
    return Done(job.id, job.project_id, job.kind, job.correlation_id, status, token, **rest)


def _status(batch: Batch) -> Status:
    if batch.error is not None:
        return "failed"
    return "completed" if batch.position is None else "running"
