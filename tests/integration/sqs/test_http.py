import http.client
import itertools
import json
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psutil
import pytest
from mypy_boto3_sqs import SQSClient

from local.sqs.server import ACTIONS
from tests.integration.sqs.emulator_process import EmulatorProcess
from tests.integration.sqs.targets import TestQueue, eventually, make_queue

Connection = http.client.HTTPConnection


@pytest.fixture
def connection(emulator: EmulatorProcess) -> Iterator[Connection]:
    connection = http.client.HTTPConnection("127.0.0.1", emulator.port, timeout=10)
    yield connection
    connection.close()


@pytest.fixture
def queue(emulator_client: SQSClient) -> Iterator[TestQueue]:
    made = make_queue(emulator_client, {})
    yield made
    emulator_client.delete_queue(QueueUrl=made.url)


def post(
    connection: Connection, target: str, body: str | bytes, method: str = "POST", **headers: str
) -> tuple[int, dict[str, Any], str]:
    """Status, body and query-protocol error of the answer."""
    given = {"Content-Type": "application/x-amz-json-1.0", "X-Amz-Target": target, **headers}
    connection.request(method, "/", body, given)
    answer = connection.getresponse()
    return answer.status, json.loads(answer.read()), answer.headers.get("x-amzn-query-error", "")


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "10.0.0.1", "[::2]"]
)
def test_another_host_name_is_refused(connection: Connection, host: str) -> None:
    status, body, error = post(connection, "AmazonSQS.ListQueues", "{}", Host=host)
    assert (status, error) == (403, "AccessDenied;Sender")
    assert body["__type"].endswith("#AccessDeniedException")


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.1:1234", "localhost:1234", "[::1]:1234", "[::1]"])
def test_loopbacks_own_names_are_accepted(connection: Connection, host: str) -> None:
    assert post(connection, "AmazonSQS.ListQueues", "{}", Host=host)[0] == 200


def test_an_error_names_its_shape_and_its_old_code(connection: Connection) -> None:
    fields = json.dumps({"QueueName": "unknown"})
    assert post(connection, "AmazonSQS.GetQueueUrl", fields) == (
        400,
        {"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "The specified queue does not exist."},
        "AWS.SimpleQueueService.NonExistentQueue;Sender",
    )


@pytest.mark.parametrize(
    ("target", "method"),
    [("AmazonSQS.TagQueue", "POST"), ("DynamoDB.ListQueues", "POST"), ("ListQueues", "POST"), ("", "POST"),
     ("AmazonSQS.ListQueues", "GET")],
)  # fmt: skip
def test_an_unknown_action_is_refused(connection: Connection, target: str, method: str) -> None:
    status, body, error = post(connection, target, "{}", method)
    assert (status, error) == (400, "InvalidAction;Sender")
    assert target in body["message"]


@pytest.mark.parametrize("body", ["not json", "[]", '"text"', b"\xff", "[" * 100_000], ids=range(5))
def test_a_body_that_is_no_object_is_refused(connection: Connection, body: str | bytes) -> None:
    status, answer, _ = post(connection, "AmazonSQS.ListQueues", body)
    assert status == 400
    assert answer["__type"].endswith("#SerializationException")


def test_a_request_beyond_all_limits_is_refused(connection: Connection) -> None:
    status, answer, _ = post(connection, "AmazonSQS.ListQueues", b" " * (9 * 1024 * 1024))
    assert status == 400
    assert "longer than" in answer["message"]


ODD_VALUES: tuple[Any, ...] = (
    None, True, -1, 10**30, 1.5, "", "\ud800", "a\x00", [], [None], [{}], [{"Id": 1}], [{"Id": "a"}], {},
    {"a": None},
    {"a": {}}, {"a": {"DataType": "String"}}, {"a": {"DataType": "String", "StringValue": "\ud800"}},
    {"a": {"DataType": "Binary", "BinaryValue": "?"}}, {"\ud800": {"DataType": "String", "StringValue": "x"}},
    {"RedrivePolicy": "[]"}, {"RedrivePolicy": '{"deadLetterTargetArn": [], "maxReceiveCount": {}}'},
)  # fmt: skip


@pytest.mark.parametrize("action", sorted(ACTIONS.keys() - {"DeleteQueue"}))
def test_no_value_of_any_field_breaks_an_action(
    connection: Connection, emulator_client: SQSClient, queue: TestQueue, action: str
) -> None:
    whole = {
        "QueueUrl": queue.url,
        "QueueName": queue.name,
        "MessageBody": "x",
        "ReceiptHandle": "x",
        "SourceArn": queue.arn,
        "TaskHandle": "x",
    }
    shape = emulator_client.meta.service_model.operation_model(action).input_shape
    assert shape is not None
    for field, value in itertools.product(shape.members, ODD_VALUES):
        status, answer, _ = post(connection, f"AmazonSQS.{action}", json.dumps({**whole, field: value}))
        assert status < 500, (field, value, answer)


def test_fifo_queues_are_refused_by_name_and_by_attribute(emulator_client: SQSClient) -> None:
    for name, attributes in (("a.fifo", {"FifoQueue": "true"}), ("a.fifo", {}), ("a", {"FifoQueue": "true"})):
        with pytest.raises(emulator_client.exceptions.UnsupportedOperation, match="FIFO"):
            emulator_client.create_queue(QueueName=name, Attributes=attributes)  # type: ignore[arg-type]


def test_a_receiver_that_hangs_up_takes_no_message(emulator: EmulatorProcess, queue: TestQueue) -> None:
    fields = json.dumps({"QueueUrl": queue.url, "WaitTimeSeconds": 20})
    head = (
        f"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Amz-Target: AmazonSQS.ReceiveMessage\r\n"
        f"Content-Length: {len(fields)}\r\n\r\n"
    )
    ports = set()
    for _ in range(3):
        with socket.create_connection(("127.0.0.1", emulator.port)) as gone:
            gone.sendall((head + fields).encode())
            ports.add(gone.getsockname()[1])
    server = psutil.Process(emulator.process.pid)
    eventually(lambda: {c.raddr.port for c in server.net_connections() if c.raddr}, ports.isdisjoint)
    queue.send()
    assert queue.receive_one()["Attributes"]["ApproximateReceiveCount"] == "1"


def test_receivers_waiting_at_a_queue_that_is_deleted_are_told(emulator_client: SQSClient) -> None:
    doomed = make_queue(emulator_client, {})
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(doomed.receive, wait=20) for _ in range(2)]
        time.sleep(0.3)
        emulator_client.delete_queue(QueueUrl=doomed.url)
        for receiver in waiting:
            with pytest.raises(emulator_client.exceptions.QueueDoesNotExist):
                receiver.result(timeout=10)


def test_a_quiet_group_is_served_before_a_noisy_groups_backlog(
    emulator_client: SQSClient, queue: TestQueue
) -> None:
    for number in range(5):
        entries = [
            {"Id": str(n), "MessageBody": f"noisy-{number}-{n}", "MessageGroupId": "noisy"} for n in range(10)
        ]
        emulator_client.send_message_batch(QueueUrl=queue.url, Entries=entries)  # type: ignore[arg-type]
    queue.send("quiet", MessageGroupId="quiet")
    assert "quiet" in {queue.receive_one()["Body"] for _ in range(2)}


def test_an_earlier_receipt_handle_still_deletes_the_message(queue: TestQueue) -> None:
    queue.send()
    stale = queue.receive_one(VisibilityTimeout=0)
    queue.receive_one()
    queue.delete(stale)
    assert eventually(queue.counts, lambda counts: counts == (0, 0, 0)) == (0, 0, 0)
