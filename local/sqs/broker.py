"""All queues of one account and region, and what passes between them. No I/O; the clock is injected."""

import itertools
import re
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from local.sqs import errors
from local.sqs.errors import SqsError, invalid_value, queue_does_not_exist
from local.sqs.journal import Journal
from local.sqs.message import Content, Message, seq_of
from local.sqs.queue import Counts, Queue
from local.sqs.queue_attributes import DEFAULTS, merged, redrive_of

PURGE_PAUSE = 60_000  # ms between two purges of a queue (PurgeQueueInProgress)
_NAME = re.compile(r"[A-Za-z0-9_-]{1,80}")


@dataclass(frozen=True, slots=True)
class StoredQueue:
    """A queue as storage keeps it; times in ms since the epoch."""

    name: str
    attributes: dict[str, str]
    created_at: int
    modified_at: int


class Broker:
    """Queues by name. `clock` gives ms since the epoch, `starts` grows with every start on the same data.

    Every change is noted in `journal`, to be written and cleared by the owner before it is acknowledged.
    `on_visible` and `on_hidden` may be set; they are told the name of a queue each time a message becomes
    visible there or is hidden until a certain time.
    """

    def __init__(self, *, account: str, region: str, clock: Callable[[], int], starts: int = 1) -> None:
        self.account = account
        self.region = region
        self.clock = clock
        self.journal = Journal()
        self.queues: dict[str, Queue] = {}
        self.on_visible: Callable[[str], None] = _ignore
        self.on_hidden: Callable[[str], None] = _ignore
        # Above those of all earlier starts: a receipt handle from then can never name a message of now.
        self._seqs = itertools.count(starts << 40)

    def restore(self, queues: Iterable[StoredQueue], messages: Iterable[Message]) -> None:
        """Take over what storage has kept. Raises KeyError for a message of an unknown queue."""
        now = self.clock()
        for stored in queues:
            queue = self._open(stored.name, stored.attributes, stored.created_at)
            queue.modified_at = stored.modified_at
        for message in messages:
            self.queues[message.queue].put(message, now)

    # Queues

    def create_queue(self, name: str, attributes: dict[str, str]) -> Queue:
        """The queue of that name, made if absent.

        Raises SqsError if one exists with another value for an attribute given here.
        """
        if name.endswith(".fifo"):
            raise SqsError(errors.UNSUPPORTED_OPERATION, f"{name}: this emulator has no FIFO queues.")
        if not _NAME.fullmatch(name):
            text = "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length"
            raise SqsError(errors.INVALID_PARAMETER_VALUE, text)
        wanted = merged({}, attributes)
        if (existing := self.queues.get(name)) is not None:
            _check_same(existing, wanted)
            return existing
        self._check_redrive_target(wanted)
        queue = self._open(name, {**DEFAULTS, **wanted}, self.clock())
        self.journal.queues[name] = queue
        return queue

    def configure(self, queue: Queue, changes: dict[str, str]) -> None:
        """Set attributes. Raises SqsError, changing nothing, if one is unknown or its value is invalid."""
        attributes = merged(queue.attributes, changes)
        self._check_redrive_target(changes)
        queue.configure(attributes, self.clock())
        self.journal.queues[queue.name] = queue

    def queue(self, name: str) -> Queue:
        """The queue of that name. Raises SqsError (QueueDoesNotExist)."""
        if (queue := self.queues.get(name)) is None:
            raise queue_does_not_exist()
        return queue

    def queue_by_arn(self, arn: str) -> Queue | None:
        queue = self.queues.get(arn.rpartition(":")[2])
        return queue if queue is not None and queue.arn == arn else None

    def delete_queue(self, queue: Queue) -> None:
        """Delete a queue with its messages; receivers that wait there are told."""
        for message in queue.clear():
            self.journal.remove(message)
        del self.queues[queue.name]
        self.journal.queues[queue.name] = None
        self.on_visible(queue.name)

    def purge(self, queue: Queue) -> None:
        """Delete all messages. Raises SqsError (PurgeQueueInProgress) within 60 s of the last time."""
        now = self.clock()
        if queue.purged_at is not None and now - queue.purged_at < PURGE_PAUSE:
            text = f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds."
            raise SqsError(errors.PURGE_QUEUE_IN_PROGRESS, text)
        queue.purged_at = now
        for message in queue.clear():
            self.journal.remove(message)

    def sources_of(self, dead_letter_queue: Queue) -> list[Queue]:
        """The queues whose redrive policy names this one."""
        arn = dead_letter_queue.arn
        return [q for q in self.queues.values() if q.settings.redrive and q.settings.redrive.target_arn == arn]

    # Messages

    def send(self, queue: Queue, content: Content, delay: int | None = None) -> Message:
        """Put a new message in; `delay` in ms, by default the queue's."""
        now = self.clock()
        wait = queue.settings.delay if delay is None else delay
        message = Message(
            seq=next(self._seqs),
            queue=queue.name,
            message_id=str(uuid.uuid4()),
            content=content,
            sent_at=now,
            visible_at=now + wait if wait else 0,
        )
        self.journal.add(message)
        if wait:
            self.journal.touch(message)
        queue.put(message, now)
        return message

    def receive(self, queue: Queue, limit: int, visibility: int | None = None) -> list[Message]:
        """Up to `limit` visible messages, hidden from now on for `visibility` ms (by default the queue's).

        Messages that have been received as often as the redrive policy allows go to the dead-letter queue
        instead. Raises SqsError (OverLimit) when too many are in flight.
        """
        now = self.advance(queue)
        queue.check_in_flight_limit()
        hidden_for = queue.settings.visibility if visibility is None else visibility
        received = self._take(queue, limit, now)
        for message in received:  # only now, or a message hidden for 0 ms would be taken twice
            queue.hold(message, now, now + hidden_for)
            self.journal.touch(message)
        return received

    def delete(self, queue: Queue, handle: str) -> None:
        """Delete a message; one that is gone already is no error. Raises SqsError for a bad handle."""
        if (message := queue.remove(seq_of(queue.name, handle))) is not None:
            self.journal.remove(message)

    def change_visibility(self, queue: Queue, handle: str, visibility: int) -> None:
        """Hide an in-flight message for `visibility` ms from now; 0 shows it at once.

        A message that is visible again stays so, without an error, as on AWS. Raises SqsError for a bad
        handle and for a message that no longer exists.
        """
        now = self.advance(queue)
        message = queue.messages.get(seq_of(queue.name, handle))
        if message is None:
            reason = "Message does not exist or is not available for visibility timeout change."
            raise invalid_value("ReceiptHandle", handle, reason)
        if queue.change_visibility(message, now, now + visibility):
            self.journal.touch(message)

    def counts(self, queue: Queue) -> Counts:
        self.advance(queue)
        return queue.counts()

    def advance(self, queue: Queue) -> int:
        """Apply what time has done to a queue; returns the time."""
        now = self.clock()
        for message in queue.advance(now):
            self.journal.remove(message)
        return now

    def resend(self, message: Message, source: Queue, target: Queue) -> Message:
        """Move a taken message as a new one: new id, new age, never received (StartMessageMoveTask)."""
        source.remove(message.seq)
        self.journal.remove(message)
        return self.send(target, message.content)

    def _take(self, queue: Queue, limit: int, now: int) -> list[Message]:
        taken: list[Message] = []
        while len(taken) < limit and (message := queue.take()) is not None:
            target = self._dead_letter_queue_for(message, queue)
            if target is None:
                taken.append(message)
            else:
                self._dead_letter(message, queue, target, now)
        return taken

    def _dead_letter_queue_for(self, message: Message, queue: Queue) -> Queue | None:
        redrive = queue.settings.redrive
        if redrive is None or message.receives < redrive.max_receives:
            return None
        target = self.queue_by_arn(redrive.target_arn)
        # With its dead-letter queue deleted a message goes on being received: nothing may be lost.
        return target if target is not queue else None

    def _dead_letter(self, message: Message, source: Queue, target: Queue, now: int) -> None:
        """Keeps the id and, on standard queues, the time it was sent, from which retention counts."""
        source.remove(message.seq)
        message.queue = target.name
        message.dead_letter_source = source.arn
        message.visible_at = 0
        target.put(message, now)
        self.journal.touch(message)

    def _open(self, name: str, attributes: dict[str, str], created_at: int) -> Queue:
        arn = f"arn:aws:sqs:{self.region}:{self.account}:{name}"
        queue = Queue(
            name=name,
            arn=arn,
            attributes=attributes,
            created_at=created_at,
            on_visible=lambda: self.on_visible(name),
            on_hidden=lambda: self.on_hidden(name),
        )
        self.queues[name] = queue
        return queue

    def _check_redrive_target(self, attributes: dict[str, str]) -> None:
        policy = attributes.get("RedrivePolicy", "")
        redrive = redrive_of(policy)
        if redrive is not None and self.queue_by_arn(redrive.target_arn) is None:
            raise invalid_value("RedrivePolicy", policy, "Dead letter target does not exist.")


def _check_same(queue: Queue, wanted: dict[str, str]) -> None:
    for name, value in wanted.items():
        if queue.attributes.get(name) != value:
            text = f"A queue already exists with the same name and a different value for attribute {name}"
            raise SqsError(errors.QUEUE_NAME_EXISTS, text)


def _ignore(_queue_name: str) -> None:
    """Nobody waits."""
