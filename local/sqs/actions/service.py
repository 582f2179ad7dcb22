"""What an action works on."""

from dataclasses import dataclass
from urllib.parse import urlsplit

from local.sqs.actions.fields import Fields, text
from local.sqs.broker import Broker
from local.sqs.errors import INVALID_ADDRESS, SqsError, queue_does_not_exist
from local.sqs.move_tasks import MoveTasks
from local.sqs.queue import Queue


@dataclass(frozen=True, slots=True)
class Service:
    """The broker, its move tasks, and the address clients reach them at (`http://127.0.0.1:<port>`)."""

    broker: Broker
    moves: MoveTasks
    address: str

    def url(self, queue: Queue) -> str:
        return f"{self.address}/{self.broker.account}/{queue.name}"

    def queue(self, fields: Fields) -> Queue:
        """The queue a request's QueueUrl names, whatever port it names: the port may have changed since.

        Raises SqsError if there is none.
        """
        url = text(fields, "QueueUrl")
        account, _, name = urlsplit(url).path.strip("/").rpartition("/")
        if not account:
            raise SqsError(INVALID_ADDRESS, f"The address {url} is not valid for this endpoint.")
        if account != self.broker.account:
            raise queue_does_not_exist()
        return self.broker.queue(name)
