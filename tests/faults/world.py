"""A world in which nothing happens but what a test says: queues that are a bag of messages, and endpoints."""

import itertools
import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from functions.adapters import queues
from functions.adapters.sender import Request, Response
from functions.deliver import handler as deliver
from functions.domain.outcome import Failure
from functions.jobs import handler as jobs
from functions.settings import settings
from tests.integration.conftest import Context, Service

OLDER = """
SELECT count(*) FROM webhook.webhook_deliveries
WHERE webhook_id = CAST(:webhook AS uuid) AND id < CAST(:id AS uuid) AND sweep_at IS NOT NULL
"""


@dataclass(frozen=True)
class Message:
    id: str
    queue: str
    body: str

    @property
    def is_letter(self) -> bool:
        return "dead" in json.loads(self.body)


class Crash(BaseException):
    """The process of a function ends here."""


class World:
    """The queues, and the endpoints that answer what they are told to."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self.numbers = itertools.count()
        self.bag: list[Message] = []
        self.answers: Iterator[int | None] = itertools.repeat(200)
        self.crash_after: int | None = None
        self.meanwhile: Callable[[], None] | None = None
        self.strict = ""

    def clear(self) -> None:
        self.bag.clear()

    def message(self, queue: str, body: str) -> Message:
        return Message(f"m{next(self.numbers)}", queue, body)

    def put(self, queue_url: str, messages: Iterable[queues.Message], *, once: bool = False) -> int:
        """In place of sending to SQS."""
        wanted = list(messages)
        named = {getattr(settings(), f"{queue}_queue_url"): queue for queue in ("delivery", "retry", "jobs")}
        self.bag += [self.message(named[queue_url], one.body) for one in wanted]
        return len(wanted)

    def invoke(self, queue: str, messages: list[Message]) -> list[Message]:
        """One invocation of the delivery function; the messages that are done."""
        if queue == "jobs":
            for message in messages:
                jobs.handler({"Records": [record(message)]}, Context())
            return messages
        if not messages:
            return []
        try:
            answer = deliver.handler({"Records": [record(message) for message in messages]}, Context())
        except Crash:
            return []
        failed = {one["itemIdentifier"] for one in answer["batchItemFailures"]}
        return [message for message in messages if message.id not in failed]

    def send(self, requests: Iterable[Any], *, may_connect: Any) -> Iterator[list[Response]]:
        """In place of libcurl: every request is answered, one after the other."""
        waiting, under_way = iter(requests), []
        while True:
            while isinstance(made := next(waiting, None), Request):
                self.check_order(made)
                under_way.append(made)
            if not under_way:
                return
            if self.crash_after is not None:
                if self.crash_after == 0:
                    self.crash_after = None
                    raise Crash
                self.crash_after -= 1
            if meanwhile := self.meanwhile:
                self.meanwhile = None
                meanwhile()
            yield [_response(under_way.pop(0), next(self.answers))]

    def check_order(self, request: Request) -> None:
        claim = request.reference
        if claim.webhook.id == self.strict:
            ((older,),) = self.service.sql.run(OLDER, webhook=self.strict, id=claim.id)
            assert older == 0, f"{claim.id} is sent while {older} before it are not finished"


def _response(request: Request, status: int | None) -> Response:
    failure = None if status else Failure("timeout", "no complete response within the webhook's timeout")
    return Response(request, datetime.now(UTC), status=status, failure=failure, time_ms=5)


def record(message: Message) -> dict[str, Any]:
    name = getattr(settings(), f"{message.queue}_queue_url").rpartition("/")[2]
    return {
        "messageId": message.id,
        "receiptHandle": message.id,
        "body": message.body,
        "eventSourceARN": f"arn:aws:sqs:eu-central-1:000000000000:{name}",
    }
