"""Any sequence of what callers, queues, endpoints, people, crashes and clocks do: the states of deliveries hold.

The functions run in this process on a real database. The queues are a bag from which any message may be taken, in
any order, more than once, or lost; the endpoints answer what the sequence says, and meanwhile something else may
happen. After every step each delivery is looked at beside what it was before.
"""

import itertools
import json
import os
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from functions.adapters import queues
from functions.deliver import invocation
from functions.dispatch import handler as dispatch
from functions.jobs import handler as jobs
from functions.settings import settings as functions_settings
from tests.faults.world import Message, World, record
from tests.integration.conftest import Context, Service

EXAMPLES = 300 if "HOOKLINE_FAULTS_EVENTS" in os.environ else 16  # sequences, the same in every run
STEPS = 30
NAMES = ("plain", "strict", "limited")
WEBHOOKS: dict[str, dict[str, Any]] = {
    "plain": {"max_attempts": 3},
    "strict": {"max_attempts": 2, "ordering": "strict"},
    "limited": {"max_attempts": 2, "rate_limit": {"requests": 3, "per_seconds": 60}},
}
ANSWERS = st.sampled_from([200, 200, 200, 404, 500, 503, 410, None])  # None: no answer in time
MEANWHILE = st.sampled_from(
    [None, None, "lease over", "lease over, again", "lease over, again", "paused", "disabled", "deleted"]
)
INDEX = st.integers(0, 1 << 16)  # of a message or a delivery, modulo how many there are
ROUNDS = 60  # at the end, for everything to finish
FINISHED = ("delivered", "failed")

# What dispatch looks at, and what tells how a webhook is doing: put back together, that is time passing.
TIMES = {
    "webhook_deliveries": ("scheduled_at", "sweep_at", "lease_expires_at"),
    "webhook_dlq": ("sweep_at",),
    "jobs": ("sweep_at",),
    "webhook_health": ("hold_until", "slow_until", "rate_due_at", "line_until", "failing_since"),
}
SNAPSHOT = """
SELECT d.id, d.webhook_id, d.event_id, d.status, d.token, d.attempts, d.max_attempts,
  CASE WHEN d.sweep_at = 'infinity' THEN 'held' WHEN d.sweep_at IS NOT NULL THEN 'due' END,
  d.scheduled_at IS NOT NULL, d.lease_expires_at IS NOT NULL, d.failed_at IS NOT NULL, d.delivered_at IS NOT NULL,
  (SELECT count(*) FROM webhook.webhook_dlq l WHERE l.delivery_id = d.id AND l.status = 'pending'),
  (SELECT count(*) FROM webhook.webhook_delivery_attempts a WHERE a.delivery_id = d.id)
FROM webhook.webhook_deliveries d WHERE d.webhook_id = ANY (CAST(:webhooks AS uuid[])) ORDER BY d.id
"""


class Row(NamedTuple):
    """A delivery as the database has it."""

    id: str
    webhook_id: str
    event_id: str
    status: str
    token: int
    attempts: int
    max_attempts: int
    sweep: str | None  # due, held, or none
    scheduled: bool
    leased: bool
    failed: bool
    delivered: bool
    letters: int  # pending dead letters
    recorded: int  # attempts in the history


