import base64
import json
import time
from typing import Any

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs import SQSClient

from tests.integration.sqs.targets import MakeQueue, TestQueue, eventually, redrive_policy


def source_of(new_queue: MakeQueue, dead_letters: TestQueue, max_receives: int = 1) -> TestQueue:
    return new_queue(VisibilityTimeout=30, RedrivePolicy=redrive_policy(dead_letters, max_receives))


def kill(source: TestQueue, dead_letters: TestQueue, *bodies: str) -> None:
    """Send messages and receive them until they are in the dead-letter queue (maxReceiveCount 1)."""
    before = sum(dead_letters.counts())
    for body in bodies:
        source.send(body)

    def receive() -> int:
        source.receive(wait=0, MaxNumberOfMessages=10, VisibilityTimeout=0)
        return sum(dead_letters.counts())

    eventually(receive, lambda dead: dead == before + len(bodies))


def start(sqs: SQSClient, dead_letters: TestQueue, **fields: Any) -> str:
    return sqs.start_message_move_task(SourceArn=dead_letters.arn, **fields)["TaskHandle"]


def latest(sqs: SQSClient, dead_letters: TestQueue) -> dict[str, Any]:
    return dict(sqs.list_message_move_tasks(SourceArn=dead_letters.arn)["Results"][0])


def finished(sqs: SQSClient, dead_letters: TestQueue) -> dict[str, Any]:
    return eventually(lambda: latest(sqs, dead_letters), lambda task: task["Status"] != "RUNNING", 60)


def collect(queue: TestQueue, count: int) -> dict[str, dict[str, Any]]:
    """The messages that come, by body; each is deleted."""
    collected: dict[str, dict[str, Any]] = {}

    def more() -> int:
        for message in queue.receive(MaxNumberOfMessages=10):
            assert message["Body"] not in collected
            collected[message["Body"]] = message
            queue.delete(message)
        return len(collected)

    eventually(more, lambda have: have == count, 30)
    return collected


def test_a_message_received_too_often_goes_to_the_dead_letter_queue_as_it_is(new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters, max_receives=2)
    attributes = {"kind": {"DataType": "String", "StringValue": "x"}}
    sent = source.send("poison", MessageGroupId="tenant", MessageAttributes=attributes)
    alive = source.receive_one()
    source.show(alive)
    assert source.receive_one()["Attributes"]["ApproximateReceiveCount"] == "2"
    assert dead_letters.receive(wait=0) == []
    source.show(alive)
    assert source.receive(wait=0) == []
    dead = dead_letters.receive_one()
    assert (dead["MessageId"], dead["Body"]) == (sent["MessageId"], "poison")
    assert dead["MessageAttributes"] == attributes
    assert dead["Attributes"]["DeadLetterQueueSourceArn"] == source.arn
    assert dead["Attributes"]["SentTimestamp"] == alive["Attributes"]["SentTimestamp"]
    assert dead["Attributes"]["MessageGroupId"] == "tenant"
    assert eventually(source.counts, lambda counts: counts == (0, 0, 0)) == (0, 0, 0)


def test_messages_with_receives_left_pass_those_without(new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters)
    source.send("poison")
    source.show(source.receive_one())
    source.send("fresh")
    assert [message["Body"] for message in source.receive(MaxNumberOfMessages=10)] == ["fresh"]
    assert dead_letters.receive_one()["Body"] == "poison"


def test_a_receiver_waiting_at_the_dead_letter_queue_gets_the_message(new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters)
    kill(source, dead_letters, "poison")
    assert dead_letters.receive_one()["Body"] == "poison"


