"""Entry point of the jobs function."""

from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError

from functions.adapters import measuring, outbox, queues, timing
from functions.adapters.database import again, is_transient
from functions.adapters.outbox import Follow
from functions.adapters.queues import Message
from functions.domain import messages
from functions.jobs import progress
from functions.jobs.progress import Done
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext


@logger.inject_lambda_context(clear_state=True)
@timing.reported
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """Do the batch that each message names. Only a message that is not ours fails.

    Raises sqlalchemy.exc.DBAPIError while the database is away: the message then comes again.
    """
    failed = [record["messageId"] for record in event["Records"] if not _handled(record)]
    return {"batchItemFailures": [{"itemIdentifier": id} for id in failed]}


def _handled(record: dict[str, Any]) -> bool:
    try:
        message = messages.parse_job(record["body"])
    except messages.ForeignMessageError as error:
        id = record["messageId"]
        logger.error("foreign message, left to the redrive policy", message_id=id, error=str(error))
        queues.make_visible(settings().jobs_queue_url, [record["receiptHandle"]])
        return False
    done = _batch(message)
    if done is None:
        logger.info("stale message", job_id=message.id, token=message.token)
    else:
        _follow(done)
    return True


def _batch(message: messages.Job) -> Done | None:
    try:
        with measuring.measured("job", "jobs.batch", job_id=message.id) as batch:
            done = again(lambda: progress.advance(message.id, message.token))
            if done is not None:
                batch.belongs_to(done.project_id)
                batch.count(changed=done.changed)
            return done
    except Exception as error:
        if isinstance(error, DBAPIError) and is_transient(error):
            raise
        logger.exception("batch failed", job_id=message.id)
        return again(lambda: progress.note_failure(message.id, message.token))


def _follow(done: Done) -> None:
    """What a batch leaves to do after its commit. Were the function to end here, dispatch would go on."""
    logger.set_correlation_id(done.correlation_id)
    logger.info("batch", job_id=done.id, kind=done.kind, status=done.status, changed=done.changed)
    # By the slow lane: what is sent again in bulk does not stand in front of new events.
    outbox.send(settings().retry_queue_url, (Follow(id, token, done.project_id) for id, token in done.due))
    if done.status == "running":
        body = messages.job(messages.Job(done.id, done.token))
        queues.send(settings().jobs_queue_url, [Message(body, done.project_id, done.delay_seconds)])
