"""Messages of an invocation: those it was woken with, and those it takes in while it waits for slow endpoints.

A request that hangs holds a socket. Would it hold the invocation, a few dead endpoints could hold all of them, and
everybody's deliveries with them (P6).
"""

import random
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from functions.adapters.queues import Receiving
from functions.deliver.claims import Lane
from functions.domain import messages
from functions.settings import settings
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

# Of the invocation's time, more is taken in for so much: the rest is for what is under way then. Invocations that
# began together do not all stop at the same moment.
SHARE_OF_TIME = (0.4, 0.7)
# Between two looks, so that messages come together: taken one by one as they come, each costs ten times as much.
PAUSE_SECONDS = 0.1


@dataclass(frozen=True)
class Received:
    """A message of a queue; `id` changes when it is redriven."""

    id: str
    receipt_handle: str
    body: str


@dataclass
class Batch:
    """Received messages by what they are."""

    tokens: dict[str, int] = field(default_factory=dict)  # of deliveries
    letters: list[tuple[Received, messages.DeadLetter]] = field(default_factory=list)
    foreign: list[Received] = field(default_factory=list)


def sort(received: list[Received]) -> Batch:
    batch = Batch()
    for one in received:
        try:
            message = messages.parse(one.body)
        except messages.ForeignMessageError as error:
            logger.error("foreign message, left to the redrive policy", message_id=one.id, error=str(error))
            batch.foreign.append(one)
            continue
        if isinstance(message, messages.DeadLetter):
            batch.letters.append((one, message))
        else:
            for id, token in message.tokens.items():  # of two messages for a delivery the older says nothing
                batch.tokens[id] = max(token, batch.tokens.get(id, 0))
    return batch


def of_records(records: list[dict[str, Any]]) -> list[Received]:
    """The messages that Lambda woke the function with."""
    return [Received(one["messageId"], one["receiptHandle"], one["body"]) for one in records]


def lane(record: dict[str, Any]) -> Lane:
    """Which queue a record came from, by its ARN."""
    name = record["eventSourceARN"].rpartition(":")[2]
    return Lane.RETRY if settings().retry_queue_url.rpartition("/")[2] == name else Lane.FRESH


def queue_url(lane: Lane) -> str:
    return settings().retry_queue_url if lane is Lane.RETRY else settings().delivery_queue_url


class Intake:
    """The invocation's own look at its queue, one at a time."""

    def __init__(self, lane: Lane, context: "LambdaContext") -> None:
        share = random.uniform(*SHARE_OF_TIME)  # noqa: S311 - no secret
        self._until = time.monotonic() + context.get_remaining_time_in_millis() / 1000 * share
        self._queue_url = queue_url(lane)
        self._not_before = 0.0
        self.is_open = False

    def open(self) -> Receiving | None:
        """A long poll to be run beside the requests; None while there is one, and when it is too late for more."""
        if self.is_open or not self._not_before <= time.monotonic() <= self._until:
            return None
        self.is_open = True
        return Receiving(self._queue_url)

    def close(self, receiving: Receiving) -> list[Received]:
        """What the long poll brought."""
        self.is_open = False
        self._not_before = time.monotonic() + PAUSE_SECONDS
        return [Received(one["MessageId"], one["ReceiptHandle"], one["Body"]) for one in receiving.messages()]
