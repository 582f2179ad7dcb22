"""A batch of SQS messages as Lambda hands it to a function, and which of them its answer leaves undone."""

import json
from typing import Any

from local.cloudformation.resources import MappingSpec
from local.cloudformation.template import REGION
from local.lambdas.runtime_api import Result

Message = dict[str, Any]


def event(messages: list[Message], queue_arn: str) -> bytes:
    """https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html"""
    return json.dumps({"Records": [_record(message, queue_arn) for message in messages]}).encode()


def failed_ids(result: Result, messages: list[Message], mapping: MappingSpec) -> set[str] | None:
    """The ids of the messages to keep, or None to keep them all.

    AWS counts the whole batch as failed when the function fails, when its answer is not JSON, and when the
    list names an empty, null, misnamed or unknown id; as done when there is no list.
    https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
    """
    if result.failed:
        return None
    if not mapping.report_failures:
        return set()
    try:
        answer = json.loads(result.payload)
        failures = (answer or {}).get("batchItemFailures") or []
        failed = {failure["itemIdentifier"] for failure in failures}
    except (ValueError, TypeError, LookupError, AttributeError):
        return None
    known = {message["MessageId"] for message in messages}
    return failed if failed <= known else None


def _record(message: Message, queue_arn: str) -> dict[str, Any]:
    record = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": message.get("Attributes", {}),
        "messageAttributes": {
            name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()
        },
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": REGION,
    }
    if "MD5OfMessageAttributes" in message:
        record["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return record


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    named = {"StringValue": "stringValue", "BinaryValue": "binaryValue", "DataType": "dataType"}
    kept = {named[name]: text for name, text in value.items() if name in named}
    return {**kept, "stringListValues": [], "binaryListValues": []}
