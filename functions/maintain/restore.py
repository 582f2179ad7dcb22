"""The job `restore`: brings archived rows back beside the live ones, for some days (A6, P13).

`{"job": "restore", "from": "2026-08-01", "to": "2026-08-03"}` with the first and the last day, in UTC. Also
`tables`, a list, where not all are wanted, and `days`, for how long (7). What overlaps with these days comes back
whole: a month of deliveries for a day of them. It is loaded into a table of the partition's old name, checked
against the manifest and attached, so that the API works on it. The job `retention` takes it out again after that
time, and writes to the archive only what changed.
"""

from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner, sqlstate
from functions.adapters.objects import Bucket
from functions.domain import attachment
from functions.domain.archives import loading, manifest, records
from functions.domain.archives.files import DamagedError, Store
from functions.domain.archives.records import Archive
from functions.domain.partitions import Series, all_series, existing
from functions.maintain.patience import alone, patiently
from functions.maintain.run import Run
from functions.settings import settings
from functions.telemetry import logger

DAYS = 7
MOST_DAYS = 365
# Data exception, integrity constraint violation, invalid definitions, datatype mismatch: the rows are sound,
# but do not fit the tables as they are today (PostgreSQL's manual, Appendix A).
DOES_NOT_FIT = ("22", "23", "42P16", "42P17", "42804")


@dataclass(frozen=True)
class Wanted:
    since: datetime
    until: datetime  # exclusive
    tables: frozenset[str]
    held_until: datetime


@dataclass
class Answer:
    """What the job answers. Not `done`: start it again, it goes on."""

    done: bool = True
    archives: int = 0  # that overlap with the days
    restored: int = 0  # of them, so far
    parts: int = 0  # files of these archives
    loaded: int = 0  # of them, so far
    rows: int = 0  # put into tables by this run
    not_compared: int = 0
    busy: int = 0
    beside: list[dict[str, str]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)

    def later(self, *, busy: int = 0) -> None:
        """Something is left for the next run."""
        self.done = False
        self.busy += busy


def run(run: Run) -> dict[str, Any]:
    """Answers how far it came: `done`, `archives` and `restored`, `parts` and `loaded`, `rows`.

    `beside` names tables whose rows do not fit the live ones, with the reason: they are there under their names
    and not attached. `damaged` says what is not as the manifest has it. Raises ValueError for parameters that make
    no sense, RuntimeError without a bucket.
    """
    wanted = _wanted(run)
    if not settings().archive_bucket:
        raise RuntimeError("no ARCHIVE_BUCKET: there is no archive to restore from")
    store = Bucket(settings().archive_bucket)
    answer = Answer()
    with connect_owner() as connection:
        for series in all_series():
            if series.table in wanted.tables:
                for archive in _overlapping(connection, series, wanted):
                    _restore(connection, store, series, archive, wanted, run, answer)
    return {**vars(answer), "done": int(answer.done)}


def _wanted(run: Run) -> Wanted:
    given = run.parameters
    first, last = (_day(given, name) for name in ("from", "to"))
    if last < first:
        raise ValueError("`to` is before `from`")
    known = {series.table for series in all_series()}
    tables = frozenset(given.get("tables") or known)
    if unknown := tables - known:
        raise ValueError(f"no archives of {min(unknown)}; there are: {', '.join(sorted(known))}")
    days = given.get("days", DAYS)
    if not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise ValueError(f"`days` must be a whole number from 1 to {MOST_DAYS}")
    since, until = (datetime.combine(day, time(), UTC) for day in (first, last + timedelta(days=1)))
    return Wanted(since, until, tables, run.now + timedelta(days=days))


def _day(given: Any, name: str) -> date:
    try:
        return date.fromisoformat(str(given[name]))
    except (KeyError, ValueError):
        raise ValueError(f"`{name}` must be a day such as 2026-08-01") from None


def _overlapping(connection: Connection, series: Series, wanted: Wanted) -> list[Archive]:
    """What is not verified yet is still in the database, all of it."""
    return [
        archive
        for archive in records.archives_of(connection, series)
        if archive.is_verified and archive.start < wanted.until and archive.end > wanted.since
    ]


def _restore(
    connection: Connection,
    store: Store,
    series: Series,
    archive: Archive,
    wanted: Wanted,
    run: Run,
    answer: Answer,
) -> None:
    """One archive, as far as there is time. What is damaged or does not fit does not keep the others back."""
    answer.archives += 1
    with alone(connection, archive.partition) as mine:
        if not mine:
            answer.later(busy=1)
            return
        archive = records.again(connection, archive)
        records.hold(connection, archive, max(wanted.held_until, archive.restored_until or wanted.held_until))
        try:
            if _load(connection, store, series, archive, run, answer):
                _attach(connection, series, archive, run, answer)
        except DamagedError as error:
            logger.error("an archive is damaged", partition=archive.partition, error=str(error))
            answer.damaged.append(str(error))
        except DBAPIError as error:
            if not sqlstate(error).startswith(DOES_NOT_FIT):
                raise
            logger.error("restored rows do not fit", partition=archive.partition, error=str(error.orig))
            answer.beside.append({"table": f"webhook.{archive.partition}", "reason": str(error.orig)})


def _load(
    connection: Connection, store: Store, series: Series, archive: Archive, run: Run, answer: Answer
) -> bool:
    """Whether all rows are in the partition's table, which is made where it is not there."""
    partition = archive.as_partition
    parts = manifest.parts(store, archive)
    answer.parts += len(parts)
    fresh = archive.state == "dropped" and partition not in existing(connection, series.table)
    attachment.make_beside(connection, series, partition)
    loaded, complete = loading.load(connection, store, partition.name, parts, alone=fresh, has_time=run.has_time)
    answer.loaded += loaded.parts
    answer.rows += loaded.rows
    answer.not_compared += loaded.not_compared
    # A large table is attached in a run that has all its time for that.
    ready = complete and (loaded.rows == 0 or run.has_time())
    if not ready:
        answer.later()
    return ready


def _attach(connection: Connection, series: Series, archive: Archive, run: Run, answer: Answer) -> None:
    partition = archive.as_partition
    if partition not in existing(connection, series.table):
        loading.analyze(connection, partition.name)
        limits = settings().archiving
        if not patiently(
            lambda: attachment.attach(connection, series, partition, limits.lock_ms), limits.lock_tries
        ):
            answer.later(busy=1)
            return
    if series.table == "webhook_events":
        loading.recall_own_ids(connection, partition)
    records.restored(connection, archive, run.now)
    answer.restored += 1
    logger.info("partition restored", partition=partition.name)
