"""The job `partitions`: makes the partitions of the coming days and months."""

from functions.adapters.database import connect_owner
from functions.domain.partitions import make_missing
from functions.telemetry import logger


def run() -> dict[str, int]:
    """Runs again and again without harm; answers how many partitions were made."""
    with connect_owner() as connection:
        made = make_missing(connection)
    for name in made:
        logger.info("partition made", partition=name)
    return {"made": len(made)}
