"""Before a revision destroys rows there has to be a snapshot to go back to (A9).

Making one may take longer than a function may run, and a half-made one is none. So this only looks: a deployment
with a destructive revision begins with a snapshot made by hand (docs/migrations.md).
"""

from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

from alembic.script import Script

from functions.settings import settings
from functions.telemetry import logger

MOST_AGE = timedelta(hours=1)  # what an hour of traffic wrote can still be sent again by hand


class SnapshotMissingError(Exception):
    """There is no snapshot that a destructive revision could be undone with."""


def require_for(pending: Iterable[Script], now: datetime | None = None) -> None:
    """Raise SnapshotMissingError if one of these revisions is destructive and no snapshot is young enough.

    A snapshot counts from when it was begun, and once it is available. A database that is named by a URL is
    somebody else's to back up: that is said in the log, and nothing asked.
    """
    destructive = [script.revision for script in pending if getattr(script.module, "destructive", False)]
    if not destructive:
        return
    database = settings().database
    if database.url:
        logger.warning("destructive revisions: no snapshot is asked of a database by URL", revisions=destructive)
        return
    oldest = (now or datetime.now(UTC)) - MOST_AGE
    found = max((made for made in _available(database.instance_id) if made > oldest), default=None)
    if found is None:
        raise SnapshotMissingError(_sentence(destructive, database.instance_id))
    logger.info("destructive revisions", revisions=destructive, snapshot_of=found.isoformat())


def _available(instance_id: str) -> Iterator[datetime]:
    """When the finished snapshots of the instance were begun, automatic ones and those made by hand."""
    import boto3  # noqa: PLC0415 - 250 ms that no other deployment pays

    pages = boto3.client("rds").get_paginator("describe_db_snapshots").paginate(DBInstanceIdentifier=instance_id)
    for page in pages:
        for snapshot in page["DBSnapshots"]:
            if snapshot["Status"] == "available":
                yield snapshot["SnapshotCreateTime"]


def _sentence(revisions: list[str], instance_id: str) -> str:
    name = f"{instance_id}-before-{revisions[0]}"
    return (
        f"destructive: {', '.join(revisions)}, and no snapshot of {instance_id} is younger than an hour. Make one:"
        f" aws rds create-db-snapshot --db-instance-identifier {instance_id} --db-snapshot-identifier {name}"
        f" && aws rds wait db-snapshot-available --db-snapshot-identifier {name}; then deploy again"
    )
