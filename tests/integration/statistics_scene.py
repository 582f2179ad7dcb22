"""Attempts as the delivery function leaves them, of any time and outcome; and what is to be counted of them."""

import json
import os
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from functions.domain.event_types import TEST
from functions.domain.log_buckets import bucket_of
from functions.domain.statistics.figures import COUNTS, Figures
from functions.domain.statistics.outcomes import ANSWERED, outcome
from functions.domain.statistics.times import RESOLUTIONS
from functions.maintain import statistics
from functions.maintain.run import Run
from tests.integration.conftest import Service

GIVEN = """
WITH given AS MATERIALIZED (
  SELECT g.*, w.project_id, w.application_id FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS g (
    key uuid, letter uuid, delivery uuid, webhook uuid, sent_at timestamptz, status smallint, code text,
    ms integer, number smallint, state text, is_latest boolean, type text)
  JOIN webhook.webhooks w ON w.id = g.webhook
), deliveries AS (
  INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, application_id, event_id, event_type, status,
    attempts, max_attempts, last_attempt_at, delivered_at, failed_at, scheduled_at, sweep_at)
  SELECT delivery, project_id, webhook, application_id, uuidv7(), type, state, number, 20, sent_at,
    CASE state WHEN 'delivered' THEN sent_at END, CASE state WHEN 'failed' THEN sent_at END,
    CASE state WHEN 'pending' THEN sent_at END, CASE state WHEN 'pending' THEN timestamptz 'infinity' END
  FROM given WHERE is_latest
), letters AS (
  INSERT INTO webhook.webhook_dlq (id, project_id, webhook_id, application_id, event_id, event_type, delivery_id,
    reason, attempts)
  SELECT letter, project_id, webhook, application_id, uuidv7(), type, delivery, 'attempts_exhausted', number
  FROM given WHERE letter IS NOT NULL
)
INSERT INTO webhook.webhook_delivery_attempts (id, project_id, delivery_id, attempt_number, request_url,
  request_headers, request_sent_at, response_status, response_time_ms, error_code, error_message)
SELECT key, project_id, delivery, number, 'https://x/', '{}', sent_at, status, ms, code,
  CASE WHEN code IS NOT NULL THEN 'it failed' END
FROM given
"""
STORED = f"""
SELECT CAST(subject_id AS text), resolution, bucket, {", ".join(COUNTS)}, time_total_ms, time_longest_ms,
  time_buckets, time_counts FROM webhook.delivery_statistics
"""
Place = tuple[str, int, datetime]  # whose, minutes, when it begins


@dataclass(frozen=True)
class Attempt:
    """One that ended at `at`; the last of its delivery so far, unless `is_latest` says otherwise.

    `at` and `sent_at` tell attempts of one delivery apart, which is `delivery`.
    """

    webhook: str
    at: datetime
    status: int | None = 200
    code: str | None = None
    ms: int | None = 40
    number: int = 1
    is_latest: bool = True
    is_dead: bool = False
    type: str = "invoice.paid"
    delivery: str = ""
    key: str = ""

    @property
    def outcome(self) -> str:
        return outcome(self.code, self.status)


@dataclass
class Scene:
    """What was put in, and whose it is: by webhook, its application's and its project's id."""

    service: Service
    owners: dict[str, tuple[str, ...]] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)

    def webhook(self, **values: Any) -> str:
        made = self.service.webhook(**values)
        bound = (made["application_id"],) if made["application_id"] else ()
        self.owners[made["id"]] = (made["id"], *bound, self.service.project_id)
        return str(made["id"])

    def add(self, *attempts: Attempt) -> None:
        """Commit them: each a moment after it ended, or long after."""
        self.service.sql.run(GIVEN, rows=json.dumps([_row(one) for one in attempts], default=str))
        self.attempts += attempts

    def expected(self, now: datetime) -> dict[Place, Figures]:
        """What is to be counted of all there is, one by one."""
        return counted(self.attempts, self.owners, now)

    def stored(self) -> dict[Place, Figures]:
        found: dict[Place, Figures] = {}
        for subject, minutes, bucket, *row in self.service.sql.run(STORED):
            found[subject, minutes, bucket] = Figures(row)
        return found


def key_of(at: datetime) -> str:
    """A new UUIDv7 of this time."""
    ms, chance = int(at.timestamp() * 1000), int.from_bytes(os.urandom(10))
    value = (ms << 80 | chance) & ~(0xF << 76) | 0x7 << 76
    return str(UUID(int=value & ~(0x3 << 62) | 0x2 << 62))


def run_statistics(now: datetime | None = None, seconds: float = 60) -> dict[str, int]:
    """What the job answers at this time."""
    return statistics.run(Run(now=now or datetime.now(UTC), seconds=seconds))


def counted(
    attempts: Iterable[Attempt], owners: dict[str, tuple[str, ...]], now: datetime
) -> dict[Place, Figures]:
    found: dict[Place, Figures] = defaultdict(Figures)
    for one in attempts:
        if one.type == TEST:
            continue
        for resolution in RESOLUTIONS:
            if (bucket := resolution.floor(one.at)) >= resolution.oldest(now):
                for subject in owners[one.webhook]:
                    _count(found[subject, resolution.minutes, bucket], one)
    return dict(found)


def _count(figures: Figures, one: Attempt) -> None:
    succeeded = one.outcome == "succeeded"
    figures.counts[one.outcome] += 1
    figures.counts["first_attempts"] += one.number == 1
    figures.counts["first_succeeded"] += one.number == 1 and succeeded
    figures.counts["deliveries_delivered"] += succeeded and one.is_latest
    figures.counts["deliveries_failed"] += one.is_dead
    if one.ms is not None and one.outcome in ANSWERED:
        figures.times[bucket_of(one.ms)] += 1
        figures.times_total_ms += one.ms
        figures.times_longest_ms = max(figures.times_longest_ms, one.ms)


def _row(one: Attempt) -> dict[str, Any]:
    state = "delivered" if one.outcome == "succeeded" else "failed" if one.is_dead else "pending"
    return {
        **asdict(one),
        "key": one.key or key_of(one.at),
        "delivery": one.delivery or key_of(one.at),
        "letter": key_of(one.at) if one.is_dead else None,
        "sent_at": one.at.isoformat(),
        "state": state,
    }


def same(one: dict[Place, Figures], other: dict[Place, Figures]) -> bool:
    """Whether both have the same places with the same figures in them."""
    return {place: _plain(of) for place, of in one.items()} == {place: _plain(of) for place, of in other.items()}


def _plain(figures: Figures) -> tuple[Any, ...]:
    return figures.counts, dict(figures.times), figures.times_total_ms, figures.times_longest_ms
