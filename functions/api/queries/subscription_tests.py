"""Sample events held against subscriptions, by the very conditions that events are matched with."""

import json
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, text

from functions.api import paging
from functions.api.caller import Caller
from functions.domain.event_types import patterns_matching
from functions.domain.filters import compile_filter
from functions.domain.subscription_matching import Sample
from functions.statements import named

TRY = named(
    "subscription_tests.try_filter",
    text("""
SELECT coalesce(jsonb_extract_path(CAST(:body AS jsonb), 'data') @@ CAST(:path AS jsonpath), false)
"""),
)
# The data comes from the body as it was sent, as that of an event does: its numbers keep every digit.
JUDGE = named(
    "subscription_tests.judge",
    text("""
WITH sample AS MATERIALIZED (
  SELECT jsonb_extract_path(CAST(:body AS jsonb), 'data') AS data
), judged AS MATERIALIZED (
  SELECT s.id, s.webhook_id, w.name AS webhook_name, w.status AS webhook_status,
    w.application_id AS webhook_application_id, w.environment AS webhook_environment,
    s.event_type IN (SELECT jsonb_array_elements_text(CAST(:patterns AS jsonb))) AS type_agrees, s.enabled,
    w.status IN ('active', 'paused') AS receives,
    w.application_id IS NULL OR w.application_id IS NOT DISTINCT FROM CAST(:application_id AS uuid)
      AS application_agrees,
    w.environment IS NULL OR w.environment IS NOT DISTINCT FROM CAST(:environment AS text) AS environment_agrees,
    s.filter_path IS NULL OR coalesce(sample.data @@ s.filter_path, false) AS filter_agrees
  FROM webhook.webhook_subscriptions s
  JOIN webhook.webhooks w ON w.id = s.webhook_id
  CROSS JOIN sample
  WHERE s.project_id = CAST(:project_id AS uuid) AND w.deleted_at IS NULL
    AND (CAST(:reach AS uuid) IS NULL OR w.application_id = CAST(:reach AS uuid))
    AND (CAST(:webhook_id AS uuid) IS NULL OR w.id = CAST(:webhook_id AS uuid))
), verdicts AS (
  SELECT *, type_agrees AND enabled AND receives AND application_agrees AND environment_agrees
    AND filter_agrees AS matches
  FROM judged
), page AS (
  SELECT v.*, s.event_type, s.filter FROM verdicts v JOIN webhook.webhook_subscriptions s USING (id)
  WHERE (CAST(:matches AS boolean) IS NULL OR v.matches = CAST(:matches AS boolean))
    AND (CAST(:before AS uuid) IS NULL OR v.id < CAST(:before AS uuid))
  ORDER BY v.id DESC LIMIT :limit
)
SELECT json_build_object(
  'webhooks_matched', (SELECT count(DISTINCT webhook_id) FROM verdicts WHERE matches),
  'rows', (SELECT coalesce(json_agg(page ORDER BY id DESC), '[]') FROM page)
)::text
"""),
)


@dataclass(frozen=True)
class Wanted:
    """Which subscriptions are shown: of one webhook, only those that match or only those that do not."""

    webhook_id: str | None
    matches: bool | None
    limit: int
    cursor: str


@dataclass(frozen=True)
class Judged:
    """`rows` are one too many when there is a next page; `webhooks_matched` counts over all pages."""

    webhooks_matched: int
    rows: list[dict[str, Any]]


def judge(connection: Connection, caller: Caller, sample: Sample, wanted: Wanted, *, body: str) -> Judged:
    """Hold the caller's subscriptions against the sample, whose data is in `body` as it came."""
    parameters = {
        "project_id": caller.project_id,
        "reach": caller.application_id or None,
        "body": body,
        "patterns": json.dumps(patterns_matching(sample.type)),
        "application_id": sample.application_id,
        "environment": sample.environment,
        "webhook_id": wanted.webhook_id,
        "matches": wanted.matches,
        "before": paging.key_of(wanted.cursor) if wanted.cursor else None,
        "limit": wanted.limit + 1,
    }
    return Judged(**json.loads(connection.execute(JUDGE, parameters).scalar_one()))


def try_filter(connection: Connection, filter: dict[str, Any], *, body: str) -> bool:
    """Whether the data in `body` matches a filter that no subscription has yet."""
    return bool(connection.execute(TRY, {"body": body, "path": compile_filter(filter)}).scalar_one())
