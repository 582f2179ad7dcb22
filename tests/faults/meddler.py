"""Between the queues and their readers: messages come twice, late, in another order, or not at all."""

import json
import random
import threading
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

KEPT_SECONDS = 10  # what is received here is hidden from the service for so long, unless it is put back
LATEST_SECONDS = 4
READERS = 2  # of each queue: the service reads it too, and whoever asked first gets what comes


def client(url: str) -> Any:
    """A client of the queue emulator that does not wait long for one that is away."""
    return boto3.client(
        "sqs",
        endpoint_url=url,
        region_name="eu-central-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(connect_timeout=1, read_timeout=5, retries={"max_attempts": 1}),
    )


class Meddler:
    """Takes messages off the queues while it is at work, and puts them back by chance.

    Only messages of deliveries are copied or lost. A copy of a dead letter's message under another id is that
    letter redriven, as from the console; such messages are only late.
    """

    def __init__(self, url: str, queues: list[str], *, seed: str) -> None:
        self.done = {"copied": 0, "late": 0, "lost": 0}
        self._sqs = client(url)
        self._queues = queues
        self._chance = random.Random(f"{seed} meddler")
        self._end = threading.Event()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        self._end.clear()
        for url in self._queues * READERS:
            thread = threading.Thread(target=self._work, args=(url,), name="meddler", daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        """Everything that it still has comes back when it is no longer hidden."""
        self._end.set()
        while self._threads:
            self._threads.pop().join()

    def _work(self, url: str) -> None:
        while not self._end.is_set():
            try:
                self._meddle(url)
            except (BotoCoreError, ClientError):  # the queues are down as well: what is hidden comes back
                self._end.wait(0.2)

    def _meddle(self, url: str) -> None:
        got = self._sqs.receive_message(
            QueueUrl=url,
            MaxNumberOfMessages=10,
            VisibilityTimeout=KEPT_SECONDS,
            WaitTimeSeconds=1,
            MessageSystemAttributeNames=["MessageGroupId"],
        ).get("Messages", [])
        self._chance.shuffle(got)
        for message in got:
            self._one(url, message)

    def _one(self, url: str, message: dict[str, Any]) -> None:
        handle = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
        what = self._chance.random()
        if "deliveries" not in json.loads(message["Body"]) or what < 0.4:
            late = self._chance.randrange(LATEST_SECONDS)
            self._sqs.change_message_visibility(**handle, VisibilityTimeout=late)
            self.done["late"] += 1
        elif what < 0.8:
            for _ in range(self._chance.randint(1, 2)):
                self._copy(url, message)
            self._sqs.change_message_visibility(**handle, VisibilityTimeout=self._chance.randrange(2))
        else:
            self._sqs.delete_message(**handle)
            self.done["lost"] += 1

    def _copy(self, url: str, message: dict[str, Any]) -> None:
        group = message.get("Attributes", {}).get("MessageGroupId")
        self._sqs.send_message(
            QueueUrl=url,
            MessageBody=message["Body"],
            DelaySeconds=self._chance.randrange(LATEST_SECONDS),
            **({"MessageGroupId": group} if group else {}),
        )
        self.done["copied"] += 1
