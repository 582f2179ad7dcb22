"""Entry point of the maintenance function: `{"job": "<name>"}` runs a job and answers its counts."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from functions.maintain import partitions
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

JOBS: dict[str, Callable[[], dict[str, int]]] = {"partitions": partitions.run}


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, int]:
    """Raises ValueError for a job there is not, and what the job raises: the invocation then counts as failed."""
    name = event.get("job")
    if name not in JOBS:
        raise ValueError(f"no job {name!r}; there are: {', '.join(sorted(JOBS))}")
    counts = JOBS[name]()
    logger.info("maintenance done", job=name, counts=counts)
    return counts
