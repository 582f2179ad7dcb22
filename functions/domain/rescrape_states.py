"""The statements by which a rescrape goes from one state to the next (domain/rescraping.py)."""

from sqlalchemy import text

from functions.statements import named

START = named(
    "rescraping.start",
    text("""
UPDATE webhook.change_events
SET rescrape_status = 'queued', rescrape_job_id = :job_id, rescrape_token = rescrape_token + 1,
    rescrape_attempts = 0, rescrape_error = NULL, rescrape_started_at = NULL, rescrape_finished_at = NULL,
    rescrape_sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
WHERE id = CAST(:id AS uuid) AND coalesce(rescrape_status IN ('completed', 'failed'), true)
RETURNING rescrape_token AS token, project_id
"""),
)
# Whoever claims for a source waits for whoever does so this moment: both would take its last place. No key of it
# changes, so that what its sender sends meanwhile can refer to it.
LOCK_SOURCE = named(
    "rescraping.lock_source",
    text("""
SELECT c.project_id, c.source_id, c.watch_id, c.watch_url, c.rescrape_job_id AS job_id, s.rescrape AS policy,
  s.credentials, s.application_id, s.environment, s.deleted_at IS NOT NULL AS is_deleted, p.data_key
FROM webhook.change_events c
JOIN webhook.sources s ON s.id = c.source_id
JOIN webhook.projects p ON p.id = c.project_id
WHERE c.id = CAST(:id AS uuid) AND c.rescrape_token = :token AND c.rescrape_status = 'queued'
FOR NO KEY UPDATE OF s
"""),
)
# In a statement of its own: its snapshot is of after the lock, and has the place that was just taken.
TAKE = named(
    "rescraping.take",
    text("""
UPDATE webhook.change_events c
SET rescrape_status = 'in_progress', rescrape_token = c.rescrape_token + 1, rescrape_waits = false,
    rescrape_attempts = c.rescrape_attempts + 1, rescrape_started_at = now(),
    rescrape_sweep_at = now() + CAST(:lease_ms AS integer) * interval '1 ms'
WHERE c.id = CAST(:id AS uuid) AND c.rescrape_token = :token AND c.rescrape_status = 'queued' AND (
  SELECT count(*) FROM webhook.change_events b
  WHERE b.project_id = CAST(:project_id AS uuid) AND b.rescrape_status = 'in_progress'
    AND b.source_id = CAST(:source_id AS uuid) AND b.rescrape_sweep_at > now()) < CAST(:concurrency AS integer)
RETURNING c.rescrape_token AS token, c.rescrape_attempts AS attempts
"""),
)
POSTPONE = named(
    "rescraping.postpone",
    text("""
UPDATE webhook.change_events
SET rescrape_token = rescrape_token + 1, rescrape_waits = true,
    rescrape_sweep_at = now() + CAST(:seconds AS integer) * interval '1 s'
WHERE id = CAST(:id AS uuid) AND rescrape_token = :token AND rescrape_status = 'queued'
RETURNING rescrape_token AS token, project_id
"""),
)
# The oldest of those that were put off for want of room; what failed and is to be tried again has a time of its
# own. The token goes up, so that the message it was put off with says nothing any more.
WAKE = named(
    "rescraping.wake",
    text("""
WITH next AS MATERIALIZED (
  SELECT id FROM webhook.change_events
  WHERE source_id = CAST(:source_id AS uuid) AND rescrape_waits
  ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED
)
UPDATE webhook.change_events c
SET rescrape_token = c.rescrape_token + 1, rescrape_waits = false,
    rescrape_sweep_at = now() + CAST(:outbox AS integer) * interval '1 s'
FROM next WHERE c.id = next.id
RETURNING c.id, c.rescrape_token AS token, c.project_id
"""),
)

# Who claimed it and is merely late may still tell how it went, until somebody else has claimed it.
MINE = "id = CAST(:id AS uuid) AND rescrape_token = :token AND rescrape_status IN ('queued', 'in_progress')"
# Who ends one holds the source, too: whoever claims this moment finds the place free, or is woken, and no third.
LOCK_PLACE = named(
    "rescraping.lock_place",
    text("SELECT id FROM webhook.sources WHERE id = CAST(:id AS uuid) FOR NO KEY UPDATE"),
)
HOLD = named(
    "rescraping.hold",
    text(f"SELECT id FROM webhook.change_events WHERE {MINE} FOR NO KEY UPDATE"),  # noqa: S608 - constants
)
COMPLETE = named(
    "rescraping.complete",
    text(f"""
UPDATE webhook.change_events
SET rescrape_status = 'completed', rescrape_token = rescrape_token + 1, rescrape_error = NULL,
    rescrape_sweep_at = NULL, rescrape_finished_at = now(), indexed_at = now(), document_key = :document_key,
    document_bytes = :document_bytes, document_event_id = CAST(:event_id AS uuid)
WHERE {MINE}
"""),  # noqa: S608 - constants
)
FAIL = named(
    "rescraping.fail",
    text(f"""
UPDATE webhook.change_events
SET rescrape_status = 'failed', rescrape_token = rescrape_token + 1, rescrape_error = :reason,
    rescrape_sweep_at = NULL, rescrape_finished_at = now()
WHERE {MINE}
"""),  # noqa: S608 - constants
)
AGAIN = named(
    "rescraping.again",
    text(f"""
UPDATE webhook.change_events
SET rescrape_status = 'queued', rescrape_token = rescrape_token + 1, rescrape_error = :reason,
    rescrape_sweep_at = now() + CAST(:seconds AS integer) * interval '1 s'
WHERE {MINE} RETURNING rescrape_token AS token
"""),  # noqa: S608 - constants
)
