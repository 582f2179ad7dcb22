"""Any sequence of operations: nothing lost, nothing doubled, nothing shown too early, and all of it on disk."""

import json
import tempfile
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, multiple, precondition, rule

from local.sqs.errors import SqsError
from local.sqs.message import Message, content_of, handle_of
from local.sqs.move_tasks import COMPLETED, FAILED, RUNNING, UNKNOWN_SOURCE, MoveTask, MoveTasks
from local.sqs.queue import Counts, Queue
from local.sqs.storage import Storage
from tests.integration.sqs.clock import FakeClock, broker_at

MAX_RECEIVES = 2
RETENTION = 60_000  # ms
QUEUES = st.sampled_from(["source", "dead"])


@dataclass
class Expected:
    """What is to be true of one message, by its body."""

    seq: int
    queue: str
    sent_at: int
    visible_at: int
    receives: int = 0
    from_source: bool = False  # came to the dead-letter queue by the redrive policy


class QueuesMachine(RuleBasedStateMachine):
    """The broker beside a model that knows for every message where it is and when it is visible."""

    handles: Bundle[tuple[str, str]] = Bundle("handles")  # body, receipt handle

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.clock = FakeClock()
        self.live: dict[str, Expected] = {}
        self.seqs: dict[str, tuple[str, int]] = {}  # handle → queue and sequence number at the time
        self.ids: set[str] = set()
        self.sent = 0

    @initialize()
    def open(self) -> None:
        self.storage = Storage(Path(self.folder.name) / "queues.db")
        self.broker = broker_at(self.clock, self.storage.starts)
        attributes = {"MessageRetentionPeriod": str(RETENTION // 1000), "VisibilityTimeout": "5"}
        dead = self.broker.create_queue("dead", attributes)
        policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": MAX_RECEIVES})
        self.broker.create_queue("source", {**attributes, "RedrivePolicy": policy})
        self.moves = MoveTasks(self.broker)

    def teardown(self) -> None:
        self.storage.close()
        self.folder.cleanup()

    # What a client can do

    @rule(queue=QUEUES, delay=st.sampled_from([None, 0, 1000, 7000]), group=st.sampled_from([None, "a", "b"]))
    def send(self, queue: str, delay: int | None, group: str | None) -> None:
        body = str(self.sent)
        self.sent += 1
        message = self.broker.send(self.broker.queue(queue), content_of(body, group_id=group), delay)
        assert message.message_id not in self.ids
        self.ids.add(message.message_id)
        self.live[body] = Expected(message.seq, queue, self.clock.now, self.clock.now + (delay or 0))

    @rule(
        target=handles,
        queue=QUEUES,
        limit=st.integers(1, 10),
        visibility=st.sampled_from([None, 0, 1000, 20_000]),
    )
    def receive(self, queue: str, limit: int, visibility: int | None) -> object:
        waiting = {body for body in self.in_queue(queue) if self.live[body].visible_at <= self.clock.now}
        received = self.broker.receive(self.broker.queue(queue), limit, visibility)
        bodies = [message.content.body for message in received]
        assert len(bodies) == len(set(bodies)) <= limit
        assert set(bodies) <= waiting
        died = self.note_dead_letters() if queue == "source" else set()
        if len(bodies) < limit:
            assert set(bodies) | died == waiting, "a visible message was kept back"
        hidden_until = self.clock.now + (5000 if visibility is None else visibility)
        return multiple(*[self.note_received(message, queue, hidden_until) for message in received])

    @rule(handle=handles)
    def delete(self, handle: tuple[str, str]) -> None:
        body, receipt = handle
        queue, _ = self.seqs[receipt]
        self.broker.delete(self.broker.queue(queue), receipt)
        if self.is_named_by(receipt, body):
            del self.live[body]

    @rule(handle=handles, visibility=st.sampled_from([0, 2000]))
    def change_visibility(self, handle: tuple[str, str], visibility: int) -> None:
        body, receipt = handle
        queue = self.broker.queue(self.seqs[receipt][0])
        if not self.is_named_by(receipt, body):
            with pytest.raises(SqsError):
                self.broker.change_visibility(queue, receipt, visibility)
            return
        self.broker.change_visibility(queue, receipt, visibility)
        if self.live[body].visible_at > self.clock.now:
            self.live[body].visible_at = self.clock.now + visibility

    @rule(seconds=st.sampled_from([0.5, 1, 5, 30]))
    def pass_time(self, seconds: float) -> None:
        self.clock.pass_seconds(seconds)
        expired = [b for b, expected in self.live.items() if expected.sent_at + RETENTION <= self.clock.now]
        for body in expired:
            del self.live[body]

    @precondition(lambda self: not self.moves.running())
    @rule()
    def start_move(self) -> None:
        task = self.moves.start(self.broker.queue("dead").arn, None, None)
        assert task.to_move == self.expected_counts("dead").visible

    @precondition(lambda self: self.moves.running())
    @rule(limit=st.integers(1, 5))
    def step_move(self, limit: int) -> None:
        [task] = self.moves.running()
        before = task.moved
        self.moves.step(task, limit)
        assert self.note_moved() == task.moved - before <= limit
        if task.status == FAILED:
            assert task.failure == UNKNOWN_SOURCE
            assert any(not self.live[body].from_source for body in self.in_queue("dead"))
        else:
            assert task.status in (RUNNING, COMPLETED)

    @precondition(lambda self: self.moves.running())
    @rule()
    def cancel_move(self) -> None:
        [task] = self.moves.running()
        self.moves.cancel(task.handle)
        assert self.moves.running() == []

    @rule(queue=QUEUES)
    def purge(self, queue: str) -> None:
        purged_at = self.broker.queue(queue).purged_at
        if purged_at is not None and self.clock.now - purged_at < 60_000:
            return
        self.broker.purge(self.broker.queue(queue))
        for body in self.in_queue(queue):
            del self.live[body]

    @rule()
    def restart(self) -> None:
        """Whatever has been committed is all there is."""
        self.storage.close()
        self.storage = Storage(Path(self.folder.name) / "queues.db")
        tasks: list[MoveTask] = self.storage.move_tasks()
        broker = broker_at(self.clock, self.storage.starts)
        broker.restore(self.storage.queues(), self.storage.messages())
        for name, queue in broker.queues.items():
            queue.purged_at = self.broker.queue(name).purged_at
        assert [task.handle for task in tasks] == [task.handle for task in self.moves.tasks.values()]
        self.broker, self.moves = broker, MoveTasks(broker, tasks)

    # What always holds

    @invariant()
    def every_message_is_where_it_should_be(self) -> None:
        if not hasattr(self, "broker"):
            return
        for name in ("source", "dead"):
            queue = self.broker.queue(name)
            assert self.broker.counts(queue) == self.expected_counts(name)
            assert sorted(m.content.body for m in queue.messages.values()) == sorted(self.in_queue(name))
            assert all(message.queue == name for message in queue.messages.values())
        self.storage.write(self.broker.journal)
        self.broker.journal.clear()

    # The model

    def in_queue(self, name: str) -> list[str]:
        return [body for body, expected in self.live.items() if expected.queue == name]

    def expected_counts(self, name: str) -> Counts:
        states = [self.live[body] for body in self.in_queue(name)]
        hidden = [state for state in states if state.visible_at > self.clock.now]
        in_flight = sum(state.receives > 0 for state in hidden)
        return Counts(len(states) - len(hidden), in_flight, len(hidden) - in_flight)

    def is_named_by(self, receipt: str, body: str) -> bool:
        """Whether the handle still means this message: dead letters and moved messages have new ones."""
        expected = self.live.get(body)
        return expected is not None and self.seqs[receipt] == (expected.queue, expected.seq)

    def note_received(self, message: Message, queue: str, hidden_until: int) -> tuple[str, str]:
        body = message.content.body
        expected = self.live[body]
        expected.receives += 1
        expected.visible_at = hidden_until
        assert message.receives == expected.receives
        assert queue == "dead" or message.receives <= MAX_RECEIVES
        receipt = handle_of(message)
        assert receipt not in self.seqs or expected.from_source
        self.seqs[receipt] = (queue, message.seq)
        return body, receipt

    def note_dead_letters(self) -> set[str]:
        dead: Queue = self.broker.queue("dead")
        died = {m.content.body for m in dead.messages.values() if self.live[m.content.body].queue == "source"}
        for body in died:
            expected = self.live[body]
            assert expected.receives >= MAX_RECEIVES
            assert expected.visible_at <= self.clock.now
            assert dead.messages[expected.seq].sent_at == expected.sent_at
            expected.queue, expected.visible_at, expected.from_source = "dead", self.clock.now, True
        return died

    def note_moved(self) -> int:
        source: Queue = self.broker.queue("source")
        moved = [m for m in source.messages.values() if self.live[m.content.body].queue == "dead"]
        for message in moved:
            body = message.content.body
            assert self.live[body].from_source
            assert message.receives == 0
            assert message.message_id not in self.ids
            self.ids.add(message.message_id)
            self.live[body] = Expected(message.seq, "source", self.clock.now, self.clock.now)
        return len(moved)


QueuesMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestQueues = QueuesMachine.TestCase
