import hashlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs import SQSClient

from tests.integration.sqs.targets import MakeQueue, TestQueue, eventually

TRACE_PARENT = b"774062d6c37081a5a0b9b5b88e30627c-2d2482211f6489da-01"


def code_of(error: pytest.ExceptionInfo[ClientError]) -> str:
    code: str = error.value.response["Error"]["Code"]
    return code


# Sending and receiving


@pytest.mark.parametrize(
    "body", ["hello", "ünï ⚡ 🚀", '{"a": "\\"quoted\\""}', "tab\tline\nreturn\r", "x" * 262_144]
)
def test_a_message_arrives_as_it_was_sent(queue: TestQueue, body: str) -> None:
    sent = queue.send(body)
    received = queue.receive_one()
    assert received["Body"] == body
    assert received["MessageId"] == sent["MessageId"]
    assert (
        sent["MD5OfMessageBody"]
        == received["MD5OfBody"]
        == hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()
    )


@pytest.mark.parametrize(
    ("attributes", "digest"),  # digests that AWS answered with, as recorded in LocalStack's tests
    [
        ({"Foo": {"DataType": "String", "StringValue": "Bar"}}, "ae7155c6026991b6d54b11589678bf9c"),
        (
            {
                "Hello": {"DataType": "String", "StringValue": "There"},
                "General": {"DataType": "String", "StringValue": "Kenobi"},
                "Help.Me": {"DataType": "String", "StringValue": "Me"},
            },
            "4c360f3fdafd970e05fae2f149d997f5",
        ),
        (
            {"attr1": {"DataType": "Binary", "BinaryValue": b"traceparent\x1e00-" + TRACE_PARENT}},
            "8cbe4db156db8a94db8b801b7addb984",
        ),
    ],
    ids=["string", "strings", "binary"],
)
def test_message_attributes_have_the_digest_aws_gives_them(
    queue: TestQueue, attributes: dict[str, Any], digest: str
) -> None:
    assert queue.send(MessageAttributes=attributes)["MD5OfMessageAttributes"] == digest
    assert queue.receive_one()["MD5OfMessageAttributes"] == digest


def test_message_attributes_arrive_as_they_were_sent(queue: TestQueue) -> None:
    attributes = {
        "Name": {"DataType": "String", "StringValue": "Käse"},
        "Count": {"DataType": "Number", "StringValue": "42"},
        "Blob": {"DataType": "Binary", "BinaryValue": b"\x00\x01\xff"},
        "Labelled": {"DataType": "String.json", "StringValue": "{}"},
    }
    sent = queue.send(MessageAttributes=attributes)
    received = queue.receive_one()
    assert received["MessageAttributes"] == attributes
    assert received["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], set()),
        (["All"], {"order.id", "order.total", "kind"}),
        ([".*"], {"order.id", "order.total", "kind"}),
        (["order.*"], {"order.id", "order.total"}),
        (["kind", "other"], {"kind"}),
    ],
)
def test_a_receiver_gets_the_message_attributes_it_asks_for(
    queue: TestQueue, wanted: list[str], expected: set[str]
) -> None:
    attributes = {name: {"DataType": "String", "StringValue": "x"} for name in ("order.id", "order.total", "kind")}
    queue.send(MessageAttributes=attributes)
    received = queue.receive_one(MessageAttributeNames=wanted)
    assert set(received.get("MessageAttributes", {})) == expected
    assert ("MD5OfMessageAttributes" in received) == bool(expected)


def test_system_attributes_tell_the_messages_history(queue: TestQueue) -> None:
    before = int(time.time() * 1000) - 5_000
    queue.send(MessageGroupId="tenant-1")
    first = queue.receive_one(VisibilityTimeout=0)["Attributes"]
    second = queue.receive_one(VisibilityTimeout=0)["Attributes"]
    assert first["ApproximateReceiveCount"] == "1"
    assert second["ApproximateReceiveCount"] == "2"
    assert first["MessageGroupId"] == "tenant-1"
    assert first["SenderId"]
    assert before < int(first["SentTimestamp"]) <= int(first["ApproximateFirstReceiveTimestamp"])
    assert second["ApproximateFirstReceiveTimestamp"] == first["ApproximateFirstReceiveTimestamp"]
    assert second["SentTimestamp"] == first["SentTimestamp"]
    assert "DeadLetterQueueSourceArn" not in first


