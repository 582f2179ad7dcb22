"""The job `recall`: puts an archived month of change events or crawl sessions back into its table, for some days.

`{"job": "recall", "table": "change_events", "month": "2025-11"}`, and `days`, for how long (7). The files are
checked against what was noted of them, and then every row comes back that is not there and whose source still is.
The job `inbound_retention` deletes them again after that time, and archives anew only what changed.
"""

import re
from datetime import UTC, datetime, timedelta

from functions.adapters.database import connect_owner
from functions.adapters.objects import Bucket
from functions.domain.archives import moving, records
from functions.domain.archives.moving import TABLES, Moved
from functions.maintain.patience import alone
from functions.maintain.run import Run
from functions.settings import settings

DAYS, MOST_DAYS = 7, 365
MONTH = re.compile(r"\d{4}-\d\d", re.ASCII)


def run(run: Run) -> dict[str, int]:
    """How many rows came back (`recalled`), of how many that are archived; `busy`: 1 when it is worked on.

    Raises ValueError for parameters that make no sense, RuntimeError without a bucket, DamagedError for a file
    that is not what was written: then nothing came back.
    """
    moved, month, days = _wanted(run)
    if not settings().archive_bucket:
        raise RuntimeError("no ARCHIVE_BUCKET: there is no archive to recall from")
    store = Bucket(settings().archive_bucket)
    with connect_owner() as connection:
        found = [one for one in records.archives_of(connection, moved.series) if one.start == month]
        if not found:
            raise ValueError(f"nothing of {moved.table} is archived of that month")
        with alone(connection, found[0].partition) as mine:
            if not mine:
                return {"recalled": 0, "archived": 0, "busy": 1}
            archive = records.again(connection, found[0])
            if archive.state == "writing":
                moving.seal(connection, store, archive, run.now)
            moving.check(connection, store, archive)
            until = run.now + timedelta(days=days)
            records.hold(connection, archive, max(until, archive.restored_until or until))
            recalled = moving.put_back(connection, store, archive)
            archived = sum(chunk.rows for chunk in records.chunks_of(connection, archive))
    return {"recalled": recalled, "archived": archived, "busy": 0}


def _wanted(run: Run) -> tuple[Moved, datetime, int]:
    given = run.parameters
    tables = {moved.table: moved for moved in TABLES}
    if given.get("table") not in tables:
        raise ValueError(f"`table` must be one of {', '.join(sorted(tables))}")
    month, days = str(given.get("month")), given.get("days", DAYS)
    if MONTH.fullmatch(month) is None:
        raise ValueError("`month` must be a month such as 2025-11")
    if not isinstance(days, int) or not 1 <= days <= MOST_DAYS:
        raise ValueError(f"`days` must be a whole number from 1 to {MOST_DAYS}")
    return tables[given["table"]], datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC), days
