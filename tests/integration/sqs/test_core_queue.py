import json
from typing import Any

import pytest

from local.sqs import errors, queue
from local.sqs.broker import Broker
from local.sqs.errors import SqsError
from local.sqs.message import content_of, handle_of
from tests.integration.sqs.clock import FakeClock, broker_at


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def broker(clock: FakeClock) -> Broker:
    return broker_at(clock)


def test_messages_expire_after_the_retention_period_in_any_state(broker: Broker, clock: FakeClock) -> None:
    q = broker.create_queue("q", {"MessageRetentionPeriod": "60", "VisibilityTimeout": "600"})
    for body in ("in flight", "visible"):
        broker.send(q, content_of(body))
    broker.send(q, content_of("delayed"), delay=120_000)
    [held] = broker.receive(q, 1)
    clock.pass_seconds(59.9)
    assert broker.counts(q) == queue.Counts(visible=1, in_flight=1, delayed=1)
    clock.pass_seconds(0.1)
    assert broker.receive(q, 10) == []
    assert broker.counts(q) == queue.Counts(0, 0, 0)
    broker.delete(q, handle_of(held))


def test_a_dead_letter_expires_by_the_time_it_was_first_sent(broker: Broker, clock: FakeClock) -> None:
    dead = broker.create_queue("dead", {"MessageRetentionPeriod": "100"})
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = broker.create_queue("source", {"RedrivePolicy": policy})
    broker.send(source, content_of("poison"))
    clock.pass_seconds(90)
    broker.receive(source, 1, visibility=0)
    assert broker.receive(source, 1) == []
    assert broker.counts(dead).visible == 1
    clock.pass_seconds(10)
    assert broker.counts(dead).visible == 0


def test_a_changed_retention_period_holds_for_messages_already_there(broker: Broker, clock: FakeClock) -> None:
    q = broker.create_queue("q", {"MessageRetentionPeriod": "3600"})
    broker.send(q, content_of("old"))
    clock.pass_seconds(100)
    broker.configure(q, {"MessageRetentionPeriod": "60"})
    assert broker.counts(q).visible == 0


def test_too_many_messages_in_flight_are_refused(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "MAX_IN_FLIGHT", 3)
    q = broker.create_queue("q", {})
    for number in range(4):
        broker.send(q, content_of(str(number)))
    assert len(broker.receive(q, 3)) == 3
    with pytest.raises(SqsError) as error:
        broker.receive(q, 1)
    assert error.value.fault is errors.OVER_LIMIT


def test_a_message_stays_when_its_dead_letter_queue_is_gone(broker: Broker) -> None:
    dead = broker.create_queue("dead", {})
    policy = json.dumps({"deadLetterTargetArn": dead.arn, "maxReceiveCount": 1})
    source = broker.create_queue("source", {"RedrivePolicy": policy})
    broker.send(source, content_of("precious"))
    broker.delete_queue(dead)
    for receives in (1, 2, 3):
        [message] = broker.receive(source, 10, visibility=0)
        assert message.receives == receives


def test_a_queue_that_is_its_own_dead_letter_queue_goes_on(broker: Broker) -> None:
    q = broker.create_queue("q", {})
    broker.configure(q, {"RedrivePolicy": json.dumps({"deadLetterTargetArn": q.arn, "maxReceiveCount": 1})})
    broker.send(q, content_of("x"))
    for _ in range(3):
        assert len(broker.receive(q, 10, visibility=0)) == 1


def test_a_message_hidden_for_no_time_is_received_once_per_receive(broker: Broker) -> None:
    q = broker.create_queue("q", {})
    broker.send(q, content_of("x"))
    assert len(broker.receive(q, 10, visibility=0)) == 1


def test_a_purge_may_be_repeated_after_a_minute(broker: Broker, clock: FakeClock) -> None:
    q = broker.create_queue("q", {})
    broker.purge(q)
    clock.pass_seconds(59)
    with pytest.raises(SqsError) as error:
        broker.purge(q)
    assert error.value.fault is errors.PURGE_QUEUE_IN_PROGRESS
    clock.pass_seconds(1)
    broker.send(q, content_of("x"))
    broker.purge(q)
    assert broker.receive(q, 1) == []


@pytest.mark.parametrize("changes", [{"Colour": "red"}, {"DelaySeconds": "901"}, {"RedrivePolicy": "[]"}])
def test_a_refused_change_changes_nothing(broker: Broker, changes: dict[str, Any]) -> None:
    q = broker.create_queue("q", {"DelaySeconds": "5"})
    before = dict(q.attributes)
    with pytest.raises(SqsError):
        broker.configure(q, {"VisibilityTimeout": "1", **changes})
    assert q.attributes == before


def test_a_message_that_comes_and_goes_between_commits_is_never_written(broker: Broker) -> None:
    q = broker.create_queue("q", {})
    broker.journal.clear()
    broker.send(q, content_of("x"))
    [message] = broker.receive(q, 1)
    broker.delete(q, handle_of(message))
    assert not broker.journal