def test_a_receiver_gets_the_system_attributes_it_asks_for(sqs: SQSClient, queue: TestQueue) -> None:
    queue.send()
    answer = sqs.receive_message(
        QueueUrl=queue.url,
        WaitTimeSeconds=5,
        MessageSystemAttributeNames=["ApproximateReceiveCount"],
    )
    assert answer["Messages"][0]["Attributes"] == {"ApproximateReceiveCount": "1"}


def test_a_receiver_that_asks_for_no_attributes_gets_none(sqs: SQSClient, queue: TestQueue) -> None:
    queue.send()
    message = sqs.receive_message(QueueUrl=queue.url, WaitTimeSeconds=5)["Messages"][0]
    assert message.keys() == {"MessageId", "ReceiptHandle", "MD5OfBody", "Body"}


def test_a_trace_header_travels_with_the_message(queue: TestQueue) -> None:
    header = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1"
    queue.send(MessageSystemAttributes={"AWSTraceHeader": {"DataType": "String", "StringValue": header}})
    assert queue.receive_one()["Attributes"]["AWSTraceHeader"] == header


def test_no_more_than_the_wanted_number_is_received(queue: TestQueue) -> None:
    for number in range(12):
        queue.send(str(number))
    first = queue.receive(MaxNumberOfMessages=10)
    assert 1 <= len(first) <= 10
    assert len(queue.receive()) == 1


@pytest.mark.parametrize(
    "fields",
    [
        {"MaxNumberOfMessages": 0},
        {"MaxNumberOfMessages": 11},
        {"WaitTimeSeconds": 21},
        {"VisibilityTimeout": 43_201},
    ],
)
def test_a_receive_out_of_bounds_is_refused(sqs: SQSClient, queue: TestQueue, fields: dict[str, int]) -> None:
    with pytest.raises(ClientError) as error:
        sqs.receive_message(QueueUrl=queue.url, **fields)  # type: ignore[arg-type]
    assert code_of(error) == "InvalidParameterValue"


# What may not be sent


def test_an_empty_body_is_refused(queue: TestQueue) -> None:
    with pytest.raises(ClientError) as error:
        queue.send("")
    assert code_of(error) == "MissingParameter"


@pytest.mark.parametrize("character", ["\x00", "\x1f", "\ufffe", "\uffff"])
def test_characters_that_xml_does_not_allow_are_refused(sqs: SQSClient, queue: TestQueue, character: str) -> None:
    with pytest.raises(sqs.exceptions.InvalidMessageContents) as error:
        queue.send(f"a{character}b")
    assert code_of(error) == "InvalidMessageContents"


def test_a_message_may_have_one_mebibyte_and_no_byte_more(queue: TestQueue) -> None:
    queue.send("x" * 1_048_576)
    with pytest.raises(ClientError) as error:
        queue.send("x" * 1_048_577)
    assert code_of(error) == "InvalidParameterValue"
    assert "Message must be shorter than 1048576 bytes" in error.value.response["Error"]["Message"]


def test_attributes_count_towards_the_size_of_a_message(new_queue: MakeQueue) -> None:
    queue = new_queue(MaximumMessageSize=1024)
    attributes = {"name": {"DataType": "String", "StringValue": "value"}}  # 4 + 6 + 5 bytes
    queue.send("x" * (1024 - 15), MessageAttributes=attributes)
    with pytest.raises(ClientError) as error:
        queue.send("x" * (1024 - 14), MessageAttributes=attributes)
    assert code_of(error) == "InvalidParameterValue"


