import json
from typing import Any

import pytest

from local.cloudformation.resources import MappingSpec
from local.lambdas.runtime_api import Result
from local.mappings import batch

MESSAGES = [
    {
        "MessageId": name,
        "ReceiptHandle": f"handle-{name}",
        "Body": f"body of {name}",
        "MD5OfBody": "d41d",
        "Attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "g"},
    }
    for name in ("m1", "m2")
]


def mapping(*, report_failures: bool = True) -> MappingSpec:
    return MappingSpec("work", "arn:aws:sqs:eu-central-1:000000000000:q", 10, report_failures, None)


def failed(answer: Any, *, report_failures: bool = True) -> set[str] | None:
    result = Result(answer if isinstance(answer, bytes) else json.dumps(answer).encode())
    return batch.failed_ids(result, MESSAGES, mapping(report_failures=report_failures))


@pytest.mark.parametrize(
    "answer", [None, {}, {"batchItemFailures": None}, {"batchItemFailures": []}, {"other": 1}]
)
def test_no_list_or_an_empty_one_means_all_are_done(answer: Any) -> None:
    assert failed(answer) == set()


def test_the_named_ones_failed() -> None:
    assert failed({"batchItemFailures": [{"itemIdentifier": "m2"}]}) == {"m2"}


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"itemIdentifier": "unknown"}, {"itemIdentifier": "m1"}]},
        {"batchItemFailures": [{"identifier": "m1"}]},
        {"batchItemFailures": ["m1"]},
        {"batchItemFailures": [{"itemIdentifier": ["m1"]}]},
        {"batchItemFailures": 5},
        "a string",
        [1, 2],
    ],
)
def test_a_malformed_list_means_all_failed(answer: Any) -> None:
    assert failed(answer) is None


def test_a_failed_function_failed_all() -> None:
    result = Result(b'{"errorMessage": "boom"}', failed=True)
    assert batch.failed_ids(result, MESSAGES, mapping()) is None
    assert batch.failed_ids(result, MESSAGES, mapping(report_failures=False)) is None


def test_without_report_batch_item_failures_any_answer_means_all_are_done() -> None:
    assert failed({"batchItemFailures": [{"itemIdentifier": "m2"}]}, report_failures=False) == set()
    assert failed(b"not json", report_failures=False) == set()


def test_records_have_lambda_s_shape() -> None:
    message = {
        **MESSAGES[0],
        "MessageAttributes": {
            "kind": {"StringValue": "x", "DataType": "String"},
            "blob": {"BinaryValue": "AAE=", "DataType": "Binary"},
        },
        "MD5OfMessageAttributes": "abcd",
    }
    [record] = json.loads(batch.event([message], "arn:q"))["Records"]
    assert record == {
        "messageId": "m1",
        "receiptHandle": "handle-m1",
        "body": "body of m1",
        "attributes": {"ApproximateReceiveCount": "1", "MessageGroupId": "g"},
        "messageAttributes": {
            "kind": {"stringValue": "x", "dataType": "String", "stringListValues": [], "binaryListValues": []},
            "blob": {"binaryValue": "AAE=", "dataType": "Binary", "stringListValues": [], "binaryListValues": []},
        },
        "md5OfBody": "d41d",
        "md5OfMessageAttributes": "abcd",
        "eventSource": "aws:sqs",
        "eventSourceARN": "arn:q",
        "awsRegion": "eu-central-1",
    }
