"""One standard queue: which of its messages wait, which are in flight, which are delayed. No I/O."""

from collections.abc import Callable
from dataclasses import dataclass

from local.sqs.deadlines import Deadlines
from local.sqs.errors import OVER_LIMIT, SqsError
from local.sqs.fair_order import FairOrder
from local.sqs.message import Message
from local.sqs.queue_attributes import Settings, settings_of

MAX_IN_FLIGHT = 120_000  # per standard queue (SQS quotas)


@dataclass(frozen=True, slots=True)
class Counts:
    """How many messages are in which state; every message is in exactly one."""

    visible: int
    in_flight: int
    delayed: int


class Queue:
    """The messages of one queue by state. Times are ms since the epoch and come from the caller.

    A message is delayed, visible or in flight. Nothing moves on its own: `advance` applies what time has
    done, and every question about visibility is asked after it. No operation but `clear` looks at more
    messages than it returns or than have fallen due.
    """

    def __init__(
        self,
        *,
        name: str,
        arn: str,
        attributes: dict[str, str],
        created_at: int,
        on_visible: Callable[[], None],
        on_hidden: Callable[[], None],
    ) -> None:
        self.name = name
        self.arn = arn
        self.created_at = created_at
        self.purged_at: int | None = None
        self.messages: dict[int, Message] = {}
        self._on_visible = on_visible
        self._on_hidden = on_hidden
        self._order = FairOrder()
        self._in_flight = Deadlines()
        self._delayed = Deadlines()
        self._sent = Deadlines()  # when each message was sent, for the retention period
        self.configure(attributes, created_at)

    def configure(self, attributes: dict[str, str], now: int) -> None:
        """Replace the attributes, which must be valid."""
        self.attributes = attributes
        self.settings: Settings = settings_of(attributes)
        self.modified_at = now

    def put(self, message: Message, now: int) -> None:
        """Take in a message that is new to this queue: visible, delayed or, after a restart, in flight."""
        self.messages[message.seq] = message
        self._sent.set(message.seq, message.sent_at)
        if message.visible_at <= now:
            self._show(message)
        else:
            self._hide(message, self._in_flight if message.receives else self._delayed)

    def advance(self, now: int) -> list[Message]:
        """Show what has become visible; remove and return what has outlived the retention period."""
        for deadlines in (self._in_flight, self._delayed):
            for seq in deadlines.pop_due(now):
                self._show(self.messages[seq])
        expired = self._sent.pop_due(now - self.settings.retention)
        return [message for seq in expired if (message := self.remove(seq)) is not None]

    def take(self) -> Message | None:
        """The next visible message, no longer waiting; the caller holds, shows or removes it."""
        while (seq := self._order.take()) is not None:
            if (message := self.messages.get(seq)) is not None:
                return message
        return None

    def put_back(self, message: Message) -> None:
        """Let a taken message wait again."""
        self._show(message)

    def hold(self, message: Message, now: int, visible_at: int) -> None:
        """A taken message has been received and stays hidden until `visible_at`."""
        message.receives += 1
        message.visible_at = visible_at
        if message.first_received_at is None:
            message.first_received_at = now
        if visible_at <= now:
            self._show(message)
        else:
            self._hide(message, self._in_flight)

    def check_in_flight_limit(self) -> None:
        """Raises SqsError (OverLimit) when no more messages may be received."""
        if len(self._in_flight) >= MAX_IN_FLIGHT:
            raise SqsError(OVER_LIMIT, f"{self.name} has {MAX_IN_FLIGHT} messages in flight, the most it may.")

    def change_visibility(self, message: Message, now: int, visible_at: int) -> bool:
        """Hide an in-flight message until `visible_at`. Returns False, changing nothing, if it is not."""
        if message.seq not in self._in_flight:
            return False
        message.visible_at = visible_at
        if visible_at <= now:
            self._in_flight.discard(message.seq)
            self._show(message)
        else:
            self._hide(message, self._in_flight)
        return True

    def remove(self, seq: int) -> Message | None:
        """Forget a message in whatever state; returns it if it was here."""
        message = self.messages.pop(seq, None)
        if message is not None:
            self._sent.discard(seq)
            self._in_flight.discard(seq)
            self._delayed.discard(seq)
        return message

    def clear(self) -> list[Message]:
        """Forget all messages and return them."""
        removed = list(self.messages.values())
        self.messages.clear()
        self._order, self._in_flight = FairOrder(), Deadlines()
        self._delayed, self._sent = Deadlines(), Deadlines()
        return removed

    def counts(self) -> Counts:
        hidden = len(self._in_flight) + len(self._delayed)
        return Counts(len(self.messages) - hidden, len(self._in_flight), len(self._delayed))

    def next_visible_at(self) -> int | None:
        """When the next hidden message becomes visible, unless something happens to it first."""
        times = [at for at in (self._in_flight.next(), self._delayed.next()) if at is not None]
        return min(times, default=None)

    def _show(self, message: Message) -> None:
        self._order.add(message.seq, message.content.group_id)
        self._on_visible()

    def _hide(self, message: Message, deadlines: Deadlines) -> None:
        deadlines.set(message.seq, message.visible_at)
        self._on_hidden()
