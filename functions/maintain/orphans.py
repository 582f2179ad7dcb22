"""The job `orphans`: finds rows that refer to what is not there, where no foreign key keeps it from happening.

Why they are no keys is in docs/decisions/foreign-keys.md. It repairs nothing: such a row is evidence of a fault.
What is older than it is kept may be gone (archived, or deleted by its project's own retention), unless something
that is unfinished or pending needs it: then it has to be there, however old.

Nothing is remembered between runs. Each day's run looks at what came in the last two days, since a new fault shows
there first, and at a thirtieth of the rest: which one follows from the date, so that in thirty days all was looked
at. With `since` and `until` it looks at that time instead.
"""

import json
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Connection, text

from functions.adapters.database import connect_owner
from functions.domain.ids import uuid7_floor
from functions.maintain import references
from functions.maintain.references import Table
from functions.maintain.run import Run
from functions.settings import settings
from functions.statements import named
from functions.telemetry import logger

CYCLE = 30  # days in which everything is looked at
NEWEST = timedelta(days=2)
AHEAD = timedelta(days=1)  # of keys that a clock made which is fast
BATCH = 10_000  # rows: a second
PAGES = 1_000  # of 8 KB, a batch of the table that is read by its pages

SIZE = named(
    "maintain.orphans.pages",
    text("SELECT pg_relation_size('webhook.webhook_event_ids') / CAST(current_setting('block_size') AS integer)"),
)


@dataclass
class Looking:
    """What a run has found, and how it goes on."""

    run: Run
    connection: Connection
    counts: dict[str, int]
    samples: dict[str, list[str]]

    def take(self, table: Table, bounds: dict[str, Any]) -> str | None:
        """Look at the next rows; the key of the last one, None when there are none."""
        kept = settings().retention
        given = {
            **bounds,
            "now": self.run.now,
            "events_days": kept.events_days,
            "deliveries_days": kept.deliveries_days,
        }
        seen = json.loads(self.connection.execute(table.statement, given).scalar_one())
        self.connection.commit()
        self.counts["looked"] += seen["looked"]
        for name in table.references:
            count, sample = seen["found"][name]
            self.counts[name] += count
            self.samples.setdefault(name, []).extend(sample or ())
        last: str | None = seen["last"]
        return last


def run(run: Run) -> dict[str, int]:
    """How many rows were `looked` at, how many of them refer to nothing, by reference, and whether time ran out
    before the end (`unfinished`)."""
    counts = dict.fromkeys(("looked", *references.NAMES, "unfinished"), 0)
    with connect_owner() as connection:
        looking = Looking(run, connection, counts, {})
        asked = _asked(run)
        for table, kept_days in _tables():
            for since, until in [asked] if asked else _windows(run.now, kept_days):
                _walk(looking, table, since, until)
        if asked is None:
            _walk_event_ids(looking)
    for name, sample in looking.samples.items():
        if sample:
            logger.error("rows refer to nothing", reference=name, count=counts[name], sample=sample[:10])
    return counts


def _tables() -> Sequence[tuple[Table, int]]:
    """With the days that their rows are kept."""
    kept = settings().retention
    return (
        (references.DELIVERIES, kept.deliveries_days),
        (references.ATTEMPTS, kept.deliveries_days),
        (references.DEAD_LETTERS, kept.pending_dead_letters_days),
        (references.AUDIT_LOG, kept.audit_log_days),
    )


def _asked(run: Run) -> tuple[datetime, datetime] | None:
    """The time that the event names; days are in UTC. Raises ValueError for what is no date."""
    since, until = (run.parameters.get(name) for name in ("since", "until"))
    if since is None and until is None:
        return None
    return _day(since, datetime(1970, 1, 1, tzinfo=UTC)), _day(until, run.now + AHEAD)


def _day(written: object, default: datetime) -> datetime:
    return default if written is None else datetime.fromisoformat(str(written)).replace(tzinfo=UTC)


def _windows(now: datetime, kept_days: int) -> Iterator[tuple[datetime, datetime]]:
    """The newest rows, and the thirtieth of the others whose turn it is. The oldest are in the last one."""
    yield now - NEWEST, now + AHEAD
    days = math.ceil(kept_days / CYCLE)
    today = now.toordinal()
    oldest = (today - kept_days) // days
    for number in range(oldest, today // days + 1):
        if number % CYCLE == today % CYCLE:
            start = datetime.fromordinal(number * days).replace(tzinfo=UTC)
            yield datetime(1970, 1, 1, tzinfo=UTC) if number == oldest else start, start + timedelta(days=days)


def _walk(looking: Looking, table: Table, since: datetime, until: datetime) -> None:
    after: str | None = uuid7_floor(since)
    while after is not None:
        if not looking.run.has_time():
            looking.counts["unfinished"] = 1
            return
        after = looking.take(table, {"after": after, "until": uuid7_floor(until), "most": BATCH})


def _walk_event_ids(looking: Looking) -> None:
    """A thirtieth of the table's pages: no index has the event's key first."""
    pages = int(looking.connection.execute(SIZE).scalar_one())
    looking.connection.commit()
    slice_ = math.ceil(pages / CYCLE)
    first = looking.run.now.toordinal() % CYCLE * slice_
    for page in range(first, min(first + slice_, pages), PAGES):
        if not looking.run.has_time():
            looking.counts["unfinished"] = 1
            return
        high = min(page + PAGES, first + slice_)
        looking.take(references.EVENT_IDS, {"low": f"({page},0)", "high": f"({high},0)"})
