"""SQS's JSON protocol over one pooled HTTP client: what the mappings need, without boto3's cost per call."""

import json
from typing import Any

import aiohttp

from local.cloudformation.stores import QueueSpec
from local.errors import LocalError

LONG_POLL_SECONDS = 20  # the longest SQS allows
ANSWER_SECONDS = 10


class SqsError(LocalError):
    """SQS refused; `code` is the shape's name, such as QueueNameExists."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code


class Sqs:
    """Raises SqsError for a refusal, aiohttp.ClientError or TimeoutError when nobody answers."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def ensure_queues(self, queues: list[QueueSpec]) -> None:
        """Make each queue in this order, or give the existing one the template's attributes."""
        for queue in queues:
            attributes = dict(queue.attributes)
            try:
                await self._call("CreateQueue", {"QueueName": queue.name, "Attributes": attributes})
            except SqsError as error:
                if error.code != "QueueNameExists":
                    raise
                await self._call("SetQueueAttributes", {"QueueUrl": queue.url, "Attributes": attributes})

    async def receive(self, queue_url: str, count: int, *, wait: int = LONG_POLL_SECONDS) -> list[dict[str, Any]]:
        """Up to `count` messages; waits up to `wait` seconds for the first one."""
        answer = await self._call(
            "ReceiveMessage",
            {
                "QueueUrl": queue_url,
                "MaxNumberOfMessages": count,
                "WaitTimeSeconds": wait,
                "MessageSystemAttributeNames": ["All"],
                "MessageAttributeNames": ["All"],
            },
            seconds=wait + ANSWER_SECONDS,
        )
        messages: list[dict[str, Any]] = answer.get("Messages") or []
        return messages

    async def delete(self, queue_url: str, receipt_handles: list[str]) -> None:
        """Delete up to 10 messages. A handle that is no longer good is none of our business."""
        entries = [{"Id": str(i), "ReceiptHandle": handle} for i, handle in enumerate(receipt_handles)]
        await self._call("DeleteMessageBatch", {"QueueUrl": queue_url, "Entries": entries})

    async def _call(self, action: str, fields: dict[str, Any], seconds: float = ANSWER_SECONDS) -> dict[str, Any]:
        headers = {"X-Amz-Target": f"AmazonSQS.{action}", "Content-Type": "application/x-amz-json-1.0"}
        timeout = aiohttp.ClientTimeout(total=seconds)
        async with self._session.post(
            self._url, data=json.dumps(fields), headers=headers, timeout=timeout
        ) as response:
            body = await response.read()
            answer: dict[str, Any] = json.loads(body) if body else {}
            if response.status != 200:
                raise SqsError(answer.get("__type", "Unknown").rpartition("#")[2], answer.get("message", ""))
            return answer
