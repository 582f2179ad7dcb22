from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs import SQSClient

from tests.integration.sqs.targets import TestQueue, eventually


def entries(*ids: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"Id": entry_id, "MessageBody": entry_id or "x", **fields} for entry_id in ids]


def send(queue: TestQueue, batch: list[dict[str, Any]]) -> dict[str, Any]:
    return dict(queue.client.send_message_batch(QueueUrl=queue.url, Entries=batch))  # type: ignore[arg-type]


def receive_all(queue: TestQueue, count: int) -> list[dict[str, Any]]:
    received: list[dict[str, Any]] = []
    eventually(
        lambda: received.extend(queue.receive(MaxNumberOfMessages=10)) or len(received),
        lambda have: have >= count,
    )
    return received


def test_a_batch_is_sent_received_and_deleted(sqs: SQSClient, queue: TestQueue) -> None:
    ids = [f"entry-{n}" for n in range(10)]
    answer = send(queue, entries(*ids, MessageGroupId="tenant"))
    assert [success["Id"] for success in answer["Successful"]] == ids
    assert answer.get("Failed", []) == []
    received = receive_all(queue, 10)
    assert {message["MessageId"] for message in received} == {s["MessageId"] for s in answer["Successful"]}
    handles = [{"Id": str(n), "ReceiptHandle": m["ReceiptHandle"]} for n, m in enumerate(received)]
    deleted = sqs.delete_message_batch(QueueUrl=queue.url, Entries=handles)  # type: ignore[arg-type]
    assert len(deleted["Successful"]) == 10
    assert eventually(queue.counts, lambda counts: counts == (0, 0, 0)) == (0, 0, 0)


def test_an_entry_may_have_its_own_delay_and_attributes(queue: TestQueue) -> None:
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}}
    send(queue, entries("now", MessageAttributes=attributes) + entries("later", DelaySeconds=900))
    received = queue.receive_one(MaxNumberOfMessages=10)
    assert received["Body"] == "now"
    assert received["MessageAttributes"] == attributes
    assert eventually(queue.counts, lambda counts: counts == (0, 1, 1)) == (0, 1, 1)


def test_a_bad_entry_does_not_fail_the_others(queue: TestQueue) -> None:
    batch = [*entries("good"), {"Id": "bad", "MessageBody": "a\x00b"}]
    answer = send(queue, batch)
    assert [success["Id"] for success in answer["Successful"]] == ["good"]
    [failure] = answer["Failed"]
    assert (failure["Id"], failure["SenderFault"]) == ("bad", True)
    assert failure["Code"] == "InvalidMessageContents"
    assert queue.receive_one(MaxNumberOfMessages=10)["Body"] == "good"


def test_visibility_is_changed_in_a_batch(sqs: SQSClient, queue: TestQueue) -> None:
    send(queue, entries("a", "b"))
    received = receive_all(queue, 2)
    changes = [
        {"Id": m["Body"], "ReceiptHandle": m["ReceiptHandle"], "VisibilityTimeout": 0 if m["Body"] == "a" else 60}
        for m in received
    ]
    answer = sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=changes)  # type: ignore[arg-type]
    assert {success["Id"] for success in answer["Successful"]} == {"a", "b"}
    assert queue.receive_one(MaxNumberOfMessages=10)["Body"] == "a"


def test_a_bad_handle_fails_its_own_entry_only(sqs: SQSClient, queue: TestQueue) -> None:
    queue.send()
    good = queue.receive_one()["ReceiptHandle"]
    batch = [{"Id": "good", "ReceiptHandle": good}, {"Id": "bad", "ReceiptHandle": "fake"}]
    changes = [{**entry, "VisibilityTimeout": 60} for entry in batch]
    changed = sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=changes)  # type: ignore[arg-type]
    deleted = sqs.delete_message_batch(QueueUrl=queue.url, Entries=batch)  # type: ignore[arg-type]
    for answer in (changed, deleted):
        assert [success["Id"] for success in answer["Successful"]] == ["good"]
        assert [(failure["Id"], failure["Code"]) for failure in answer["Failed"]] == [
            ("bad", "ReceiptHandleIsInvalid")
        ]


@pytest.mark.parametrize(
    ("batch", "exception"),
    [
        ([], "EmptyBatchRequest"),
        (entries(*map(str, range(11))), "TooManyEntriesInBatchRequest"),
        (entries("a", "a"), "BatchEntryIdsNotDistinct"),
        (entries("a b"), "InvalidBatchEntryId"),
        (entries("x" * 81), "InvalidBatchEntryId"),
        ([{"Id": str(n), "MessageBody": "x" * 600_000} for n in range(2)], "BatchRequestTooLong"),
    ],
    ids=["empty", "eleven", "repeated", "bad id", "long id", "too long"],
)
def test_a_bad_batch_is_refused_whole(
    sqs: SQSClient, queue: TestQueue, batch: list[dict[str, Any]], exception: str
) -> None:
    with pytest.raises(getattr(sqs.exceptions, exception)) as error:
        send(queue, batch)
    assert error.value.response["Error"]["Code"] == f"AWS.SimpleQueueService.{exception}"
    assert queue.receive(wait=0) == []


def test_a_bad_batch_of_handles_is_refused_whole(sqs: SQSClient, queue: TestQueue) -> None:
    handles = [{"Id": str(n), "ReceiptHandle": f"x{n}"} for n in range(11)]
    with pytest.raises(ClientError) as error:
        sqs.delete_message_batch(QueueUrl=queue.url, Entries=handles)  # type: ignore[arg-type]
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
    changes = [{**handle, "VisibilityTimeout": 0} for handle in handles]
    with pytest.raises(ClientError) as error:
        sqs.change_message_visibility_batch(QueueUrl=queue.url, Entries=changes)  # type: ignore[arg-type]
    assert error.value.response["Error"]["Code"] == "AWS.SimpleQueueService.TooManyEntriesInBatchRequest"
