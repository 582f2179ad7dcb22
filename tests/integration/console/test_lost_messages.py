"""Messages that were lost, doubled or never finished, and what a redrive from the console makes of them."""

import json

import pytest

from functions.adapters import outbox
from functions.deliver import handler as deliver
from tests.integration.conftest import Context, Service
from tests.integration.console.scene import (
    Queues,
    dead,
    letter,
    mend,
)
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import dispatch_all, states


def test_a_foreign_message_goes_to_the_dead_letter_queue_each_time_and_hurts_nobody(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    mend(receiver)
    service.webhook(url=receiver.url)
    for queue in (queues.delivery, queues.retry):
        service.sqs.send_message(QueueUrl=queue.url, MessageBody="hello?")
    service.event()
    queues.run()
    assert states(service) == {"delivered": 1}
    for queue in (queues.delivery, queues.retry):
        assert queue.dead() == ["hello?"]
        assert queue.redrive() == 1
    queues.run()
    for queue in (queues.delivery, queues.retry):
        assert queue.dead() == ["hello?"]


def test_deliveries_that_no_invocation_could_finish_are_made_by_the_redrive(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    mend(receiver)
    service.webhook(url=receiver.url)
    for n in range(3):
        service.event(data={"n": n})
    queues.delivery.crash()
    assert len(queues.delivery.dead()) == 3
    assert states(service) == {"pending": 3}
    assert queues.delivery.redrive() == 3
    queues.run()
    assert (states(service), len(receiver.received)) == ({"delivered": 3}, 3)


def test_deliveries_that_dispatch_has_sent_meanwhile_are_not_made_twice(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    mend(receiver)
    service.webhook(url=receiver.url)
    service.event()
    queues.delivery.crash()
    assert dispatch_all(service)["deliveries"] == 1
    queues.run()
    assert len(receiver.received) == 1
    queues.delivery.redrive()
    queues.run()
    assert (states(service), len(receiver.received), queues.delivery.dead()) == ({"delivered": 1}, 1, [])


def test_a_dead_letter_whose_message_was_lost_gets_another_and_the_first_is_stale(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    (late,) = queues.retry.receive()
    service.sqs.delete_message(QueueUrl=queues.retry.url, ReceiptHandle=late["receiptHandle"])
    assert dispatch_all(service)["dead_letters"] == 1
    queues.run()
    assert len(queues.retry.dead()) == 1
    assert dispatch_all(service)["dead_letters"] == 0, "it was seen: from here on SQS keeps it"
    mend(receiver)
    late_again = {**late, "messageId": "the first, redriven"}
    for record in (late, late_again):
        assert deliver.handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
    assert (letter(service)["status"], states(service)) == ("pending", {"failed": 1})
    queues.retry.redrive()
    queues.run()
    assert states(service) == {"delivered": 1}


def test_a_dead_letters_message_that_no_invocation_could_look_at_is_replaced(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    """It is in the dead-letter queue and nobody noted it: the one that dispatch sends is the one that counts."""
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    queues.retry.crash()
    assert len(queues.retry.dead()) == 1
    assert dispatch_all(service)["dead_letters"] == 1
    queues.run()
    assert len(queues.retry.dead()) == 2
    mend(receiver)
    assert queues.retry.redrive() == 2
    queues.run()
    assert (states(service), len(receiver.received), queues.retry.dead()) == ({"delivered": 1}, 1, [])


def test_one_that_is_redriven_before_anybody_noted_it_dies_once_more(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    queues.retry.crash()
    mend(receiver)
    for left in ({"failed": 1}, {"delivered": 1}):
        assert queues.retry.redrive() == 1
        queues.run()
        assert states(service) == left


def test_a_reopened_delivery_whose_message_is_lost_is_found_by_dispatch(
    service: Service, queues: Queues, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead(service, queues, receiver)
    mend(receiver)
    queues.retry.redrive()
    with monkeypatch.context() as patched:
        patched.setattr(outbox.queues, "send", lambda *_given, **_options: 0)
        queues.run()
    assert (letter(service)["status"], states(service)) == ("resolved", {"pending": 1})
    assert dispatch_all(service)["deliveries"] == 1
    queues.run()
    assert states(service) == {"delivered": 1}


def test_a_dead_letter_of_a_strict_webhook_goes_before_what_waits(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1, ordering="strict")
    service.event(data={"n": 1})
    queues.run()
    assert states(service) == {"failed": 1}
    for n in (2, 3):
        service.event(data={"n": n})
    mend(receiver)
    queues.retry.redrive()
    while queues.retry.invoke() or queues.delivery.invoke():
        pass
    assert [json.loads(got.body)["n"] for got in receiver.received] == [1, 2, 3]
    assert (states(service), letter(service)["status"]) == ({"delivered": 3}, "resolved")


def test_the_line_of_a_strict_webhook_does_not_wait_for_its_dead_letters(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1, ordering="strict")
    service.event(data={"n": 1})
    queues.run()
    mend(receiver)
    service.event(data={"n": 2})
    queues.run()
    queues.retry.redrive()
    queues.run()
    assert [json.loads(got.body)["n"] for got in receiver.received] == [2, 1]
