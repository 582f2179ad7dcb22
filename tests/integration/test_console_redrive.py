"""Dead letters on their way through real queues, redriven as the console does it: what becomes of each message.

The outcomes are those of the table in docs/dead-letters.md.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from functions.adapters import outbox
from functions.deliver import handler as deliver
from functions.deliver import intake
from functions.domain.jobs import MAX_ATTEMPTS
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.levers_scene import delivery, dispatch_all, states

MOST_RECEIVES = 5  # as infrastructure/queues.py has it
Record = dict[str, Any]


@dataclass
class Queue:
    """One of the two queues of the delivery function, with its dead-letter queue, as the stack makes them."""

    sqs: Any
    url: str
    dlq: str

    def receive(self) -> list[Record]:
        got = self.sqs.receive_message(
            QueueUrl=self.url, MaxNumberOfMessages=10, MessageSystemAttributeNames=["All"]
        ).get("Messages", [])
        arn = f"arn:aws:sqs:eu-central-1:000000000000:{self.url.rpartition('/')[2]}"
        return [
            {"messageId": one["MessageId"], "receiptHandle": one["ReceiptHandle"], "body": one["Body"]}
            | {"attributes": one["Attributes"], "eventSourceARN": arn}
            for one in got
        ]

    def invoke(self, *, unacknowledged: str = "") -> list[Record]:
        """One batch as Lambda's pollers do it; the records. A message with this body comes again at once."""
        records = self.receive()
        if not records:
            return []
        failed = {
            one["itemIdentifier"] for one in deliver.handler({"Records": records}, Context())["batchItemFailures"]
        }
        for record in records:
            if record["body"] == unacknowledged:
                self.show(record)
            elif record["messageId"] not in failed:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=record["receiptHandle"])
        return records

    def crash(self) -> None:
        """Invocations that end before they did anything, until nothing comes any more."""
        while records := self.receive():
            for record in records:
                self.show(record)

    def show(self, record: Record) -> None:
        """As if the visibility timeout were over."""
        self.sqs.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=record["receiptHandle"], VisibilityTimeout=0
        )

    def dead(self) -> list[str]:
        """The bodies in the dead-letter queue."""
        got: dict[str, str] = {}
        while found := self.sqs.receive_message(
            QueueUrl=self.dlq, MaxNumberOfMessages=10, VisibilityTimeout=20
        ).get("Messages"):
            for one in found:
                got[one["ReceiptHandle"]] = one["Body"]
        for handle in got:
            self.sqs.change_message_visibility(QueueUrl=self.dlq, ReceiptHandle=handle, VisibilityTimeout=0)
        return list(got.values())

    def redrive(self) -> int:
        """What *Redrive to source queue(s)* of the console does; how many messages went back."""
        arn = _arn(self.sqs, self.dlq)
        self.sqs.start_message_move_task(SourceArn=arn)
        end = time.monotonic() + 30
        while (task := self.sqs.list_message_move_tasks(SourceArn=arn)["Results"][0])["Status"] == "RUNNING":
            assert time.monotonic() < end, task
            time.sleep(0.05)
        assert task["Status"] == "COMPLETED", task
        return int(task["ApproximateNumberOfMessagesMoved"])


@dataclass
class Queues:
    delivery: Queue
    retry: Queue

    def run(self) -> None:
        """The delivery function takes batch after batch until there is none."""
        while self.delivery.invoke() or self.retry.invoke():
            pass


