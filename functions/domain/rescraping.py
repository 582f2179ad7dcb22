"""The states of a rescrape (B5, B7): queued → in_progress → completed or failed, each a guarded change of its row.

    queued ──claim──▶ in_progress ──complete──▶ completed
      ▲  └─no room─┘        │  └──fail──▶ failed
      └──again, lease over──┘

The change event's row is the job and its own outbox: a queue message only says that there is something to do, and
holds as long as its token is the row's. `rescrape_sweep_at` is when dispatch looks at it: of a queued one when its
message must have come, of one in progress when whoever has it can be at work no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import Connection, RowMapping

from functions.domain.ids import uuid7
from functions.domain.outbox import OUTBOX_SECONDS
from functions.domain.partitions import made_at
from functions.domain.rescrape_states import (
    AGAIN,
    COMPLETE,
    FAIL,
    HOLD,
    LOCK_PLACE,
    LOCK_SOURCE,
    POSTPONE,
    START,
    TAKE,
    WAKE,
)

# One that found no room is woken by the next that ends; this is for when that one is lost. Those of a long queue
# look seldom, or they would do little else, each under the lock of their source.
NO_ROOM_SECONDS = 120
MOST_DELAY_SECONDS = 900  # SQS's most
# Those that need nothing but their name (https://docs.firecrawl.dev/api-reference/endpoint/scrape, `formats`).
Format = Literal["markdown", "summary", "html", "rawHtml", "links"]
LOST = "function_lost: the function that scraped it did not come to its end"


@dataclass(frozen=True)
class Policy:
    """When and how a source's changes are scraped again: `sources.rescrape`."""

    enabled: bool = True  # by itself, whenever something changed; else only when it is asked for
    api_url: str = "https://api.firecrawl.dev"
    concurrency: int = 2  # at a time: what Firecrawl's smallest plan allows, docs.firecrawl.dev/rate-limits
    max_attempts: int = 3
    formats: tuple[Format, ...] = ("markdown",)

    @classmethod
    def of(cls, stored: Mapping[str, Any]) -> "Policy":
        known = {name: value for name, value in stored.items() if name in cls.__dataclass_fields__}
        if "formats" in known:
            known["formats"] = tuple(known["formats"])
        return cls(**known)


@dataclass(frozen=True)
class Start:
    """A rescrape that is queued, and whose message is to follow the commit."""

    id: str  # of the change event
    token: int
    project_id: str
    delay_seconds: int = 0


@dataclass(frozen=True, kw_only=True)
class Started(Start):
    """A new one."""

    job_id: str


@dataclass(frozen=True)
class Claim:
    """A rescrape that is this function's until its lease is over, or until it says how it went."""

    id: str  # of the change event
    token: int
    attempts: int
    project_id: str
    source_id: str
    watch_id: str
    watch_url: str
    job_id: str
    policy: Policy | None  # None: the source has none any more, or is gone
    credentials: bytes | None  # encrypted
    data_key: bytes  # of the project, encrypted
    application_id: str | None
    environment: str | None


def start(connection: Connection, change_event_id: str) -> Started | None:
    """Queue a rescrape as a job of its own; None while one is unfinished. Its message follows the commit."""
    job_id = uuid7()
    given = {"id": change_event_id, "job_id": job_id, "outbox": OUTBOX_SECONDS}
    row = connection.execute(START, given).mappings().one_or_none()
    return Started(change_event_id, row["token"], str(row["project_id"]), job_id=job_id) if row else None


def claim(connection: Connection, id: str, token: int, lease_ms: int) -> Claim | Start | None:
    """Take what a message names, if its source has a place. Else what is to be sent later in its stead, which
    uses up no attempt. None for a stale message.
    """
    row = connection.execute(LOCK_SOURCE, {"id": id, "token": token}).mappings().one_or_none()
    if row is None:
        return None
    policy = None if row["is_deleted"] or row["policy"] is None else Policy.of(row["policy"])
    given = {
        "id": id,
        "token": token,
        "lease_ms": lease_ms,
        "project_id": row["project_id"],
        "source_id": row["source_id"],
        "concurrency": (policy or Policy()).concurrency,
    }
    taken = connection.execute(TAKE, given).mappings().one_or_none()
    return _postponed(connection, id, token, row["job_id"]) if taken is None else _claim(id, row, taken, policy)


def hold(connection: Connection, one: Claim) -> bool:
    """Whether it is still this function's to end; nobody else can claim it until this transaction is over."""
    return connection.execute(HOLD, {"id": one.id, "token": one.token}).first() is not None


def complete(connection: Connection, one: Claim, document_key: str, document_bytes: int, event_id: str) -> None:
    """Of one that is held: its document is stored and told of. `wake` whoever waits for its place."""
    stored = {"document_key": document_key, "document_bytes": document_bytes, "event_id": event_id}
    connection.execute(COMPLETE, {"id": one.id, "token": one.token, **stored})


def fail(connection: Connection, one: Claim, reason: str) -> None:
    """Of one that is held: for good. `wake` as above."""
    connection.execute(FAIL, {"id": one.id, "token": one.token, "reason": reason})


def again(connection: Connection, one: Claim, reason: str, delay_seconds: int) -> Start:
    """Of one that is held: once more, after a while. `wake` as above."""
    delay = min(delay_seconds, MOST_DELAY_SECONDS)
    given = {"id": one.id, "token": one.token, "reason": reason, "seconds": delay + OUTBOX_SECONDS}
    token = connection.execute(AGAIN, given).scalar_one()
    return Start(one.id, token, one.project_id, delay)


def wake(connection: Connection, one: Claim) -> Start | None:
    """The next that waits for room in the source of one that ended, whose message follows the commit.

    The last in a transaction: whoever wants to claim in the same source waits until that is over.
    """
    connection.execute(LOCK_PLACE, {"id": one.source_id})
    row = connection.execute(WAKE, {"source_id": one.source_id, "outbox": OUTBOX_SECONDS}).mappings().one_or_none()
    return Start(str(row["id"]), row["token"], str(row["project_id"])) if row else None


def _postponed(connection: Connection, id: str, token: int, job_id: str) -> Start | None:
    """For as long again as the job has waited, within bounds."""
    waited = datetime.now(UTC) - made_at(job_id)
    delay = min(max(int(waited.total_seconds()), NO_ROOM_SECONDS), MOST_DELAY_SECONDS)
    given = {"id": id, "token": token, "seconds": delay + OUTBOX_SECONDS}
    row = connection.execute(POSTPONE, given).mappings().one_or_none()
    return Start(id, row["token"], str(row["project_id"]), delay) if row else None


def _claim(id: str, row: RowMapping, taken: RowMapping, policy: Policy | None) -> Claim:
    return Claim(
        id=id,
        token=taken["token"],
        attempts=taken["attempts"],
        project_id=str(row["project_id"]),
        source_id=str(row["source_id"]),
        watch_id=row["watch_id"],
        watch_url=row["watch_url"],
        job_id=row["job_id"],
        policy=policy,
        credentials=None if row["credentials"] is None else bytes(row["credentials"]),
        data_key=bytes(row["data_key"]),
        application_id=row["application_id"] and str(row["application_id"]),
        environment=row["environment"],
    )
