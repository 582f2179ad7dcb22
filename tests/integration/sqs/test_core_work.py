"""No operation may depend on how many messages wait. Work is counted, not timed."""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

from local.sqs.broker import Broker
from local.sqs.message import content_of, handle_of
from local.sqs.move_tasks import MoveTasks
from local.sqs.storage import Storage
from tests.integration.sqs.clock import FakeClock, broker_at

SMALL, LARGE = 200, 50_000


class CountedInt(int):
    """A sequence number that counts how often it is compared, in Python or in C."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        CountedInt.compared += 1
        return int(self) < int(other)

    def __eq__(self, other: object) -> bool:
        CountedInt.compared += 1
        return int(self) == other

    __hash__ = int.__hash__


def work_of(action: Callable[[], object]) -> tuple[int, int]:
    """Bytecodes run and sequence numbers compared."""
    opcodes = 0

    def trace(frame: FrameType, event: str, _argument: Any) -> Any:
        nonlocal opcodes
        if frame.f_code.co_filename == __file__:  # the counting itself
            return None
        frame.f_trace_opcodes = True
        opcodes += event == "opcode"
        return trace

    before = CountedInt.compared
    sys.settrace(trace)
    try:
        action()
    finally:
        sys.settrace(None)
    return opcodes, CountedInt.compared - before


def broker_with(backlog: int) -> Broker:
    broker = broker_at(FakeClock())
    broker._seqs = map(CountedInt, itertools.count(1))
    dead = broker.create_queue("dead", {})
    broker.create_queue("q", {"RedrivePolicy": f'{{"deadLetterTargetArn": "{dead.arn}", "maxReceiveCount": 5}}'})
    for name, messages in (("q", backlog), ("dead", backlog // 10)):
        for number in range(messages):
            broker.send(broker.queue(name), content_of("x", group_id=f"group-{number % 7}"))
    broker.journal.clear()
    return broker


def operations(broker: Broker) -> Iterator[tuple[str, Callable[[], object]]]:
    """One of each, in an order in which they make sense."""
    q, dead = broker.queue("q"), broker.queue("dead")
    moves = MoveTasks(broker)
    for message in dead.messages.values():
        message.dead_letter_source = q.arn
    taken = broker.receive(q, 10)
    yield "receive", lambda: broker.receive(q, 10)
    yield "send", lambda: broker.send(q, content_of("x", group_id="group-1"))
    yield "send delayed", lambda: broker.send(q, content_of("x"), delay=1000)
    yield "hide longer", lambda: broker.change_visibility(q, handle_of(taken[0]), 60_000)
    yield "show", lambda: broker.change_visibility(q, handle_of(taken[0]), 0)
    yield "delete in flight", lambda: broker.delete(q, handle_of(taken[1]))
    yield "delete visible", lambda: broker.delete(q, handle_of(taken[0]))
    yield "count", lambda: broker.counts(q)
    yield "next visible", q.next_visible_at
    task = moves.start(dead.arn, None, None)
    yield "move", lambda: moves.step(task, 10)


def test_work_does_not_grow_with_the_backlog() -> None:
    small, large = (
        {name: work_of(action) for name, action in operations(broker_with(backlog))} for backlog in (SMALL, LARGE)
    )
    for name, (opcodes, compared) in large.items():
        assert opcodes <= small[name][0] * 1.3 + 50, name
        # Heaps: each of up to ten messages touches at most three, of log2(50,000) = 16 levels, two per level.
        assert compared <= 10 * 3 * 32, name


def test_every_statement_of_a_commit_finds_its_row_by_key(tmp_path: Path) -> None:
    statements: set[str] = set()
    with Storage(tmp_path / "queues.db") as storage:
        broker = broker_at(FakeClock())
        q = broker.create_queue("q", {})
        storage.write(broker.journal)
        broker.journal.clear()
        storage._connection.set_trace_callback(statements.add)
        broker.send(q, content_of("x"))
        commit(storage, broker)
        [message] = broker.receive(q, 1)
        commit(storage, broker)
        broker.delete(q, handle_of(message))
        commit(storage, broker)
        storage._connection.set_trace_callback(None)
        writes = [text for text in statements if text.split()[0] in ("INSERT", "DELETE")]
        assert len(writes) == 4
        plans = [row[3] for text in writes for row in storage._connection.execute(f"EXPLAIN QUERY PLAN {text}")]
    assert [plan for plan in plans if "SCAN" in plan] == []
    assert sum("USING INTEGER PRIMARY KEY" in plan for plan in plans) == 2


def commit(storage: Storage, broker: Broker) -> None:
    storage.write(broker.journal)
    broker.journal.clear()
