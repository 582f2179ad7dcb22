"""The job `inbound_retention`: change events and crawl sessions past their age go to the archive (A6).

What is unfinished stays: a rescrape that is queued or in progress, a crawl whose end nobody has told and of which
there is still news. The pages of a crawl, kept so that each is counted once, go a month after the last that came.
"""

from collections import Counter
from datetime import datetime, timedelta

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner
from functions.adapters.objects import Bucket
from functions.domain.archives import moving, records
from functions.domain.archives.files import Store
from functions.domain.archives.moving import TABLES, Moved
from functions.domain.archives.records import Archive
from functions.domain.crawls import COUNTED_DAYS
from functions.domain.ids import uuid7_floor
from functions.domain.partitions import made_at
from functions.maintain.damage import Damage
from functions.maintain.patience import alone, is_in_use
from functions.maintain.run import Run
from functions.settings import settings
from functions.statements import named
from functions.telemetry import logger

EVER = datetime.fromisoformat("1970-01-02T00:00:00+00:00")
TRIES = 3  # at a batch of which rows change while it is written
SESSIONS, PAGES = 500, 10_000  # a batch
# A day after its pages are not counted any more: no clock is that far off.
FORGET_DAYS = COUNTED_DAYS + 1

QUIET = named(
    "maintain.inbound_retention.quiet",
    text("""
SELECT CAST(id AS text) FROM webhook.crawl_sessions s
WHERE id > CAST(:after AS uuid) AND id < CAST(:upto AS uuid) AND last_page_at < :before
  AND (SELECT true FROM webhook.crawl_pages p WHERE p.session_id = s.id LIMIT 1)
ORDER BY id LIMIT CAST(:most AS integer)
"""),
)
FORGET = named(
    "maintain.inbound_retention.forget",
    text("""
DELETE FROM webhook.crawl_pages WHERE session_id = CAST(:id AS uuid) AND page_hash IN (
  SELECT page_hash FROM webhook.crawl_pages WHERE session_id = CAST(:id AS uuid) LIMIT CAST(:most AS integer))
"""),
)


def run(run: Run) -> dict[str, int]:
    """How many rows of each table were archived and deleted, and crawl `pages` forgotten; `taken_out`: had been
    put back for some days; `left`: months for the next run; `no_bucket`: 1 where nothing can be archived.

    Raises what S3 and the database raise, and DamagedError when all others are done: no row has gone then that is
    not in a file.
    """
    counts: Counter[str] = Counter(dict.fromkeys((*(moved.table for moved in TABLES), "pages"), 0))
    counts.update({"taken_out": 0, "left": 0, "no_bucket": 0})
    with connect_owner() as connection:
        _forget_pages(connection, run, counts)
        if not settings().archive_bucket:
            logger.warning("no ARCHIVE_BUCKET: change events and crawl sessions stay")
            return {**counts, "no_bucket": 1}
        store, damage = Bucket(settings().archive_bucket), Damage()
        for moved, days in zip(TABLES, _days(), strict=True):
            _finish(connection, store, moved, run, damage, counts)
            _archive(connection, store, moved, run, run.now - timedelta(days=days), damage, counts)
    damage.tell()
    return dict(counts)


def _days() -> tuple[int, int]:
    """How long rows of each table stay."""
    kept = settings().retention
    return kept.change_events_days, kept.crawl_sessions_days


def _finish(
    connection: Connection, store: Store, moved: Moved, run: Run, damage: Damage, counts: Counter[str]
) -> None:
    """What earlier runs left: manifests that lag behind, and months whose days back in the table are over."""
    for archive in records.archives_of(connection, moved.series):
        if not _is_left(connection, archive, run):
            continue
        with damage.passed_over(archive.partition), alone(connection, archive.partition) as mine:
            archive = records.again(connection, archive)  # noqa: PLW2901 - somebody may have recalled it just now
            if mine and not _is_left(connection, archive, run):
                continue
            if mine and _taken_out(connection, store, moved, archive, run, counts):
                moving.seal(connection, store, archive, run.now)
            else:
                counts["left"] += 1


def _is_left(connection: Connection, archive: Archive, run: Run) -> bool:
    if archive.restored_until is not None:
        return not archive.is_held(run.now)
    return archive.state == "writing" and bool(records.chunks_of(connection, archive))


def _taken_out(
    connection: Connection, store: Store, moved: Moved, archive: Archive, run: Run, counts: Counter[str]
) -> bool:
    """Delete what was put back and has not changed; whether that is all of it."""
    if archive.restored_until is None:
        return True
    gone, complete = moving.take_out_again(
        connection, store, moved, archive, lock_ms=_lock(), has_time=run.has_time
    )
    counts["taken_out"] += gone
    return complete


def _archive(
    connection: Connection,
    store: Store,
    moved: Moved,
    run: Run,
    before: datetime,
    damage: Damage,
    counts: Counter[str],
) -> None:
    """Month by month, the oldest first. One that has archived rows back in the table waits until they are out."""
    since = EVER
    while ids := moving.due(connection, moved, since, before):
        if not run.has_time():
            counts["left"] += 1
            return
        archive = moving.begin(connection, moved, made_at(ids[0]))
        with damage.passed_over(archive.partition), alone(connection, archive.partition) as mine:
            archive = records.again(connection, archive)
            if not mine or archive.restored_until is not None:
                counts["left"] += 1
            else:
                _archive_month(connection, store, moved, archive, run, before, counts)
        since = archive.end


def _archive_month(
    connection: Connection,
    store: Store,
    moved: Moved,
    archive: Archive,
    run: Run,
    before: datetime,
    counts: Counter[str],
) -> None:
    """All of the month that is due, in batches, and then its manifest."""
    tries, wrote = TRIES, False
    while tries and run.has_time():
        ids = moving.due(connection, moved, archive.start, min(archive.end, before))
        if not ids:
            break
        try:
            moved_rows = moving.move(connection, store, moved, archive, ids, now=run.now, lock_ms=_lock())
        except DBAPIError as error:
            if not is_in_use(error):
                raise
            moved_rows = 0
        counts[moved.table] += moved_rows
        wrote = wrote or moved_rows > 0
        tries = TRIES if moved_rows else tries - 1
    else:
        counts["left"] += 1
    if wrote:
        moving.seal(connection, store, archive, run.now)


def _forget_pages(connection: Connection, run: Run, counts: Counter[str]) -> None:
    before = run.now - timedelta(days=FORGET_DAYS)
    after, upto = uuid7_floor(EVER), uuid7_floor(before)
    while run.has_time():
        given = {"after": after, "upto": upto, "before": before, "most": SESSIONS}
        with connection.begin():
            quiet = list(connection.execute(QUIET, given).scalars())
        for id in quiet:
            gone = PAGES
            while gone == PAGES and run.has_time():
                with connection.begin():
                    gone = connection.execute(FORGET, {"id": id, "most": PAGES}).rowcount
                counts["pages"] += gone
        if len(quiet) < SESSIONS:
            return
        after = quiet[-1]


def _lock() -> int:
    return settings().archiving.lock_ms
