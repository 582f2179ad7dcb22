"""Actions on messages."""

from collections.abc import Collection
from typing import Any

from local.sqs import errors
from local.sqs.actions import batches
from local.sqs.actions.fields import Fields, mapping, number, optional_text, text, texts
from local.sqs.actions.service import Service
from local.sqs.errors import SqsError
from local.sqs.message import Content, Message, content_of, handle_of
from local.sqs.message_attributes import check_attributes, check_body, check_group, digest, selected, size_of
from local.sqs.queue import Queue
from local.sqs.queue_attributes import MAX_MESSAGE_BYTES

SENDER_ID = "AIDALOCALEMULATOR0001"  # nobody is authenticated, so everybody has the same
TRACE_HEADER = "AWSTraceHeader"


def send_message(service: Service, fields: Fields) -> dict[str, Any]:
    return _send(service, service.queue(fields), fields)


def send_message_batch(service: Service, fields: Fields) -> dict[str, Any]:
    queue = service.queue(fields)
    entries = batches.entries_of(fields, "SendMessageBatchRequestEntry")
    _check_total(entries)
    return batches.each(entries, lambda entry: _send(service, queue, entry))


def receive_message(service: Service, fields: Fields) -> dict[str, Any]:
    """What can be received now; waiting is the server's business."""
    queue = service.queue(fields)
    limit = number(fields, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")
    visibility = _visibility(fields)
    system = {*texts(fields, "AttributeNames"), *texts(fields, "MessageSystemAttributeNames")}
    wanted = texts(fields, "MessageAttributeNames")
    received = service.broker.receive(queue, limit or 1, visibility)
    return {"Messages": [_shown(message, system, wanted) for message in received]} if received else {}


def wait_time(service: Service, fields: Fields) -> int:
    """How long a ReceiveMessage may wait for a message, in ms."""
    seconds = number(fields, "WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20, if provided.")
    return service.queue(fields).settings.wait if seconds is None else seconds * 1000


def delete_message(service: Service, fields: Fields) -> dict[str, Any]:
    service.broker.delete(service.queue(fields), text(fields, "ReceiptHandle"))
    return {}


def delete_message_batch(service: Service, fields: Fields) -> dict[str, Any]:
    queue = service.queue(fields)

    def delete(entry: Fields) -> dict[str, Any]:
        service.broker.delete(queue, text(entry, "ReceiptHandle"))
        return {}

    return batches.each(batches.entries_of(fields, "DeleteMessageBatchRequestEntry"), delete)


def change_message_visibility(service: Service, fields: Fields) -> dict[str, Any]:
    return _change_visibility(service, service.queue(fields), fields)


def change_message_visibility_batch(service: Service, fields: Fields) -> dict[str, Any]:
    queue = service.queue(fields)
    entries = batches.entries_of(fields, "ChangeMessageVisibilityBatchRequestEntry")
    return batches.each(entries, lambda entry: _change_visibility(service, queue, entry))


def _send(service: Service, queue: Queue, fields: Fields) -> dict[str, Any]:
    content = _content(fields, queue)
    reason = "DelaySeconds must be >= 0 and <= 900."
    delay = number(fields, "DelaySeconds", 0, 900, reason)
    message = service.broker.send(queue, content, None if delay is None else delay * 1000)
    answer = {"MessageId": message.message_id, "MD5OfMessageBody": content.md5}
    if content.attributes:
        answer["MD5OfMessageAttributes"] = digest(content.attributes)
    if content.trace_header:
        answer["MD5OfMessageSystemAttributes"] = digest(mapping(fields, "MessageSystemAttributes", dict))
    return answer


def _content(fields: Fields, queue: Queue) -> Content:
    """Raises SqsError for whatever is wrong with the message."""
    if "MessageDeduplicationId" in fields:
        reason = "The request include parameter that is not valid for this queue type."
        raise errors.invalid_value("MessageDeduplicationId", fields["MessageDeduplicationId"], reason)
    body = text(fields, "MessageBody")
    check_body(body)
    attributes = mapping(fields, "MessageAttributes", dict)
    check_attributes(attributes)
    if size_of(body, attributes) > queue.settings.max_bytes:
        why = f"Message must be shorter than {queue.settings.max_bytes} bytes."
        raise SqsError(errors.INVALID_PARAMETER_VALUE, f"One or more parameters are invalid. Reason: {why}")
    group_id = optional_text(fields, "MessageGroupId")
    if group_id is not None:
        check_group(group_id)
    return content_of(body, group_id, attributes or None, _trace_header(fields))


def _trace_header(fields: Fields) -> str | None:
    system = mapping(fields, "MessageSystemAttributes", dict)
    if not system:
        return None
    check_attributes(system)
    if set(system) != {TRACE_HEADER} or system[TRACE_HEADER]["DataType"] != "String":
        text = f"The only message system attribute is {TRACE_HEADER}, of type String."
        raise SqsError(errors.INVALID_PARAMETER_VALUE, text)
    header: str = system[TRACE_HEADER]["StringValue"]
    return header


def _check_total(entries: list[Fields]) -> None:
    total = sum(_entry_size(entry) for entry in entries)
    if total > MAX_MESSAGE_BYTES:
        text = f"Batch requests cannot be longer than {MAX_MESSAGE_BYTES} bytes. You have sent {total} bytes."
        raise SqsError(errors.BATCH_REQUEST_TOO_LONG, text)


def _entry_size(entry: Fields) -> int:
    """Bytes that count; a malformed entry counts nothing here and fails by itself later."""
    try:
        attributes = mapping(entry, "MessageAttributes", dict)
        check_attributes(attributes)
        return size_of(text(entry, "MessageBody"), attributes)
    except SqsError:
        return 0


def _visibility(fields: Fields) -> int | None:
    reason = "Must be between 0 and 43200, if provided."
    seconds = number(fields, "VisibilityTimeout", 0, 43_200, reason)
    return None if seconds is None else seconds * 1000


def _change_visibility(service: Service, queue: Queue, fields: Fields) -> dict[str, Any]:
    if (visibility := _visibility(fields)) is None:
        raise errors.missing_parameter("VisibilityTimeout")
    service.broker.change_visibility(queue, text(fields, "ReceiptHandle"), visibility)
    return {}


def _shown(message: Message, system: Collection[str], wanted: list[str]) -> dict[str, Any]:
    content = message.content
    shown: dict[str, Any] = {
        "MessageId": message.message_id,
        "ReceiptHandle": handle_of(message),
        "MD5OfBody": content.md5,
        "Body": content.body,
    }
    if system and (attributes := _system_attributes(message, system)):
        shown["Attributes"] = attributes
    if content.attributes and (chosen := selected(content.attributes, wanted)):
        shown["MessageAttributes"] = chosen
        shown["MD5OfMessageAttributes"] = digest(chosen)
    return shown


def _system_attributes(message: Message, wanted: Collection[str]) -> dict[str, str]:
    have = {
        "SenderId": SENDER_ID,
        "SentTimestamp": str(message.sent_at),
        "ApproximateReceiveCount": str(message.receives),
        "ApproximateFirstReceiveTimestamp": str(message.first_received_at),
        "MessageGroupId": message.content.group_id,
        "DeadLetterQueueSourceArn": message.dead_letter_source,
        TRACE_HEADER: message.content.trace_header,
    }
    everything = "All" in wanted
    return {name: value for name, value in have.items() if value is not None and (everything or name in wanted)}
