"""The job `retention`: takes archived partitions out of the database, and thins out those that have to stay.

A partition goes when its archive is verified and nothing in it is needed (domain/retention.py). That is looked at
before anybody is made to wait, and again in the transaction that takes the partition out, when nobody can change
it any more. If that look takes longer than others may wait, it is made afterwards, and what is needed is put back.
Then the table is compared with its archive, chunk by chunk, and dropped. A run that dies in between leaves a table
that the next run knows by its archive.
"""

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from functions.adapters.database import connect_owner
from functions.adapters.objects import Bucket
from functions.domain import attachment, retention
from functions.domain.archives import records, rows, writing
from functions.domain.archives.files import Store
from functions.domain.archives.records import Archive
from functions.domain.archives.thinning import Thinning
from functions.domain.partitions import Partition, Series, all_series, existing
from functions.maintain.archive import limits
from functions.maintain.damage import Damage
from functions.maintain.patience import alone, is_in_use, patiently
from functions.maintain.run import Run
from functions.settings import settings
from functions.telemetry import logger

OWN_IDS = 5_000  # a batch of event ids: 50 ms
COUNTS = ("dropped", "kept", "thinned", "rewritten", "waiting_for_archive", "held", "busy", "left")


def run(run: Run) -> dict[str, int]:
    """Answers how many partitions past their age were

    `dropped`; `kept`, because something in them is needed; `waiting_for_archive`; `held` as restored; `busy`: in
    use for as long as we may wait; `left` for the next run. And rows `thinned` out of what was kept, and chunks
    `rewritten` because rows had changed after they were archived. Raises what the database and S3 raise, and
    DamagedError when all others are done.
    """
    counts: Counter[str] = Counter(dict.fromkeys(COUNTS, 0))
    store = Bucket(settings().archive_bucket) if settings().archive_bucket else None
    handled: set[Partition] = set()
    damage = Damage()
    with connect_owner() as connection:
        for look in (_taken_out, _past_their_age):  # first back with what is needed, then on with the others
            for series in all_series():
                known = {archive.partition: archive for archive in records.archives_of(connection, series)}
                for partition in look(connection, series, run):
                    if partition in handled:
                        continue
                    handled.add(partition)
                    archive = known.get(partition.name)
                    with damage.passed_over(partition.name):
                        counts[_handled(connection, store, series, partition, archive, run, counts)] += 1
    if counts["waiting_for_archive"]:
        logger.warning("partitions wait for their archive", partitions=counts["waiting_for_archive"])
    damage.tell()
    return dict(counts)


def _taken_out(connection: Connection, series: Series, _run: Run) -> list[Partition]:
    """Archived partitions with a table that is not attached: of a run that died, or restored and not fitting."""
    attached = existing(connection, series.table)
    return [one for one in records.present(connection, series) if one not in attached]


def _past_their_age(connection: Connection, series: Series, run: Run) -> list[Partition]:
    ages = settings().retention
    return [one for one in existing(connection, series.table) if retention.is_due(series, one, ages, run.now)]


def _handled(
    connection: Connection,
    store: Store | None,
    series: Series,
    partition: Partition,
    archive: Archive | None,
    run: Run,
    counts: Counter[str],
) -> str:
    """What became of one partition, as its count is called."""
    if store is None or archive is None or not archive.is_verified:
        return "waiting_for_archive"
    if archive.is_held(run.now):
        return "held"
    if not run.has_time():
        return "left"
    with alone(connection, partition.name) as mine:
        if not mine:
            return "busy"
        archive = records.again(connection, archive)
        if archive.is_held(run.now):
            return "held"
        became = _Removal(connection, store, series, partition, archive, run, counts).carry_out()
    logger.info("partition past its age", partition=partition.name, became=became)
    return became


class _NeededError(Exception):
    """Somebody retried or replayed while the partition was about to be taken out."""


@dataclass(frozen=True)
class _Removal:
    """One partition on its way out."""

    connection: Connection
    store: Store
    series: Series
    partition: Partition
    archive: Archive
    run: Run
    counts: Counter[str]

    def carry_out(self) -> str:
        if self.partition in existing(self.connection, self.series.table):
            if self._is_needed():
                return self._thin_out()
            try:
                if not self._patiently(self._take_out):
                    return "busy"
            except _NeededError:
                return "kept"
        return self._put_back() if self._is_needed() else self._drop()

    def _is_needed(self) -> bool:
        with self.connection.begin():
            return retention.is_needed(self.connection, self.series, self.partition)

    def _take_out(self) -> None:
        with self.connection.begin():
            attachment.detach(self.connection, self.series, self.partition, settings().archiving.lock_ms)
            if self._is_needed_at_a_glance():
                raise _NeededError

    def _is_needed_at_a_glance(self) -> bool:
        """False also where there are more unfinished deliveries than can be looked through while others wait."""
        try:
            with self.connection.begin_nested():
                retention.hurry(self.connection, settings().archiving.lock_ms)
                return retention.is_needed(self.connection, self.series, self.partition)
        except DBAPIError as error:
            if not is_in_use(error):
                raise
            return False

    def _thin_out(self) -> str:
        """Something stays for the sake of what is not finished; the rest goes in batches."""
        try:
            deleted = Thinning(
                self.connection,
                self.store,
                self.archive,
                self.series,
                self.partition,
                lock_ms=settings().archiving.lock_ms,
                now=self.run.now,
                has_time=self.run.has_time,
            ).carry_out()
        except DBAPIError as error:
            if not is_in_use(error):
                raise
            return "busy"
        self.counts["thinned"] += deleted
        logger.warning(
            "partition stays: it has unfinished deliveries or what belongs to them",
            partition=self.partition.name,
            thinned=deleted,
        )
        return "kept"

    def _put_back(self) -> str:
        """A delivery was reopened while the partition was taken out, or before the last run died."""
        if not self._patiently(self._attach):
            logger.error("needed, and cannot be attached: the next run tries again", partition=self.partition.name)
            return "busy"
        return "kept"

    def _drop(self) -> str:
        if self.series.table == "webhook_events" and not self._forget_own_ids():
            return "left"
        rewritten, settled = writing.settle(
            self.connection, self.store, self.archive, limits(), self.run.now, self.run.has_time
        )
        self.counts["rewritten"] += rewritten
        if not settled:
            return "left"
        return "dropped" if self._patiently(self._drop_table) else "busy"

    def _drop_table(self) -> None:
        with self.connection.begin():
            attachment.drop(self.connection, self.partition, settings().archiving.lock_ms)
            records.dropped(self.connection, self.archive, self.run.now)

    def _forget_own_ids(self) -> bool:
        """The callers' own ids of its events, in batches; whether that is all of them."""
        after = rows.FIRST
        while self.run.has_time():
            with self.connection.begin():
                ids = retention.with_own_id(self.connection, self.partition, after, OWN_IDS)
                if not ids:
                    return True
                retention.forget_own_ids(self.connection, self.partition, ids)
            after = ids[-1]
        return False

    def _attach(self) -> None:
        attachment.attach(self.connection, self.series, self.partition, settings().archiving.lock_ms)

    @staticmethod
    def _patiently(change: Callable[[], None]) -> bool:
        return patiently(change, settings().archiving.lock_tries)
