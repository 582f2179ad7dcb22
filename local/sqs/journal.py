"""What changed since the last commit."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from local.sqs.message import Message

if TYPE_CHECKING:
    from local.sqs.move_tasks import MoveTask
    from local.sqs.queue import Queue


@dataclass(slots=True)
class Journal:
    """Changes to be written, at most one per thing: what comes and goes between two commits costs nothing."""

    added: dict[int, Message] = field(default_factory=dict)
    touched: dict[int, Message] = field(default_factory=dict)
    removed: set[int] = field(default_factory=set)
    queues: dict[str, "Queue | None"] = field(default_factory=dict)
    tasks: "dict[str, MoveTask | None]" = field(default_factory=dict)

    def add(self, message: Message) -> None:
        self.added[message.seq] = message

    def touch(self, message: Message) -> None:
        """Its queue, visibility or receive count changed."""
        self.touched[message.seq] = message

    def remove(self, message: Message) -> None:
        self.touched.pop(message.seq, None)
        if self.added.pop(message.seq, None) is None:
            self.removed.add(message.seq)

    def __bool__(self) -> bool:
        return bool(self.added or self.touched or self.removed or self.queues or self.tasks)

    def clear(self) -> None:
        self.added.clear()
        self.touched.clear()
        self.removed.clear()
        self.queues.clear()
        self.tasks.clear()
