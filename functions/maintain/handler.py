"""Entry point of the maintenance function: `{"job": "<name>"}` runs a job and answers its counts."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

from functions.adapters import measuring, timing
from functions.adapters.database import connect_owner
from functions.domain.figures import heartbeats
from functions.maintain import (
    archive,
    dead_letters,
    expired_secrets,
    gauges,
    idempotency_keys,
    inbound_retention,
    orphans,
    partitions,
    project_retention,
    recall,
    restore,
    retention,
    statistics,
    vacuum,
)
from functions.maintain.run import Run
from functions.statements import named
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

JOBS: dict[str, Callable[[Run], dict[str, Any]]] = {
    "archive": archive.run,
    "dead_letters": dead_letters.run,
    "expired_secrets": expired_secrets.run,
    "gauges": gauges.run,
    "idempotency_keys": idempotency_keys.run,
    "inbound_retention": inbound_retention.run,
    "orphans": orphans.run,
    "partitions": partitions.run,
    "project_retention": project_retention.run,
    "recall": recall.run,
    "restore": restore.run,
    "retention": retention.run,
    "statistics": statistics.run,
    "vacuum": vacuum.run,
}
MARGIN_MS = 60_000  # a batch that began in time ends in time; a quarter of the invocation when that is shorter
# A session's own lock: the maintenance function is on the instance, behind no pooler, and a run that was killed
# gives it back with its connection.
ALONE = named("maintain.alone", text("SELECT pg_try_advisory_lock(hashtextextended('maintain.' || :job, 0))"))


@logger.inject_lambda_context
@timing.reported
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Answers the job's counts, or `{"skipped": 1}` while another run of the same job is under way.

    Raises ValueError for a job there is not, and what the job raises: the invocation then counts as failed.
    """
    name = event.get("job")
    if name not in JOBS:
        raise ValueError(f"no job {name!r}; there are: {', '.join(sorted(JOBS))}")
    left = context.get_remaining_time_in_millis()
    run = Run(seconds=(left - min(MARGIN_MS, left // 4)) / 1000, parameters={**event} | {"job": name})
    with connect_owner() as connection:
        if not connection.execute(ALONE, {"job": name}).scalar_one():
            logger.info("another run of this job is under way", job=name)
            return {"skipped": 1}
        connection.commit()
        counts = _remembered(connection, name, run)
    logger.info("maintenance done", job=name, counts=counts)
    return counts


def _remembered(connection: Connection, name: str, run: Run) -> dict[str, Any]:
    """The job's counts, which its heartbeat keeps, as it keeps the error of a run that failed."""
    beat = heartbeats.job(name)
    try:
        with measuring.measured("maintain", f"maintain.{name}"):
            counts = JOBS[name](run)
    except Exception as error:
        _remember(connection, partial(heartbeats.failed, connection, beat, run.now, error))
        raise
    _remember(connection, partial(heartbeats.succeeded, connection, beat, run.now, counts))
    return counts


def _remember(connection: Connection, beat: Callable[[], None]) -> None:
    """What the job did, or died of, counts for more than a heartbeat that cannot be written."""
    try:
        with connection.begin():
            beat()
    except DBAPIError:
        logger.exception("no heartbeat written")
