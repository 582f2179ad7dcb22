"""The delivery function's queues with their dead-letter queues, and an operator at the console."""

import json
import time
from dataclasses import dataclass
from typing import Any

import pytest

from functions.deliver import handler as deliver
from functions.deliver import intake
from functions.settings import settings
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint

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


def with_dlqs(service: Service, monkeypatch: pytest.MonkeyPatch) -> Queues:
    monkeypatch.setattr(intake.Intake, "open", lambda _self: None)  # every receive is the test's own
    urls = (settings().delivery_queue_url, settings().retry_queue_url)
    return Queues(*(_with_dlq(service, url) for url in urls))


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
