"""The job `gauges`: measures how the database is doing, keeps the report, and publishes its figures as metrics."""

from functions.adapters import metrics
from functions.adapters.database import connect_owner
from functions.domain.figures import kept, report
from functions.maintain.run import Run
from functions.settings import settings
from functions.telemetry import logger


def run(run: Run) -> dict[str, int]:
    """Answers how many tables were measured, problems found, parts that could not be read, reports pruned."""
    with connect_owner() as connection:
        taken = report.take(connection, run.now, settings())
        with connection.begin():
            kept.keep(connection, run.now, taken)
            pruned = kept.prune(connection, run.now)
    metrics.publish(taken["measures"])
    for problem in taken["problems"]:
        logger.warning(problem["message"], problem=problem["code"], severity=problem["severity"])
    return {
        "tables": len(taken["tables"] or ()),
        "problems": len(taken["problems"]),
        "unavailable": len(taken["unavailable"]),
        "pruned": pruned,
    }