@pytest.mark.parametrize(
    "attributes",
    [
        {"": {"DataType": "String", "StringValue": "x"}},
        {"AWS.reserved": {"DataType": "String", "StringValue": "x"}},
        {"with space": {"DataType": "String", "StringValue": "x"}},
        {"empty": {"DataType": "String", "StringValue": ""}},
        {"kind": {"DataType": "Colour", "StringValue": "red"}},
        {"number": {"DataType": "Number", "StringValue": "many"}},
        {f"a{n}": {"DataType": "String", "StringValue": "x"} for n in range(11)},
    ],
    ids=["no name", "reserved", "space", "empty", "type", "number", "eleven"],
)
def test_a_bad_message_attribute_is_refused(queue: TestQueue, attributes: dict[str, dict[str, str]]) -> None:
    with pytest.raises(ClientError) as error:
        queue.send(MessageAttributes=attributes)
    assert code_of(error) == "InvalidParameterValue"


@pytest.mark.parametrize("delay", [-1, 901])
def test_a_delay_out_of_bounds_is_refused(queue: TestQueue, delay: int) -> None:
    with pytest.raises(ClientError) as error:
        queue.send(DelaySeconds=delay)
    assert code_of(error) == "InvalidParameterValue"


@pytest.mark.parametrize("group", ["with space", "x" * 129])
def test_a_bad_group_is_refused(queue: TestQueue, group: str) -> None:
    with pytest.raises(ClientError) as error:
        queue.send(MessageGroupId=group)
    assert code_of(error) == "InvalidParameterValue"


def test_a_deduplication_id_needs_a_fifo_queue(queue: TestQueue) -> None:
    with pytest.raises(ClientError) as error:
        queue.send(MessageDeduplicationId="once")
    assert code_of(error) == "InvalidParameterValue"


# Delay and visibility


def test_a_queues_delay_holds_unless_the_message_has_its_own(new_queue: MakeQueue) -> None:
    queue = new_queue(DelaySeconds=900)
    queue.send("later")
    queue.send("now", DelaySeconds=0)
    assert queue.receive_one()["Body"] == "now"
    assert queue.counts() == (0, 1, 1)


def test_a_received_message_is_hidden_until_its_visibility_timeout(new_queue: MakeQueue) -> None:
    queue = new_queue(VisibilityTimeout=1)
    queue.send()
    first = queue.receive_one()
    assert queue.receive(wait=0) == []
    second = queue.receive_one(wait=3)
    assert second["MessageId"] == first["MessageId"]
    assert second["ReceiptHandle"] != first["ReceiptHandle"]


def test_a_visibility_timeout_of_zero_shows_the_message_at_once(queue: TestQueue) -> None:
    queue.send()
    message = queue.receive_one()
    assert queue.receive(wait=0) == []
    queue.show(message)
    assert queue.receive_one(wait=0)["Attributes"]["ApproximateReceiveCount"] == "2"


def test_of_messages_hidden_for_a_second_only_the_forgotten_one_comes_back(queue: TestQueue) -> None:
    for body in ("a", "b", "c", "d"):
        queue.send(body)
    kept, extended, deleted, lapsed = (queue.receive_one(VisibilityTimeout=timeout) for timeout in (30, 1, 1, 1))
    queue.show(extended, timeout=30)
    queue.delete(deleted)
    again = queue.receive_one(wait=3)
    assert again["MessageId"] == lapsed["MessageId"] != kept["MessageId"]
    assert queue.receive(wait=0) == []


def test_changing_the_visibility_of_a_message_that_is_visible_again_is_no_error(queue: TestQueue) -> None:
    queue.send()
    message = queue.receive_one(VisibilityTimeout=0)
    queue.show(message)
    assert len(queue.receive()) == 1


