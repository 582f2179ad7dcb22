"""What the conformance tests run against."""

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from mypy_boto3_sqs import SQSClient

TARGETS = ["emulator", "moto", *(["aws"] if os.environ.get("HOOKLINE_CONFORMANCE_AWS") == "1" else [])]

T = TypeVar("T")


@dataclass(frozen=True)
class TestQueue:
    """A queue that exists for one test."""

    __test__ = False

    client: SQSClient
    url: str
    arn: str

    @property
    def name(self) -> str:
        return self.arn.rpartition(":")[2]

    def send(self, body: str = "hello", **fields: Any) -> dict[str, Any]:
        return dict(self.client.send_message(QueueUrl=self.url, MessageBody=body, **fields))

    def receive(self, wait: int = 1, **fields: Any) -> list[dict[str, Any]]:
        """What is received within `wait` s, with all attributes."""
        answer = self.client.receive_message(
            QueueUrl=self.url,
            WaitTimeSeconds=wait,
            AttributeNames=["All"],
            **{"MessageAttributeNames": ["All"], **fields},
        )
        return [dict(message) for message in answer.get("Messages", [])]

    def receive_one(self, **fields: Any) -> dict[str, Any]:
        """The one message that comes within a few seconds."""
        messages = eventually(lambda: self.receive(**fields), bool)
        assert len(messages) == 1
        return messages[0]

    def delete(self, message: dict[str, Any]) -> None:
        self.client.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])

    def show(self, message: dict[str, Any], timeout: int = 0) -> None:
        """Change the visibility timeout of a received message, by default to make it visible at once."""
        self.client.change_message_visibility(
            QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=timeout
        )

    def attributes(self, *names: str) -> dict[str, str]:
        answer = self.client.get_queue_attributes(QueueUrl=self.url, AttributeNames=list(names or ("All",)))
        return dict(answer.get("Attributes", {}))

    def counts(self) -> tuple[int, int, int]:
        """Visible, in flight, delayed."""
        have = self.attributes()
        prefix = "ApproximateNumberOfMessages"
        return int(have[prefix]), int(have[f"{prefix}NotVisible"]), int(have[f"{prefix}Delayed"])


MakeQueue = Callable[..., TestQueue]


def make_queue(client: SQSClient, attributes: dict[str, str]) -> TestQueue:
    name = f"hookline-conformance-{uuid.uuid4().hex}"
    url = client.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
    arn = client.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    return TestQueue(client, url, arn)


def redrive_policy(dead_letters: TestQueue, max_receives: int) -> str:
    return json.dumps({"deadLetterTargetArn": dead_letters.arn, "maxReceiveCount": max_receives})


def eventually(ask: Callable[[], T], is_right: Callable[[T], bool], seconds: float = 10) -> T:
    """What `ask` answers once it is right, which AWS takes its time for; fails after `seconds`."""
    end = time.monotonic() + seconds
    while not is_right(answer := ask()):
        assert time.monotonic() < end, f"still {answer!r} after {seconds} s"
        time.sleep(0.05)
    return answer