def _arn(sqs: Any, url: str) -> str:
    return str(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"])


def _with_dlq(service: Service, url: str) -> Queue:
    dlq = service.sqs.create_queue(QueueName=f"{url.rpartition('/')[2]}-dlq")["QueueUrl"]
    policy = {"deadLetterTargetArn": _arn(service.sqs, dlq), "maxReceiveCount": MOST_RECEIVES}
    attributes = {"VisibilityTimeout": "360", "RedrivePolicy": json.dumps(policy)}
    service.sqs.set_queue_attributes(QueueUrl=url, Attributes=attributes)
    return Queue(service.sqs, url, dlq)


@pytest.fixture
def queues(service: Service, monkeypatch: pytest.MonkeyPatch) -> Queues:
    monkeypatch.setattr(intake.Intake, "open", lambda _self: None)  # every receive is this test's own
    urls = (settings().delivery_queue_url, settings().retry_queue_url)
    return Queues(*(_with_dlq(service, url) for url in urls))


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    """An endpoint that refuses everything, until a test mends it: by no status that would open its circuit."""
    with endpoint() as here:
        here.status = 404
        yield here


def dead(service: Service, queues: Queues, receiver: Endpoint, **webhook: Any) -> tuple[dict[str, Any], str]:
    """A webhook, and its one delivery that ran out of attempts, with its message in the dead-letter queue."""
    made = service.webhook(url=receiver.url, max_attempts=1, **webhook)
    service.event()
    queues.run()
    ((id,),) = service.sql.run("SELECT CAST(delivery_id AS text) FROM webhook.webhook_dlq")
    assert len(queues.retry.dead()) == 1
    return made, id


def letter(service: Service) -> dict[str, Any]:
    (one,) = service.client("GET", "/v1/dead-letters").body["data"]
    return dict(one)


def mend(receiver: Endpoint) -> None:
    receiver.status = 200
    receiver.received.clear()


def test_a_redriven_dead_letter_is_delivered_and_resolves_itself(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    _, of = dead(service, queues, receiver)
    mend(receiver)
    assert queues.retry.redrive() == 1
    queues.run()
    now = delivery(service, of)
    assert (now["status"], now["attempts"], now["max_attempts"]) == ("delivered", 2, 2)
    one = letter(service)
    assert (one["status"], one["resolved_by"], one["notes"]) == ("resolved", "queue", "redriven from the queue")
    assert len(receiver.received) == 1
    assert queues.retry.dead() == []


def test_one_that_fails_again_is_a_new_dead_letter_with_a_message_of_its_own(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    _, of = dead(service, queues, receiver)
    (first,) = queues.retry.dead()
    queues.retry.redrive()
    queues.run()
    (second,) = queues.retry.dead()
    assert json.loads(first)["dead"] != json.loads(second)["dead"]
    statuses = [one["status"] for one in service.client("GET", "/v1/dead-letters").body["data"]]
    assert statuses == ["pending", "resolved"]
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert delivery(service, of)["status"] == "delivered"


def test_many_are_redriven_at_once(service: Service, queues: Queues, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    for n in range(25):
        service.event(data={"n": n})
    queues.run()
    assert len(queues.retry.dead()) == 25
    mend(receiver)
    assert queues.retry.redrive() == 25
    queues.run()
    assert states(service) == {"delivered": 25}
    assert sorted(json.loads(got.body)["n"] for got in receiver.received) == list(range(25))


def test_a_stray_duplicate_of_a_dying_message_dies_too(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    """SQS may hand out a message twice, under the same id: before it is in the dead-letter queue, and after."""
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    (stray,) = queues.retry.invoke()
    queues.run()
    mend(receiver)
    for _ in range(2):
        answer = deliver.handler({"Records": [stray, stray]}, Context())
        assert {one["itemIdentifier"] for one in answer["batchItemFailures"]} == {stray["messageId"]}
    assert (letter(service)["status"], states(service), receiver.received) == ("pending", {"failed": 1}, [])
    queues.retry.redrive()
    queues.run()
    assert states(service) == {"delivered": 1}


def test_a_stray_duplicate_of_a_redriven_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    dead(service, queues, receiver)
    mend(receiver)
    queues.retry.redrive()
    (redriven,) = queues.retry.invoke()
    queues.run()
    assert deliver.handler({"Records": [redriven]}, Context()) == {"batchItemFailures": []}
    queues.run()
    assert len(receiver.received) == 1


def test_a_second_redrive_of_the_same_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    """The function dies each time before it acknowledges, so the redriven message goes to the queue once more."""
    _, of = dead(service, queues, receiver)
    (body,) = queues.retry.dead()
    mend(receiver)
    queues.retry.redrive()
    while queues.retry.invoke(unacknowledged=body):
        pass
    assert queues.retry.dead() == [body]
    assert (letter(service)["status"], delivery(service, of)["status"]) == ("resolved", "delivered")
    queues.retry.redrive()
    queues.run()
    assert queues.retry.dead() == []
    assert (delivery(service, of)["attempts"], len(receiver.received)) == (2, 1)


@pytest.mark.parametrize(("how", "left"), [("discard", "failed"), ("redrive", "delivered")])
def test_after_it_was_resolved_by_api_its_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint, how: str, left: str
) -> None:
    dead(service, queues, receiver)
    mend(receiver)
    resolved = service.client("POST", f"/v1/dead-letters/{letter(service)['id']}/{how}").body
    queues.run()
    assert states(service) == {left: 1}
    before = len(receiver.received)
    assert queues.retry.redrive() == 1, "the message is still there, and stale"
    queues.run()
    assert queues.retry.dead() == []
    assert (letter(service), states(service), len(receiver.received)) == (resolved, {left: 1}, before)


def test_one_that_is_redriven_by_api_while_it_is_dying_never_reaches_the_queue(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    queues.retry.invoke()
    mend(receiver)
    service.client("POST", f"/v1/dead-letters/{letter(service)['id']}/redrive")
    queues.run()
    assert (states(service), queues.retry.dead()) == ({"delivered": 1}, [])


def delete_webhook(service: Service, webhook: dict[str, Any], _of: str) -> None:
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204


def expunge(service: Service, _webhook: dict[str, Any], of: str) -> None:
    assert service.client("DELETE", f"/v1/events/{delivery(service, of)['event_id']}/payload").status == 200


def forget_delivery(service: Service, _webhook: dict[str, Any], of: str) -> None:
    service.sql.run("DELETE FROM webhook.webhook_deliveries WHERE id = :id", id=of)


def forget_event(service: Service, _webhook: dict[str, Any], _of: str) -> None:
    service.sql.run("DELETE FROM webhook.webhook_events")


def use_up(service: Service, _webhook: dict[str, Any], _of: str) -> None:
    service.sql.run(
        f"UPDATE webhook.webhook_deliveries SET attempts = {MAX_ATTEMPTS}, max_attempts = {MAX_ATTEMPTS}"
    )


@pytest.mark.parametrize(
    ("lose", "why"),
    [
        (delete_webhook, "its webhook was deleted"),
        (expunge, "its payload was expunged"),
        (forget_delivery, "it is no longer kept"),
        (forget_event, "it is no longer kept"),
        (use_up, "its attempts cannot be counted any further"),
    ],
    ids=["deleted", "expunged", "delivery gone", "event gone", "used up"],
)
def test_where_nothing_is_left_to_try_a_redrive_gives_it_up_and_says_why(
    service: Service,
    queues: Queues,
    receiver: Endpoint,
    lose: Callable[[Service, dict[str, Any], str], None],
    why: str,
) -> None:
    webhook, of = dead(service, queues, receiver)
    lose(service, webhook, of)
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    one = letter(service)
    assert (one["status"], one["resolved_by"]) == ("discarded", "queue")
    assert one["notes"] == f"redriven from the queue, but {why}"
    assert queues.retry.dead() == []
    assert receiver.received == []
    assert states(service) == ({} if lose is forget_delivery else {"failed": 1})


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_while_its_webhook_is_stopped_it_waits_for_the_webhook(
    service: Service, queues: Queues, receiver: Endpoint, status: str
) -> None:
    webhook, of = dead(service, queues, receiver)
    how = {"paused": "pause", "disabled": "disable"}[status]
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/{how}").status == 200
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert (letter(service)["status"], states(service), receiver.received) == ("resolved", {"pending": 1}, [])
    assert queues.retry.dead() == []
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/resume").status == 200
    queues.run()
    assert delivery(service, of)["status"] == "delivered"


def test_one_of_an_endpoint_that_is_gone_waits_until_its_webhook_is_resumed(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    receiver.status = 410
    webhook, of = dead(service, queues, receiver)
    assert letter(service)["reason"] == "endpoint_gone"
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert (delivery(service, of)["status"], receiver.received) == ("pending", [])
    service.client("POST", f"/v1/webhooks/{webhook['id']}/resume")
    queues.run()
    assert delivery(service, of)["status"] == "delivered"


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