def test_the_visibility_of_a_deleted_message_cannot_be_changed(queue: TestQueue) -> None:
    queue.send()
    message = queue.receive_one()
    queue.delete(message)
    with pytest.raises(ClientError) as error:
        queue.show(message, timeout=5)
    assert code_of(error) == "InvalidParameterValue"


def test_counts_tell_visible_from_in_flight_and_delayed(queue: TestQueue) -> None:
    for number in range(3):
        queue.send(str(number))
    queue.send("later", DelaySeconds=600)
    queue.receive_one()
    assert eventually(queue.counts, lambda counts: counts == (2, 1, 1)) == (2, 1, 1)


# Deleting


def test_deleting_twice_is_no_error(queue: TestQueue) -> None:
    queue.send()
    message = queue.receive_one()
    queue.delete(message)
    queue.delete(message)


def test_a_receipt_handle_of_an_earlier_receive_is_accepted(queue: TestQueue) -> None:
    queue.send()
    stale = queue.receive_one(VisibilityTimeout=0)
    queue.receive_one(VisibilityTimeout=0)
    queue.delete(stale)


@pytest.mark.parametrize("handle", ["fake", "1-1-00000000"])
def test_what_never_was_a_receipt_handle_is_refused(sqs: SQSClient, queue: TestQueue, handle: str) -> None:
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid) as error:
        sqs.delete_message(QueueUrl=queue.url, ReceiptHandle=handle)
    assert code_of(error) == "ReceiptHandleIsInvalid"
    with pytest.raises(sqs.exceptions.ReceiptHandleIsInvalid):
        sqs.change_message_visibility(QueueUrl=queue.url, ReceiptHandle=handle, VisibilityTimeout=0)


# Waiting


def test_a_waiting_receiver_gets_a_message_as_soon_as_it_is_sent(queue: TestQueue) -> None:
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=20)
        time.sleep(0.3)
        queue.send()
        assert [message["Body"] for message in waiting.result(timeout=10)] == ["hello"]


def test_a_waiting_receiver_gets_a_message_as_soon_as_it_is_shown(queue: TestQueue) -> None:
    queue.send()
    message = queue.receive_one()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(queue.receive, wait=20)
        time.sleep(0.3)
        queue.show(message)
        assert len(waiting.result(timeout=10)) == 1


def test_messages_that_come_together_wake_as_many_receivers(queue: TestQueue) -> None:
    with ThreadPoolExecutor(3) as pool:
        waiting = [pool.submit(queue.receive, wait=20) for _ in range(3)]
        time.sleep(0.3)
        entries = [{"Id": body, "MessageBody": body} for body in "abc"]
        queue.client.send_message_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]
        received = [message["Body"] for receiver in waiting for message in receiver.result(timeout=25)]
    assert sorted(received) == ["a", "b", "c"]


def test_a_delayed_message_comes_after_its_delay_to_a_receiver_waiting_as_long_as_the_queue_says(
    new_queue: MakeQueue,
) -> None:
    queue = new_queue(ReceiveMessageWaitTimeSeconds=15)
    queue.send(DelaySeconds=1)
    assert queue.receive(wait=0) == []
    assert queue.counts() == (0, 0, 1)
    assert len(queue.client.receive_message(QueueUrl=queue.url)["Messages"]) == 1


def test_waiting_in_vain_ends_without_a_message(queue: TestQueue) -> None:
    assert queue.receive(wait=1) == []


def test_no_message_is_received_by_two(queue: TestQueue) -> None:
    bodies = [str(number) for number in range(60)]
    received: list[str] = []
    lock = threading.Lock()

    def work() -> None:
        while len(received) < len(bodies):
            messages = queue.receive(wait=1, MaxNumberOfMessages=10)
            with lock:
                received.extend(message["Body"] for message in messages)

    with ThreadPoolExecutor(4) as pool:
        done = [pool.submit(work) for _ in range(3)]
        for body in bodies:
            queue.send(body)
        for future in done:
            future.result(timeout=60)
    assert sorted(received, key=int) == bodies
