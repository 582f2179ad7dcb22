"""Background jobs: what is too long for a request is done in bounded batches by the jobs function (P5).

The row in webhook.jobs is the job. A batch changes its rows and the job's own in one transaction; the queue
message only says that there is a next batch, and is stale once the row's token has moved on.
"""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

BATCH = 500  # rows changed in a transaction: locks are held for tens of milliseconds
MAX_ATTEMPTS = 32_767  # of a delivery, over all its reopenings: the columns are smallint
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)  # of UUIDv7 keys too


Kind = Literal["retry", "recover", "replay_missing", "redrive", "discard", "release", "expunge"]
Status = Literal["queued", "running", "completed", "failed", "cancelled"]


class BusyError(Exception):
    """Another job is at work on the same thing: this batch is to be tried a moment later."""


@dataclass(frozen=True)
class Job:
    """A job whose next batch is being done. `position` is the key up to which rows were looked at."""

    id: str
    project_id: str
    application_id: str | None
    kind: Kind
    parameters: dict[str, Any]
    position: str | None
    created_by: str | None
    correlation_id: str


@dataclass(frozen=True)
class Batch:
    """What a batch did. `position` is None when nothing is left to look at.

    `due` are deliveries to send, with their tokens, once it is committed. `error` ends the job with a sentence.
    """

    processed: int
    changed: int
    position: str | None
    due: list[tuple[str, int]] = field(default_factory=list)
    error: str | None = None


def window(parameters: dict[str, Any]) -> tuple[datetime, datetime]:
    """From when (inclusive) until when. Parameters are stored as the API takes and shows them, by either name."""
    since = parameters.get("since") or parameters.get("created_after")
    until = parameters.get("until") or parameters["created_before"]
    return datetime.fromisoformat(since) if since else EPOCH, datetime.fromisoformat(until)