class Deliveries(RuleBasedStateMachine):
    """`allowed` are the changes of state that the last step may have made.

    No rule has a precondition: what there is to do depends on jitter and on the time, and hypothesis wants a
    sequence to draw the same whenever it is run.
    """

    service: Service
    world: World

    def __init__(self) -> None:
        super().__init__()
        self.webhooks: dict[str, str] = {}
        self.deleted: set[str] = set()
        self.rows: dict[str, Row] = {}
        self.allowed: set[tuple[str, str]] = set()
        self.invocations = 0  # of the delivery function in the last step
        self.new = 0

    @initialize()
    def begin(self) -> None:
        self.world.clear()
        self.type = f"step.{next(self.world.numbers)}"
        for name in NAMES:
            strategy = {"kind": "fixed", "delay_seconds": 30}
            values = {"name": name, "event_types": [self.type], "retry_strategy": strategy, **WEBHOOKS[name]}
            self.webhooks[name] = self.service.webhook(**values)["id"]
        self.world.strict = self.webhooks["strict"]
        self.send(2)

    def teardown(self) -> None:
        """Whatever was done, everything finishes once endpoints answer and the functions run."""
        if not self.webhooks:
            return
        self.world.answers, self.world.meanwhile, self.world.crash_after = itertools.repeat(200), None, None
        for name in self.webhooks.keys() - self.deleted:
            self.call("POST", f"/v1/webhooks/{self.webhooks[name]}/resume")
        for _ in range(ROUNDS):
            if all(row.status in FINISHED for row in self.look().values()):
                return
            self.pass_time(4000)
            dispatch.handler({}, Context())
            self.work_off()
        left = [row for row in self.look().values() if row.status not in FINISHED]
        raise AssertionError(f"stuck: {left}")

    # What callers and queues do

    @rule(count=st.integers(1, 3))
    def accept(self, count: int) -> None:
        self.send(count)

    def send(self, count: int) -> None:
        events = [{"type": self.type, "data": {"n": n}} for n in range(count)]
        self.call("POST", "/v1/events/batch", {"events": events})
        self.step(new=count * len(NAMES))

    @rule(
        picks=st.lists(INDEX, min_size=1, max_size=3),
        kept=st.booleans(),
        answers=st.lists(ANSWERS, min_size=1, max_size=5),
        crash_after=st.sampled_from([None, None, None, 0, 1, 2]),
        meanwhile=MEANWHILE,
        name=st.sampled_from(NAMES),
    )
    def deliver(
        self,
        picks: list[int],
        kept: bool,
        answers: list[int | None],
        crash_after: int | None,
        meanwhile: str | None,
        name: str,
    ) -> None:
        """Some messages, of which `kept` come again; the endpoints answer in turn; the process may die."""
        bag = self.world.bag
        if not bag:
            return
        queue = bag[picks[0] % len(bag)].queue
        mine = [message for message in bag if message.queue == queue]
        taken = list({mine[pick % len(mine)].id: mine[pick % len(mine)] for pick in picks}.values())
        self.world.answers = itertools.cycle(answers)
        self.world.crash_after = crash_after
        self.world.meanwhile = self.during(meanwhile, name)
        self.invocations = 1
        done = self.world.invoke(queue, taken)
        if not kept:
            self.world.bag = [message for message in bag if message not in done]
        self.step(
            *(("pending", s) for s in ("pending", "delivering", *FINISHED)),
            *(("delivering", s) for s in ("pending", "delivering", *FINISHED)),
            *((("failed", s) for s in ("pending", "delivering", "delivered")) if _any_letter(taken) else ()),
        )

    def during(self, what: str | None, name: str) -> Callable[[], None] | None:
        """What happens while the first request is under way."""
        if what == "paused":
            return lambda: self.stop(name, "pause")
        if what == "disabled":
            return lambda: self.stop(name, "disable")
        if what == "deleted":
            return lambda: self.delete(name)
        if what == "lease over":
            return self.free
        if what == "lease over, again":
            return self.free_and_deliver
        return None

    def free(self) -> None:
        """The lease ends while its holder is still at work, and dispatch frees the delivery."""
        self.pass_time(200)
        dispatch.handler({}, Context())

    def free_and_deliver(self) -> None:
        """And another invocation makes it, and whatever else waits, before the first has recorded anything."""
        self.free()
        for queue in ("delivery", "retry"):
            self.invocations += 1
            mine = [message for message in self.world.bag if message.queue == queue and not message.is_letter]
            self.world.invoke(queue, mine)

    @rule(pick=INDEX, off=st.sampled_from([-1, 1, 7]), queue=st.sampled_from(["delivery", "retry"]))
    def stray(self, pick: int, off: int, queue: str) -> None:
        """A message with a token that is not the row's."""
        row = self.row(pick)
        if row is None or row.token + off < 1:
            return
        self.world.crash_after, self.world.meanwhile = None, None
        body = json.dumps({"v": 1, "deliveries": [[row.id, row.token + off]]})
        self.world.invoke(queue, [self.world.message(queue, body)])
        self.step()

    @rule(pick=INDEX)
    def lose(self, pick: int) -> None:
        if bag := self.world.bag:
            del bag[pick % len(bag)]

    @rule(seconds=st.sampled_from([2, 40, 100, 1000, 4000]))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)

    @rule()
    def dispatch(self) -> None:
        dispatch.handler({}, Context())
        self.step(("delivering", "pending"))

    # What people do

    @rule(name=st.sampled_from(NAMES), how=st.sampled_from(["pause", "disable"]))
    def stop(self, name: str, how: str) -> None:
        self.call("POST", f"/v1/webhooks/{self.webhooks[name]}/{how}", refused=(404, 409))
        self.step()

    @rule(name=st.sampled_from(NAMES))
    def resume(self, name: str) -> None:
        self.call("POST", f"/v1/webhooks/{self.webhooks[name]}/resume", refused=(404, 409))
        self.step()

    @rule(pick=INDEX, what=st.sampled_from(["retry", "skip"]))
    def by_hand(self, pick: int, what: str) -> None:
        if (row := self.row(pick)) is None:
            return
        self.call("POST", f"/v1/deliveries/{row.id}/{what}", refused=(409,))
        to = "pending" if what == "retry" else "failed"
        self.step(("failed", "pending"), ("pending", to), ("delivering", to))

    @rule(pick=INDEX, what=st.sampled_from(["redrive", "discard"]))
    def dead_letter(self, pick: int, what: str) -> None:
        letters = self.call("GET", "/v1/dead-letters?limit=250")["data"]
        mine = [one["id"] for one in letters if one["delivery_id"] in self.rows and one["status"] == "pending"]
        if not mine:
            return
        self.call("POST", f"/v1/dead-letters/{mine[pick % len(mine)]}/{what}", refused=(409,))
        self.step(*([("failed", "pending")] if what == "redrive" else []))

    @rule(pick=INDEX)
    def redrive_in_the_console(self, pick: int) -> None:
        """The same body as a new message: it may be that of a letter that was resolved long ago."""
        letters = [message for message in self.world.bag if message.is_letter]
        if not letters:
            return
        old = letters[pick % len(letters)]
        self.world.bag.remove(old)
        self.world.bag.append(self.world.message(old.queue, old.body))

    @rule(pick=INDEX)
    def expunge(self, pick: int) -> None:
        if (row := self.row(pick)) is None:
            return
        self.call("DELETE", f"/v1/events/{row.event_id}/payload", refused=(404, 409))
        self.step(("pending", "failed"), ("delivering", "failed"))

    @rule(name=st.sampled_from(NAMES), chance=st.integers(0, 9))
    def delete_webhook(self, name: str, chance: int) -> None:
        if chance == 0:
            self.delete(name)

    def delete(self, name: str) -> None:
        self.call("DELETE", f"/v1/webhooks/{self.webhooks[name]}", refused=(404,))
        self.deleted.add(name)
        self.step(("pending", "failed"), ("delivering", "failed"))

    # What holds

    def step(self, *allowed: tuple[str, str], new: int = 0) -> None:
        """What the step that was just made may have changed; nested ones add up."""
        self.allowed |= set(allowed)
        self.new += new

    @invariant()
    def every_row_is_whole(self) -> None:
        if not self.webhooks:
            return
        now = self.look()
        for row in now.values():
            finished = row.status in FINISHED
            assert (row.sweep is None) == finished, f"unfinished is what dispatch looks at: {row}"
            assert row.leased <= (row.status == "delivering"), f"a lease without a claim: {row}"
            assert row.failed == (row.status == "failed"), row
            assert row.delivered == (row.status == "delivered"), row
            assert row.letters <= (row.status == "failed"), f"a pending dead letter of what did not fail: {row}"
            assert row.attempts <= row.max_attempts, row
            assert row.attempts <= row.recorded, f"an attempt was counted that is not in the history: {row}"
        assert len(now) <= len(self.rows) + self.new, "more deliveries than events asked for"
        for id, before in self.rows.items():
            self.compare(before, now[id])
        self.rows, self.allowed, self.invocations, self.new = now, set(), 0, 0

    def compare(self, before: Row, row: Row) -> None:
        assert row.token >= before.token, (before, row)
        assert row.status == "delivered" or before.status != "delivered", f"it left delivered: {before} {row}"
        assert 0 <= row.attempts - before.attempts <= self.invocations, (before, row)
        assert row.max_attempts >= before.max_attempts, (before, row)
        if row.attempts > before.attempts:
            assert row.token > before.token, (before, row)
        if row.status != before.status:
            assert (before.status, row.status) in self.allowed, f"{self.allowed}: {before} {row}"

    # Machinery

    def row(self, pick: int) -> Row | None:
        return list(self.rows.values())[pick % len(self.rows)] if self.rows else None

    def look(self) -> dict[str, Row]:
        found = self.service.sql.run(SNAPSHOT, webhooks=list(self.webhooks.values()))
        rows = (Row(*(str(value) if n < 3 else value for n, value in enumerate(row))) for row in found)
        return {row.id: row for row in rows}

    def call(self, method: str, path: str, body: Any = None, *, refused: Iterable[int] = ()) -> Any:
        answer = self.service.client(method, path, body)
        assert answer.status < 300 or answer.status in refused, (method, path, answer)
        return answer.body

    def pass_time(self, seconds: int) -> None:
        for table, columns in TIMES.items():
            moved = (
                f"{column} = CASE WHEN {column} < 'infinity' THEN {column} - :s * interval '1 s' ELSE {column} END"
                for column in columns
            )
            self.service.sql.run(f"UPDATE webhook.{table} SET {', '.join(moved)}", s=seconds)

    def work_off(self) -> None:
        """Every message once."""
        bag, self.world.bag = self.world.bag, []
        for queue in ("delivery", "retry"):
            mine = [message for message in bag if message.queue == queue]
            for start in range(0, len(mine), 10):
                self.world.invoke(queue, mine[start : start + 10])
        for message in bag:
            if message.queue == "jobs":
                jobs.handler({"Records": [record(message)]}, Context())


def _any_letter(messages: Iterable[Message]) -> bool:
    return any(message.is_letter for message in messages)


@pytest.mark.timeout(0 if "HOOKLINE_FAULTS_EVENTS" in os.environ else 300)
def test_any_sequence_leaves_every_delivery_in_a_state_it_may_have(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    world = World(service)
    monkeypatch.setenv("CIRCUIT_STRIKES", "2")
    functions_settings.cache_clear()
    monkeypatch.setattr(queues, "send", world.put)
    monkeypatch.setattr(queues, "make_visible", lambda *_: None)
    monkeypatch.setattr(invocation, "send", world.send)
    machine = type("DeliveriesHere", (Deliveries,), {"service": service, "world": world})
    run_state_machine_as_test(
        machine,
        settings=settings(
            max_examples=EXAMPLES,
            stateful_step_count=STEPS,
            derandomize=True,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        ),
    )
