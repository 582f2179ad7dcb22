"""The sweeps: deliveries, dead letters, jobs and rescrapes whose time has come, in bounded batches."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, TextClause, text

from functions.adapters.database import transaction
from functions.adapters.outbox import Follow
from functions.domain import ordering, rescraping
from functions.statements import named

DISPATCH_LOCK = 7_306_871_995  # one dispatcher at a time; another that starts meanwhile just ends


@dataclass(frozen=True)
class Due(Follow):
    """`again`: it was tried before or held back, and goes to the retry queue."""

    again: bool = False


ALONE = named("dispatch.alone", text("SELECT pg_try_advisory_xact_lock(:lock)"))
# Due retries, rows whose message was never sent, and leases that ran out (their row goes back to pending; its
# token stays, so that a claimer which is merely late may still record). `sweep_at` moves on by the age of what is
# waited for, within bounds: a row whose message waits in a long queue is not sent again every 90 s. A retry is
# looked at up to a minute before it is due, and its message sent with a delay: it goes to the second.
#
# Two statements, the second by keys that it is told (docs/decisions/locks-and-partitions.md).
DUE = named(
    "dispatch.due_deliveries",
    text("""
SELECT id FROM webhook.webhook_deliveries
WHERE sweep_at <= now() AND (lease_expires_at IS NULL OR lease_expires_at <= now())
ORDER BY sweep_at LIMIT :most FOR UPDATE SKIP LOCKED
"""),
)
DELIVERIES = named(
    "dispatch.take_deliveries",
    text("""
WITH sent AS (
  UPDATE webhook.webhook_deliveries d
  SET status = 'pending', lease_expires_at = NULL,
      sweep_at = greatest(d.scheduled_at, now())
        + least(greatest(now() - greatest(d.scheduled_at, d.created_at), interval '90 s'), interval '15 min')
  WHERE d.id = ANY (CAST(:ids AS uuid[]))
  RETURNING d.id, d.token, d.project_id,
    CAST(least(greatest(ceil(extract(epoch FROM d.scheduled_at - now())), 0), 900) AS integer) AS delay_seconds,
    d.attempts > 0 OR d.scheduled_at > d.created_at + interval '1 s' AS again
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id, delay_seconds, again)), '[]')::text FROM sent
"""),
)

# A dead letter whose message was never seen on the queue gets another, with a new token: were the first only
# late, it must not look like the second redriven.
DEAD_LETTERS = named(
    "dispatch.take_dead_letters",
    text("""
WITH due AS MATERIALIZED (
  SELECT id FROM webhook.webhook_dlq WHERE sweep_at <= now() AND status = 'pending'
  ORDER BY sweep_at LIMIT :most FOR UPDATE SKIP LOCKED
), sent AS (
  UPDATE webhook.webhook_dlq l SET token = l.token + 1, sweep_at = now() + interval '15 min'
  FROM due WHERE l.id = due.id
  RETURNING l.id, l.token, l.project_id
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id)), '[]')::text FROM sent
"""),
)

# A job's token stays, as a delivery's does: the message that was only late is as good as the new one. How long it
# is waited for grows with the age of the job, so that a long queue of jobs is not sent again every 90 s.
JOBS = named(
    "dispatch.take_jobs",
    text("""
WITH due AS MATERIALIZED (
  SELECT id FROM webhook.jobs WHERE sweep_at <= now() ORDER BY sweep_at LIMIT :most FOR UPDATE SKIP LOCKED
), sent AS (
  UPDATE webhook.jobs j
  SET sweep_at = now() + least(greatest(now() - j.created_at, interval '90 s'), interval '15 min')
  FROM due WHERE j.id = due.id
  RETURNING j.id, j.token, j.project_id
)
SELECT coalesce(json_agg(json_build_array(id, token, project_id)), '[]')::text FROM sent
"""),
)


# One that is queued had its message lost, or waits in a long queue: it is sent again with its token, as a job is.
# Of one in progress the function is gone, since its lease ends after that. It is queued again, unless that was its
# last try.
RESCRAPES = named(
    "dispatch.take_rescrapes",
    text("""
WITH due AS MATERIALIZED (
  SELECT c.id, c.rescrape_status = 'in_progress' AS lost,
    c.rescrape_attempts >= coalesce(CAST(s.rescrape ->> 'max_attempts' AS integer), :most_attempts) AS last
  FROM webhook.change_events c JOIN webhook.sources s ON s.id = c.source_id
  WHERE c.rescrape_sweep_at <= now() ORDER BY c.rescrape_sweep_at LIMIT :most FOR UPDATE OF c SKIP LOCKED
), sent AS (
  UPDATE webhook.change_events c
  SET rescrape_status = CASE WHEN d.lost AND d.last THEN 'failed' ELSE 'queued' END,
      rescrape_error = CASE WHEN d.lost THEN :lost ELSE c.rescrape_error END,
      rescrape_finished_at = CASE WHEN d.lost AND d.last THEN now() END,
      rescrape_sweep_at = CASE WHEN NOT (d.lost AND d.last) THEN now() + least(greatest(
        now() - uuid_extract_timestamp(CAST(c.rescrape_job_id AS uuid)), interval '90 s'), interval '15 min') END
  FROM due d WHERE c.id = d.id
  RETURNING c.id, c.rescrape_token, c.project_id, c.rescrape_status
)
SELECT coalesce(json_agg(json_build_array(id, rescrape_token, project_id, 0, rescrape_status = 'queued')),
  '[]')::text FROM sent
"""),
)


def due_deliveries(most: int) -> list[Due] | None:
    """Take up to `most` deliveries that are due; None when another dispatcher is at work."""
    with transaction() as connection:
        if not _alone(connection):
            return None
        ids = [str(id) for id in connection.execute(DUE, {"most": most}).scalars()]
        return _taken(connection, DELIVERIES, {"ids": ids}) if ids else []


def due_lines(most: int) -> list[Due] | None:
    """Take the heads of up to `most` lines of strict webhooks that nobody woke (domain/ordering.py)."""
    with transaction() as connection:
        if not _alone(connection):
            return None
        woken = ordering.wake(connection, ordering.stranded(connection, most))
        return [Due(id, token, project_id, again=attempts > 0) for id, token, project_id, attempts in woken]


def due_dead_letters(most: int) -> list[Due] | None:
    """Take up to `most` dead letters whose message is to be sent again."""
    return _sweep(DEAD_LETTERS, most)


def due_jobs(most: int) -> list[Due] | None:
    """Take up to `most` background jobs whose next message is to be sent again."""
    return _sweep(JOBS, most)


def due_rescrapes(most: int) -> list[Due] | None:
    """Take up to `most` rescrapes whose message or function was lost; `again` are those that are to be sent."""
    return _sweep(RESCRAPES, most, lost=rescraping.LOST, most_attempts=rescraping.Policy().max_attempts)


def _sweep(statement: TextClause, most: int, **given: Any) -> list[Due] | None:
    with transaction() as connection:
        if not _alone(connection):
            return None
        return _taken(connection, statement, {"most": most, **given})


def _taken(connection: Connection, statement: TextClause, given: dict[str, Any]) -> list[Due]:
    rows: list[list[Any]] = json.loads(connection.execute(statement, given).scalar_one())
    return [Due(*row) for row in rows]


def _alone(connection: Connection) -> bool:
    return bool(connection.execute(ALONE, {"lock": DISPATCH_LOCK}).scalar_one())
