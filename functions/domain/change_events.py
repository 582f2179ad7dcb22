"""Change events: what changedetection.io reported, each change once (A3)."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, text

from functions.domain import rescraping
from functions.domain.rescraping import Policy, Start
from functions.domain.senders.base import Source
from functions.statements import named

# A change is known by its time, or, where none was told, by the event that it became: the same message again is
# answered with the same event, and is at most two hours younger than its change.
INSERT = named(
    "change_events.insert",
    text("""
INSERT INTO webhook.change_events (project_id, source_id, application_id, event_id, watch_id, watch_url,
  detected_at, diff_summary, snapshot_url, metadata)
SELECT CAST(:project AS uuid), CAST(:source AS uuid), CAST(:application AS uuid), CAST(:event AS uuid), :watch,
  :url, CAST(:detected_at AS timestamptz), CAST(:diff AS text), CAST(:snapshot AS text), CAST(:metadata AS jsonb)
WHERE NOT EXISTS (
  SELECT FROM webhook.change_events
  WHERE source_id = CAST(:source AS uuid) AND watch_id = :watch AND event_id = CAST(:event AS uuid)
    AND detected_at > CAST(:detected_at AS timestamptz) - interval '2 hours')
ON CONFLICT ON CONSTRAINT change_events_watch_key DO NOTHING
RETURNING CAST(id AS text)
"""),
)


@dataclass(frozen=True)
class Change:
    """What a notification tells of a change."""

    watch_id: str
    watch_url: str
    detected_at: datetime
    diff_summary: str | None
    snapshot_url: str | None
    metadata: Mapping[str, str]


def record(connection: Connection, source: Source, change: Change, event_id: str) -> Start | None:
    """Note the change, unless it is known; where the source says so, what changed is to be scraped again."""
    given = {
        "project": source.project_id,
        "source": source.id,
        "application": source.application_id,
        "event": event_id,
        "watch": change.watch_id,
        "url": change.watch_url,
        "detected_at": change.detected_at,
        "diff": change.diff_summary,
        "snapshot": change.snapshot_url,
        "metadata": json.dumps(dict(change.metadata), ensure_ascii=False),
    }
    id = connection.execute(INSERT, given).scalar_one_or_none()
    if id is None or not is_rescraped(source.rescrape):
        return None
    return rescraping.start(connection, id)


def is_rescraped(policy: Mapping[str, Any] | None) -> bool:
    """Whether the source's changes are scraped again by themselves."""
    return policy is not None and Policy.of(policy).enabled
