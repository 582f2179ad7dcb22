"""Entry point of the metrics function: lines of logs in, rows of request_metrics and operation_metrics out.

CloudWatch Logs invokes it asynchronously, and again when it fails. Its own log has no subscription: what it says
of itself must not come back to it ("Log recursion prevention",
https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Subscriptions-recursion-prevention.html).
"""

from typing import TYPE_CHECKING, Any

from functions.adapters import timing
from functions.metrics import lines, rows, storing
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@timing.reported
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, int]:
    """Answers how many rows of each kind were `stored`, how many were `known` already, and what was `skipped`.

    Raises sqlalchemy.exc.DBAPIError only while the database is away: the same lines then come again, and what of
    them was stored is known. What cannot be read or stored would fail each time, and is skipped.
    """
    found = rows.of(lines.of(event))
    counts = {"requests": 0, "operations": 0, "known": 0, "skipped": found.skipped}
    for kind in ("requests", "operations"):
        done = storing.store(kind, getattr(found, kind))
        counts[kind] += done.stored
        counts["known"] += done.known
        counts["skipped"] += done.refused
    if counts["skipped"]:
        logger.warning("metrics skipped", counts=counts)
    return counts
