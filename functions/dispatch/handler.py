"""Entry point of the dispatch function."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from functions.adapters import measuring, metrics, outbox, queues, timing
from functions.adapters.database import transaction
from functions.adapters.outbox import Follow
from functions.adapters.queues import Message
from functions.dispatch.disabling import disable_failing
from functions.dispatch.sweeps import Due, due_dead_letters, due_deliveries, due_jobs, due_lines, due_rescrapes
from functions.domain import messages
from functions.domain.figures import heartbeats
from functions.domain.figures.measures import DISPATCHER_HEARTBEAT
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

DISABLED_AT_ONCE = 100  # webhooks a transaction: rare, unless a whole network is gone
BATCH = 1000  # rows a statement: ten messages, one call to SQS
LAST_BATCH_MS = 5_000  # a batch takes well under a second; what is left waits for the next minute


@logger.inject_lambda_context
@timing.reported
def handler(_event: dict[str, Any], context: "LambdaContext") -> dict[str, int]:
    """Send what is due until nothing is, or the time is up. Answers how many of each were sent.

    Webhooks whose endpoints have failed for days are disabled; `disabled` is how many.
    """
    counts = {
        name: _measured(name, work)
        for name, work in (
            ("deliveries", lambda: _drain(due_deliveries, _send_deliveries, context)),
            ("lines", lambda: _drain(due_lines, _send_deliveries, context)),
            ("dead_letters", lambda: _drain(due_dead_letters, _send_dead_letters, context)),
            ("jobs", lambda: _drain(due_jobs, _send_jobs, context)),
            ("rescrapes", lambda: _drain(due_rescrapes, _send_rescrapes, context)),
            ("disabled", lambda: _disable(context)),
        )
    }
    with transaction() as connection:
        heartbeats.succeeded(connection, heartbeats.DISPATCH, datetime.now(UTC), counts)
    metrics.publish({DISPATCHER_HEARTBEAT: 1})
    logger.info("dispatched", counts=counts)
    return counts


def _measured(name: str, work: Callable[[], int]) -> int:
    with measuring.measured("dispatch", f"dispatch.{name}") as sweep:
        found = work()
        sweep.count(found=found)
    return found


def _drain(
    sweep: Callable[[int], list[Due] | None], send: Callable[[list[Due]], None], context: "LambdaContext"
) -> int:
    total = 0
    while context.get_remaining_time_in_millis() > LAST_BATCH_MS:
        due = sweep(BATCH)
        if due is None:
            logger.info("another dispatcher is at work")
            break
        send(due)
        total += len(due)
        if len(due) < BATCH:
            break
    return total


def _send_deliveries(due: list[Due]) -> None:
    """First attempts to the delivery queue, later ones to the retry queue."""
    outbox.send(settings().delivery_queue_url, (one for one in due if not one.again))
    outbox.send(settings().retry_queue_url, (one for one in due if one.again))


def _send_dead_letters(due: list[Due]) -> None:
    outbox.send_dead(settings().retry_queue_url, due)


def _send_jobs(due: list[Due]) -> None:
    bodies = ((messages.job(messages.Job(d.id, d.token)), d.project_id) for d in due)
    queues.send(settings().jobs_queue_url, (Message(body, project_id) for body, project_id in bodies))


def _send_rescrapes(due: list[Due]) -> None:
    """But for those that failed for good: their functions were lost as often as they may be tried."""
    outbox.send_rescrapes(settings().rescrape_queue_url, (one for one in due if one.again))


def _disable(context: "LambdaContext") -> int:
    total = 0
    while context.get_remaining_time_in_millis() > LAST_BATCH_MS:
        webhooks, notices = disable_failing(DISABLED_AT_ONCE)
        outbox.send(settings().delivery_queue_url, (Follow(*notice) for notice in notices))
        total += webhooks
        if webhooks < DISABLED_AT_ONCE:
            break
    return total
