"""Crawl sessions: the lives and totals of Firecrawl's jobs, from messages that come in any order and twice (B6).

Whoever has news of a job first has its row (`upsert` makes or locks it), so that the messages of one job wait for
each other and what they add up to is exact; nothing that they lock comes after it, so that they never wait in a
circle. All that is kept is such that the order does not matter: the first time, the last, the highest, the sum.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Connection, text

from functions.domain.senders.base import Source
from functions.statements import named

Kind = Literal["crawl", "batch_scrape"]
End = Literal["completed", "cancelled", "failed"]
# After so long without a page those that came are forgotten (functions/maintain/inbound_retention.py); one that
# comes after that may be known or not, and is not counted. Firecrawl tries again for 21 minutes
# (https://docs.firecrawl.dev/webhooks/overview); not every job's end is told.
COUNTED_DAYS = 30

# What ended a job is told once; where more was told, completed counts for more than cancelled, and that for more
# than failed: `crawl.failed` was also sent for single pages of crawls that went on
# (https://github.com/firecrawl/firecrawl/issues/3614).
UPSERT = named(
    "crawls.upsert",
    text("""
INSERT INTO webhook.crawl_sessions AS s (project_id, source_id, application_id, job_id, kind, base_url, metadata,
  started_at, received_at, status, success, error, completed_at, pages_total)
VALUES (CAST(:project AS uuid), CAST(:source AS uuid), CAST(:application AS uuid), :job, :kind,
  CAST(:base_url AS text), CAST(:metadata AS jsonb), CAST(:started_at AS timestamptz), CAST(:at AS timestamptz),
  coalesce(:ended, 'in_progress'), CAST(:success AS boolean), CAST(:error AS text),
  CASE WHEN CAST(:ended AS text) IS NOT NULL THEN CAST(:at AS timestamptz) END, CAST(:total AS integer))
ON CONFLICT ON CONSTRAINT crawl_sessions_job_key DO UPDATE SET
  base_url = coalesce(s.base_url, excluded.base_url),
  metadata = s.metadata || excluded.metadata,
  started_at = least(s.started_at, excluded.started_at),
  received_at = greatest(s.received_at, excluded.received_at),
  pages_total = greatest(s.pages_total, excluded.pages_total),
  (status, success, error, completed_at) = (
    SELECT e.status, e.success, e.error, e.completed_at FROM (VALUES
      (s.status, s.success, s.error, s.completed_at),
      (excluded.status, excluded.success, excluded.error, excluded.completed_at)
    ) AS e (status, success, error, completed_at)
    ORDER BY array_position(ARRAY['completed', 'cancelled', 'failed', 'in_progress'], e.status), e.completed_at
    LIMIT 1),
  updated_at = now()
RETURNING CAST(id AS text) AS id, completed_at IS NOT NULL AS has_ended
"""),
)
# In a statement of its own, whose snapshot is of after the lock: it sees what all others before it counted.
COUNT = named(
    "crawls.count",
    text("""
WITH come AS (
  SELECT decode(p.hash, 'hex') AS hash, p.failed, p.bytes, p.credits
  FROM jsonb_to_recordset(CAST(:pages AS jsonb)) AS p (hash text, failed boolean, bytes bigint, credits integer)
), counted AS (
  INSERT INTO webhook.crawl_pages (session_id, page_hash)
  SELECT CAST(:id AS uuid), come.hash FROM come
  WHERE NOT EXISTS (
    SELECT FROM webhook.crawl_sessions
    WHERE id = CAST(:id AS uuid)
      AND last_page_at < CAST(:at AS timestamptz) - CAST(:days AS integer) * interval '1 day')
  ON CONFLICT ON CONSTRAINT crawl_pages_pkey DO NOTHING
  RETURNING page_hash
), added AS (
  SELECT count(*) AS pages, count(*) FILTER (WHERE come.failed) AS failed, sum(come.bytes) AS bytes,
    sum(come.credits) AS credits
  FROM counted JOIN come ON come.hash = counted.page_hash
)
UPDATE webhook.crawl_sessions s SET
  pages_received = s.pages_received + added.pages,
  pages_succeeded = s.pages_succeeded + added.pages - added.failed,
  pages_failed = s.pages_failed + added.failed,
  bytes_received = s.bytes_received + added.bytes,
  credits_used = s.credits_used + added.credits,
  first_page_at = least(s.first_page_at, CAST(:at AS timestamptz)),
  last_page_at = greatest(s.last_page_at, CAST(:at AS timestamptz))
FROM added WHERE s.id = CAST(:id AS uuid) AND added.pages > 0
"""),
)
# From what came first of it to its end, by our clock: Firecrawl's messages tell no times. Most that come after the
# end change nothing of it, and then nothing is written.
TIME = named(
    "crawls.time",
    text("""
WITH lasted AS (
  SELECT ceil(extract(epoch FROM completed_at - least(started_at, first_page_at)) * 1000) AS ms
  FROM webhook.crawl_sessions WHERE id = CAST(:id AS uuid)
)
UPDATE webhook.crawl_sessions s SET duration_ms = greatest(0, lasted.ms)
FROM lasted WHERE s.id = CAST(:id AS uuid) AND s.duration_ms IS DISTINCT FROM greatest(0, lasted.ms)
  AND lasted.ms IS NOT NULL
"""),
)


@dataclass(frozen=True)
class Page:
    """A page of a crawl, or the failure to scrape it. `hash`, 16 bytes, is what makes it itself."""

    hash: bytes
    failed: bool
    bytes: int  # of the body that it came in
    credits: int


@dataclass(frozen=True)
class News:
    """What one message tells of a job."""

    job_id: str
    kind: Kind
    at: datetime
    started: bool = False
    ended: End | None = None
    success: bool | None = None
    error: str | None = None
    base_url: str | None = None
    pages_total: int | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)
    pages: Sequence[Page] = ()


def record(connection: Connection, source: Source, news: News) -> None:
    """Put the news into the session of its job, which they may be the first of."""
    id, has_ended = connection.execute(UPSERT, _session(source, news)).one()
    if news.pages:
        # Of one that is named twice the first: it has the bytes of the message.
        pages = {page.hash: page for page in reversed(news.pages)}.values()
        told = [{**vars(page), "hash": page.hash.hex()} for page in pages]
        given = {"id": id, "pages": json.dumps(told), "at": news.at, "days": COUNTED_DAYS}
        connection.execute(COUNT, given)
    if has_ended:
        connection.execute(TIME, {"id": id})


def _session(source: Source, news: News) -> dict[str, Any]:
    return {
        "project": source.project_id,
        "source": source.id,
        "application": source.application_id,
        "job": news.job_id,
        "kind": news.kind,
        "base_url": news.base_url,
        "metadata": json.dumps(dict(news.metadata), ensure_ascii=False),
        "started_at": news.at if news.started else None,
        "at": news.at,
        "ended": news.ended,
        "success": news.success,
        "error": news.error,
        "total": news.pages_total,
    }
