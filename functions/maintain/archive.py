"""The job `archive`: copies partitions past their age to the archive, and reads back what it wrote (D11, P13).

The partitions stay; the job `retention` takes out what is verified. Every step is noted when it is done, so that a
run goes on where the last one ended or died.
"""

from collections import Counter

from sqlalchemy import Connection

from functions.adapters.database import connect_owner
from functions.adapters.objects import Bucket
from functions.domain import retention
from functions.domain.archives import records, writing
from functions.domain.archives.files import Limits, Store
from functions.domain.archives.records import Archive
from functions.domain.partitions import all_series, existing
from functions.maintain.damage import Damage
from functions.maintain.patience import alone
from functions.maintain.run import Run
from functions.settings import settings
from functions.telemetry import logger


def run(run: Run) -> dict[str, int]:
    """Answers chunks `written` and `read_back`, partitions `verified`, and those `left` for the next run.

    Without a bucket nothing is archived: `no_bucket` is then 1. Raises what S3 and the database raise, and
    DamagedError when all others are done.
    """
    if not settings().archive_bucket:
        logger.warning("no ARCHIVE_BUCKET: nothing is archived, and nothing is dropped")
        return {"no_bucket": 1}
    store = Bucket(settings().archive_bucket)
    counts: Counter[str] = Counter(written=0, read_back=0, verified=0, left=0)
    damage = Damage()
    with connect_owner() as connection:
        for series in all_series():
            for partition in existing(connection, series.table):
                if not retention.is_due(series, partition, settings().retention, run.now):
                    break
                with damage.passed_over(partition.name), alone(connection, partition.name) as mine:
                    archive = records.begin(connection, series, partition)
                    if archive.is_verified:
                        continue
                    done = mine and _archive(connection, store, archive, run, counts)
                    counts["verified" if done else "left"] += 1
    damage.tell()
    return dict(counts)


def limits() -> Limits:
    return Limits(settings().archiving.chunk_rows, settings().archiving.chunk_mib << 20)


def _archive(connection: Connection, store: Store, archive: Archive, run: Run, counts: Counter[str]) -> bool:
    """One partition, as far as there is time; whether it is verified."""
    if archive.state == "writing":
        written, complete = writing.write_rest(connection, store, archive, limits(), run.now, run.has_time)
        counts["written"] += written
        if not complete:
            return False
        records.written(connection, archive, run.now)
        writing.seal(connection, store, archive)
    read_back, complete = writing.verify(connection, store, archive, run.now, run.has_time)
    counts["read_back"] += read_back
    if complete:
        records.checked(connection, archive, run.now)
        writing.seal(connection, store, archive)
        records.verified(connection, archive)
        logger.info("partition archived", partition=archive.partition, manifest=archive.manifest_key)
    return complete
