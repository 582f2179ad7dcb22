"""Entry point of the delivery function: SQS records in, the failed ones out."""

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from functions.adapters import queues
from functions.adapters.database import again
from functions.adapters.queues import Message
from functions.adapters.sender import Response, send
from functions.deliver import dead_letters
from functions.deliver.claims import claim
from functions.deliver.dead_letters import Fate
from functions.deliver.outbound import Outbound
from functions.deliver.records import Follow, record, rows_of
from functions.deliver.unsent import set_aside
from functions.domain import messages
from functions.domain.egress import may_connect
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

LEASE_MARGIN_MS = 5_000  # past the end of the invocation, after which nothing of it can record any more
RECORD_AT_ONCE = 100  # outcomes a statement
RECORD_AFTER_SECONDS = 0.5  # so that what is done does not wait for what hangs


@logger.inject_lambda_context
def handler(event: dict[str, Any], context: "LambdaContext") -> dict[str, Any]:
    """Deliver what the messages name.

    A customer's failing endpoint is an outcome and its message is acknowledged. A message fails only when it is
    not ours, or when it is a dead letter on its way to the DLQ.
    """
    batch = Batch(event["Records"])
    if batch.tokens:
        _deliver(batch.tokens, context)
    for record_, letter in batch.dead:
        _bury(batch, record_, letter)
    batch.bounce()
    return {"batchItemFailures": [{"itemIdentifier": failed["messageId"]} for failed in batch.failed]}


class Batch:
    """The received messages by what they are."""

    def __init__(self, records: list[dict[str, Any]]) -> None:
        self.tokens: dict[str, int] = {}
        self.dead: list[tuple[dict[str, Any], messages.DeadLetter]] = []
        self.failed: list[dict[str, Any]] = []
        for record_ in records:
            self._sort(record_)

    def _sort(self, record_: dict[str, Any]) -> None:
        try:
            message = messages.parse(record_["body"])
        except messages.ForeignMessageError as error:
            logger.error(
                "foreign message, left to the redrive policy",
                message_id=record_["messageId"],
                error=str(error),
            )
            self.failed.append(record_)
            return
        if isinstance(message, messages.DeadLetter):
            self.dead.append((record_, message))
        else:
            self.tokens |= message.tokens

    def bounce(self) -> None:
        """Make the failed messages visible at once, so that they reach the DLQ in seconds, not in half an hour."""
        by_queue: dict[str, list[str]] = {}
        for record_ in self.failed:
            by_queue.setdefault(record_["eventSourceARN"], []).append(record_["receiptHandle"])
        for arn, handles in by_queue.items():
            queues.make_visible(_queue_url(arn), handles)


def _deliver(tokens: dict[str, int], context: "LambdaContext") -> None:
    claims = again(lambda: claim(tokens, context.get_remaining_time_in_millis() + LEASE_MARGIN_MS))
    outbound = Outbound(set_aside(claims), context)
    done: list[Response] = []
    since = time.monotonic()
    for response in send(outbound.requests(), may_connect=may_connect):
        if response is not None:
            outbound.done(response)
            done.append(response)
        if len(done) >= RECORD_AT_ONCE or (done and time.monotonic() - since > RECORD_AFTER_SECONDS):
            _record(done)
            done, since = [], time.monotonic()
    _record(done)
    outbound.give_back()


def _record(responses: list[Response]) -> None:
    if not responses:
        return
    recorded = record(rows_of(responses))
    logger.info(
        "recorded",
        attempts=len(responses),
        retries=len(recorded.retries),
        dead=len(recorded.dead),
        stale=recorded.stale,
    )
    queues.send(settings().retry_queue_url, _retries(recorded.retries))
    queues.send(
        settings().retry_queue_url,
        (Message(messages.dead(messages.DeadLetter(d.id, d.token)), d.project_id) for d in recorded.dead),
        once=True,  # a second copy would be taken for the first one redriven
    )


def _retries(follows: list[Follow]) -> Iterator[Message]:
    """Those due in the same second to the same project share messages."""
    together: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for follow in follows:
        together.setdefault((follow.project_id, follow.delay_seconds), []).append((follow.id, follow.token))
    for (project_id, delay), deliveries in together.items():
        for body in messages.pack(deliveries):
            yield Message(body, project_id, delay)


def _bury(batch: Batch, record_: dict[str, Any], letter: messages.DeadLetter) -> None:
    judged = dead_letters.judge(letter, record_["messageId"])
    logger.info("dead letter message", dead_letter_id=letter.id, fate=judged.fate)
    if judged.fate is Fate.DYING:
        batch.failed.append(record_)
    elif judged.delivery_id is not None:
        body = next(messages.pack([(judged.delivery_id, judged.token)]))
        queues.send(settings().retry_queue_url, [Message(body, judged.project_id)])


def _queue_url(arn: str) -> str:
    """The URL of one of our queues by the ARN in its records."""
    name = arn.rpartition(":")[2]
    ours = (settings().delivery_queue_url, settings().retry_queue_url)
    return next(url for url in ours if url.rpartition("/")[2] == name)