def test_moved_messages_are_new_messages_in_their_own_source_queues(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    sources = [source_of(new_queue, dead_letters) for _ in range(2)]
    for number, source in enumerate(sources):
        kill(source, dead_letters, f"{number}-a", f"{number}-b")
    dead = {}
    for message in dead_letters.receive(MaxNumberOfMessages=10, VisibilityTimeout=0):
        dead[message["Body"]] = message["MessageId"]
    start(sqs, dead_letters)
    for number, source in enumerate(sources):
        back = collect(source, 2)
        assert set(back) == {f"{number}-a", f"{number}-b"}
        for body, message in back.items():
            assert message["MessageId"] != dead.get(body)
            assert message["Attributes"]["ApproximateReceiveCount"] == "1"
            assert "DeadLetterQueueSourceArn" not in message["Attributes"]
    task = finished(sqs, dead_letters)
    assert (task["Status"], task["SourceArn"]) == ("COMPLETED", dead_letters.arn)
    assert task["ApproximateNumberOfMessagesMoved"] == task["ApproximateNumberOfMessagesToMove"] == 4
    assert task["StartedTimestamp"] > (time.time() - 300) * 1000
    assert not task.keys() & {"DestinationArn", "TaskHandle", "FailureReason", "MaxNumberOfMessagesPerSecond"}
    assert dead_letters.receive(wait=0) == []


def test_a_moved_message_has_its_whole_budget_of_receives_again(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters)
    kill(source, dead_letters, "poison")
    start(sqs, dead_letters)
    again = source.receive_one(VisibilityTimeout=0)
    assert again["Attributes"]["ApproximateReceiveCount"] == "1"
    assert source.receive(wait=0) == []
    assert dead_letters.receive_one()["MessageId"] == again["MessageId"]


def test_messages_can_be_moved_to_another_queue(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters, other = new_queue(), new_queue()
    source = source_of(new_queue, dead_letters)
    kill(source, dead_letters, "a", "b")
    start(sqs, dead_letters, DestinationArn=other.arn)
    assert set(collect(other, 2)) == {"a", "b"}
    task = finished(sqs, dead_letters)
    assert (task["Status"], task["DestinationArn"]) == ("COMPLETED", other.arn)


def test_a_message_sent_straight_to_the_dead_letter_queue_cannot_go_back(
    sqs: SQSClient, new_queue: MakeQueue
) -> None:
    dead_letters = new_queue()
    source_of(new_queue, dead_letters)
    dead_letters.send("stray")
    start(sqs, dead_letters)
    task = finished(sqs, dead_letters)
    assert (task["Status"], task["FailureReason"]) == ("FAILED", "CouldNotDetermineMessageSource")
    assert dead_letters.receive_one(wait=5)["Body"] == "stray"


def test_a_message_sent_straight_to_the_dead_letter_queue_can_be_moved_elsewhere(
    sqs: SQSClient, new_queue: MakeQueue
) -> None:
    dead_letters, other = new_queue(), new_queue()
    source_of(new_queue, dead_letters)
    dead_letters.send("stray")
    start(sqs, dead_letters, DestinationArn=other.arn)
    assert set(collect(other, 1)) == {"stray"}
    assert finished(sqs, dead_letters)["Status"] == "COMPLETED"


def test_a_move_keeps_to_its_rate_and_can_be_cancelled(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters)
    kill(source, dead_letters, *"abcde")
    handle = start(sqs, dead_letters, MaxNumberOfMessagesPerSecond=1)
    running = latest(sqs, dead_letters)
    assert (running["Status"], running["TaskHandle"]) == ("RUNNING", handle)
    assert running["MaxNumberOfMessagesPerSecond"] == 1
    with pytest.raises(ClientError) as error:
        start(sqs, dead_letters)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValue"
    assert "There is already a task running" in error.value.response["Error"]["Message"]
    answer = sqs.cancel_message_move_task(TaskHandle=handle)
    assert answer["ApproximateNumberOfMessagesMoved"] < 5
    task = eventually(lambda: latest(sqs, dead_letters), lambda task: task["Status"] == "CANCELLED", 60)
    assert task["ApproximateNumberOfMessagesMoved"] < 5
    assert dead_letters.receive_one(wait=5)["Body"] in "abcde"


def test_a_move_fails_when_its_destination_is_deleted(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source = source_of(new_queue, dead_letters)
    kill(source, dead_letters, *"abc")
    gone = new_queue()
    start(sqs, dead_letters, DestinationArn=gone.arn, MaxNumberOfMessagesPerSecond=1)
    sqs.delete_queue(QueueUrl=gone.url)
    sqs.create_queue(QueueName=f"{gone.name}-2")  # other queues do not matter
    sqs.delete_queue(QueueUrl=f"{gone.url}-2")
    task = finished(sqs, dead_letters)
    assert task["Status"] == "FAILED"
    assert task["FailureReason"] == "AWS.SimpleQueueService.NonExistentQueue"
    assert dead_letters.receive(MaxNumberOfMessages=10)


def test_only_a_dead_letter_queue_can_be_moved_from(sqs: SQSClient, new_queue: MakeQueue) -> None:
    queue, other = new_queue(), new_queue()
    with pytest.raises(ClientError) as error:
        start(sqs, queue, DestinationArn=other.arn)
    assert error.value.response["Error"]["Code"] == "InvalidParameterValue"
    assert error.value.response["Error"]["Message"] == "Source queue must be configured as a Dead Letter Queue."


def test_queues_of_a_move_must_exist(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    source_of(new_queue, dead_letters)
    unknown = f"{dead_letters.arn}-not"
    for fields in ({"SourceArn": unknown}, {"SourceArn": dead_letters.arn, "DestinationArn": unknown}):
        with pytest.raises(sqs.exceptions.ResourceNotFoundException) as error:
            sqs.start_message_move_task(**fields)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404
    with pytest.raises(sqs.exceptions.ResourceNotFoundException):
        sqs.list_message_move_tasks(SourceArn=unknown)


def test_an_unknown_task_cannot_be_cancelled(sqs: SQSClient, new_queue: MakeQueue) -> None:
    with pytest.raises(ClientError) as error:
        sqs.cancel_message_move_task(TaskHandle="nonsense")
    assert error.value.response["Error"]["Code"] == "InvalidParameterValue"
    fields = {"taskId": "10f57157-fc38-4da9-a113-4de7e12d05aa", "sourceArn": new_queue().arn}
    with pytest.raises(sqs.exceptions.ResourceNotFoundException):
        sqs.cancel_message_move_task(TaskHandle=base64.b64encode(json.dumps(fields).encode()).decode())
