"""A message, and the receipt handle a receiver gets for it."""

import binascii
import hashlib
import re
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from local.sqs.errors import RECEIPT_HANDLE_IS_INVALID, SqsError

_HANDLE = re.compile(r"(?P<stem>(?P<seq>[0-9a-f]{1,16})-[0-9a-f]{1,8})-(?P<check>[0-9a-f]{8})")


class AttributeValue(TypedDict):
    """A message attribute as the API spells it; `BinaryValue` stays base64."""

    DataType: str
    StringValue: NotRequired[str]
    BinaryValue: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Content:
    """What a sender hands over."""

    body: str
    md5: str
    group_id: str | None = None
    attributes: dict[str, AttributeValue] | None = None
    trace_header: str | None = None


def content_of(
    body: str,
    group_id: str | None = None,
    attributes: dict[str, AttributeValue] | None = None,
    trace_header: str | None = None,
) -> Content:
    """The content with the digest of its body, which boto3 and other clients check."""
    md5 = hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    return Content(body, md5, group_id, attributes, trace_header)


@dataclass(slots=True)
class Message:
    """A message in a queue. Times are ms since the epoch.

    `seq` orders messages by arrival and is never used twice; a message keeps it, its id and `sent_at` on its
    way to a dead-letter queue, and gets new ones when a move task brings it back.
    """

    seq: int
    queue: str
    message_id: str
    content: Content
    sent_at: int
    visible_at: int = 0
    receives: int = 0
    first_received_at: int | None = None
    dead_letter_source: str | None = None  # ARN of the queue whose redrive policy moved it here


def handle_of(message: Message) -> str:
    """The receipt handle of the latest receive."""
    stem = f"{message.seq:x}-{message.receives:x}"
    return f"{stem}-{_check(message.queue, stem):08x}"


def seq_of(queue: str, handle: str) -> int:
    """The sequence number a handle of that queue names.

    Handles of earlier receives count as well: on AWS they still delete a standard queue's message and change
    its visibility (observed by moto's maintainers, getmoto/moto#4655).

    Raises SqsError (ReceiptHandleIsInvalid) for what was never a handle of this queue.
    """
    parts = _HANDLE.fullmatch(handle)
    if parts is None or int(parts["check"], 16) != _check(queue, parts["stem"]):
        text = f'The input receipt handle "{handle}" is not a valid receipt handle.'
        raise SqsError(RECEIPT_HANDLE_IS_INVALID, text)
    return int(parts["seq"], 16)


def _check(queue: str, stem: str) -> int:
    return binascii.crc32(f"{queue}/{stem}".encode())
