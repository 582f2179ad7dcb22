"""Message move tasks: what the console's "start DLQ redrive" starts. No I/O."""

import base64
import binascii
import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass, field

from local.sqs import errors
from local.sqs.broker import Broker
from local.sqs.errors import SqsError
from local.sqs.message import Message
from local.sqs.queue import Queue

RUNNING, COMPLETED, CANCELLED, FAILED = "RUNNING", "COMPLETED", "CANCELLED", "FAILED"
REMEMBERED = 10  # tasks per source that ListMessageMoveTasks can show
# The failure reasons AWS gives.
UNKNOWN_SOURCE = "CouldNotDetermineMessageSource"
QUEUE_IS_GONE = "AWS.SimpleQueueService.NonExistentQueue"


@dataclass(slots=True)
class MoveTask:
    """One task. `rate` in messages per second, None for as fast as possible; times in ms since the epoch."""

    source_arn: str
    destination_arn: str | None
    rate: int | None
    started_at: int
    to_move: int
    moved: int = 0
    status: str = RUNNING
    failure: str | None = None
    task_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def handle(self) -> str:
        fields = {"taskId": self.task_id, "sourceArn": self.source_arn}
        return base64.b64encode(json.dumps(fields).encode()).decode()


class MoveTasks:
    """Starts, steps and remembers move tasks of a broker."""

    def __init__(self, broker: Broker, stored: Iterable[MoveTask] = ()) -> None:
        self._broker = broker
        self.tasks: dict[str, MoveTask] = {task.task_id: task for task in stored}

    def running(self) -> list[MoveTask]:
        return [task for task in self.tasks.values() if task.status == RUNNING]

    def of_source(self, source_arn: str) -> list[MoveTask]:
        """Newest first. Raises SqsError (ResourceNotFoundException) for an unknown queue."""
        self._existing(source_arn, "SourceArn")
        tasks = [task for task in self.tasks.values() if task.source_arn == source_arn]
        return tasks[::-1]

    def start(self, source_arn: str, destination_arn: str | None, rate: int | None) -> MoveTask:
        """A new running task; nothing is moved before `step`.

        Raises SqsError if a queue does not exist, the source is no dead-letter queue or has a running task.
        """
        source = self._existing(source_arn, "SourceArn")
        if destination_arn is not None:
            self._existing(destination_arn, "DestinationArn")
        self._check_may_start(source)
        to_move = self._broker.counts(source).visible
        task = MoveTask(source_arn, destination_arn, rate, self._broker.clock(), to_move)
        self.tasks[task.task_id] = task
        self._note(task)
        self._forget_old(source_arn)
        return task

    def cancel(self, handle: str) -> MoveTask:
        """Stop a running task; what has been moved stays moved. Raises SqsError if there is none."""
        task = self._by_handle(handle)
        if task.status != RUNNING:
            raise SqsError(errors.UNSUPPORTED_OPERATION, "Only a running task can be cancelled.")
        task.status = CANCELLED
        self._note(task)
        return task

    def step(self, task: MoveTask, limit: int) -> None:
        """Move up to `limit` messages, and end the task when all have been moved or one cannot be.

        Moves no more than were there at the start: otherwise messages that come straight back to the
        dead-letter queue would keep the task alive for ever.
        """
        source = self._broker.queue_by_arn(task.source_arn)
        if source is None:
            self._end(task, FAILED, QUEUE_IS_GONE)
            return
        self._broker.advance(source)
        for _ in range(limit):
            message = source.take() if task.moved < task.to_move else None
            if message is None:
                self._end(task, COMPLETED)
            elif self._move(task, source, message):
                continue
            return
        if task.moved >= task.to_move:
            self._end(task, COMPLETED)

    def _move(self, task: MoveTask, source: Queue, message: Message) -> bool:
        """Whether the message could be moved; if not it is back in its queue and the task has failed."""
        arn = task.destination_arn or message.dead_letter_source
        target = self._broker.queue_by_arn(arn) if arn is not None else None
        if target is None:
            source.put_back(message)
            self._end(task, FAILED, UNKNOWN_SOURCE if arn is None else QUEUE_IS_GONE)
            return False
        self._broker.resend(message, source, target)
        task.moved += 1
        self._note(task)
        return True

    def _end(self, task: MoveTask, status: str, failure: str | None = None) -> None:
        task.status = status
        task.failure = failure
        self._note(task)

    def _note(self, task: MoveTask) -> None:
        self._broker.journal.tasks[task.task_id] = task

    def _forget_old(self, source_arn: str) -> None:
        for task in self.of_source(source_arn)[REMEMBERED:]:
            del self.tasks[task.task_id]
            self._broker.journal.tasks[task.task_id] = None

    def _existing(self, arn: str, parameter: str) -> Queue:
        if (queue := self._broker.queue_by_arn(arn)) is None:
            text = f"The resource that you specified for the {parameter} parameter doesn't exist."
            raise SqsError(errors.RESOURCE_NOT_FOUND, text)
        return queue

    def _check_may_start(self, source: Queue) -> None:
        if not self._broker.sources_of(source):
            text = "Source queue must be configured as a Dead Letter Queue."
            raise SqsError(errors.INVALID_PARAMETER_VALUE, text)
        if any(task.source_arn == source.arn for task in self.running()):
            text = (
                "There is already a task running. Only one active task is allowed for a source queue arn "
                "at a given time."
            )
            raise SqsError(errors.INVALID_PARAMETER_VALUE, text)

    def _by_handle(self, handle: str) -> MoveTask:
        try:
            fields = json.loads(base64.b64decode(handle, validate=True))
            task_id, source_arn = str(fields["taskId"]), str(fields["sourceArn"])
        except (binascii.Error, ValueError, TypeError, KeyError) as error:
            text = "Value for parameter TaskHandle is invalid."
            raise SqsError(errors.INVALID_PARAMETER_VALUE, text) from error
        self._existing(source_arn, "SourceArn")
        if (task := self.tasks.get(task_id)) is None or task.source_arn != source_arn:
            raise SqsError(errors.RESOURCE_NOT_FOUND, "Task does not exist.")
        return task
