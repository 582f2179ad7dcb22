import json
import uuid

import pytest
from botocore.exceptions import ClientError
from mypy_boto3_sqs import SQSClient

from tests.integration.sqs.targets import MakeQueue, TestQueue, eventually, redrive_policy


def refusal(error: pytest.ExceptionInfo[ClientError]) -> tuple[str, int]:
    response = error.value.response
    return response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]


def test_a_queue_is_found_by_the_name_it_was_made_with(sqs: SQSClient, queue: TestQueue) -> None:
    assert sqs.get_queue_url(QueueName=queue.name)["QueueUrl"] == queue.url
    assert queue.url.endswith(f"/{queue.name}")


def test_making_a_queue_again_gives_the_same_queue(sqs: SQSClient, new_queue: MakeQueue) -> None:
    made = new_queue(VisibilityTimeout=5)
    again = sqs.create_queue(QueueName=made.name, Attributes={"VisibilityTimeout": "5"})
    assert again["QueueUrl"] == made.url
    assert sqs.create_queue(QueueName=made.name)["QueueUrl"] == made.url


def test_making_a_queue_again_with_another_attribute_is_refused(sqs: SQSClient, new_queue: MakeQueue) -> None:
    made = new_queue(VisibilityTimeout=5)
    with pytest.raises(sqs.exceptions.QueueNameExists) as error:
        sqs.create_queue(QueueName=made.name, Attributes={"VisibilityTimeout": "6"})
    assert refusal(error) == ("QueueAlreadyExists", 400)
    assert "VisibilityTimeout" in error.value.response["Error"]["Message"]


@pytest.mark.parametrize("name", ["with space", "a.b", "ä", "x" * 81])
def test_a_bad_queue_name_is_refused(sqs: SQSClient, name: str) -> None:
    with pytest.raises(ClientError) as error:
        sqs.create_queue(QueueName=name)
    assert refusal(error) == ("InvalidParameterValue", 400)


def test_an_unknown_queue_is_refused_by_its_own_exception(sqs: SQSClient, queue: TestQueue) -> None:
    unknown = f"{queue.name}-not"
    for call in (
        lambda: sqs.get_queue_url(QueueName=unknown),
        lambda: sqs.send_message(QueueUrl=queue.url.replace(queue.name, unknown), MessageBody="x"),
    ):
        with pytest.raises(sqs.exceptions.QueueDoesNotExist) as error:
            call()
        assert refusal(error) == ("AWS.SimpleQueueService.NonExistentQueue", 400)
        assert error.value.response["Error"]["Message"] == "The specified queue does not exist."


def test_a_deleted_queue_is_gone(sqs: SQSClient) -> None:
    name = f"hookline-conformance-{uuid.uuid4().hex}"
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sqs.delete_queue(QueueUrl=url)

    def is_gone() -> bool:
        try:
            sqs.get_queue_url(QueueName=name)
        except sqs.exceptions.QueueDoesNotExist:
            return True
        return False

    eventually(is_gone, bool, 90)


def test_attributes_have_their_documented_defaults(new_queue: MakeQueue) -> None:
    have = new_queue().attributes()
    expected = {
        "DelaySeconds": "0",
        "MaximumMessageSize": "1048576",
        "MessageRetentionPeriod": "345600",
        "ReceiveMessageWaitTimeSeconds": "0",
        "VisibilityTimeout": "30",
        "SqsManagedSseEnabled": "true",
        "ApproximateNumberOfMessages": "0",
        "ApproximateNumberOfMessagesNotVisible": "0",
        "ApproximateNumberOfMessagesDelayed": "0",
    }
    assert have.items() >= expected.items()
    assert have.keys() == expected.keys() | {"QueueArn", "CreatedTimestamp", "LastModifiedTimestamp"}


def test_only_the_attributes_asked_for_are_shown(queue: TestQueue) -> None:
    assert queue.attributes("VisibilityTimeout", "RedrivePolicy") == {"VisibilityTimeout": "30"}


def test_an_unknown_attribute_is_refused(sqs: SQSClient, queue: TestQueue) -> None:
    with pytest.raises(sqs.exceptions.InvalidAttributeName) as error:
        queue.attributes("Colour")
    assert refusal(error) == ("InvalidAttributeName", 400)
    with pytest.raises(sqs.exceptions.InvalidAttributeName):
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Colour": "red"})


def test_set_attributes_are_kept(sqs: SQSClient, queue: TestQueue) -> None:
    policy = json.dumps({"Version": "2012-10-17", "Statement": []})
    wanted = {"VisibilityTimeout": "7", "MessageRetentionPeriod": "1209600", "DelaySeconds": "3"}
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={**wanted, "Policy": policy})
    eventually(queue.attributes, lambda have: have.items() >= wanted.items(), 70)
    sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"Policy": ""})
    assert "Policy" not in eventually(queue.attributes, lambda have: "Policy" not in have, 70)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("VisibilityTimeout", "43201"),
        ("DelaySeconds", "901"),
        ("DelaySeconds", "-1"),
        ("MessageRetentionPeriod", "59"),
        ("MaximumMessageSize", "1048577"),
        ("ReceiveMessageWaitTimeSeconds", "21"),
        ("VisibilityTimeout", "soon"),
    ],
)
def test_an_attribute_out_of_range_is_refused(sqs: SQSClient, queue: TestQueue, name: str, value: str) -> None:
    with pytest.raises(sqs.exceptions.InvalidAttributeValue) as error:
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={name: value})
    assert refusal(error) == ("InvalidAttributeValue", 400)


def test_a_queue_may_be_encrypted_with_a_key(new_queue: MakeQueue) -> None:
    have = new_queue(KmsMasterKeyId="alias/aws/sqs", KmsDataKeyReusePeriodSeconds=600).attributes()
    assert have["KmsMasterKeyId"] == "alias/aws/sqs"
    assert have["SqsManagedSseEnabled"] == "false"


def test_queues_are_listed_by_prefix_in_pages(sqs: SQSClient, new_queue: MakeQueue) -> None:
    urls = {new_queue().url for _ in range(3)}
    prefix = "hookline-conformance-"
    found: set[str] = set()
    for page in sqs.get_paginator("list_queues").paginate(
        QueueNamePrefix=prefix, PaginationConfig={"PageSize": 2}
    ):
        assert len(page.get("QueueUrls", [])) <= 2
        found |= set(page.get("QueueUrls", []))
    assert urls <= found
    assert sqs.list_queues(QueueNamePrefix=f"{prefix}none").get("QueueUrls", []) == []


def test_a_dead_letter_queue_knows_its_sources(sqs: SQSClient, new_queue: MakeQueue) -> None:
    dead_letters = new_queue()
    sources = {new_queue(RedrivePolicy=redrive_policy(dead_letters, 3)).url for _ in range(2)}
    new_queue()

    def listed() -> set[str]:
        return set(sqs.list_dead_letter_source_queues(QueueUrl=dead_letters.url)["queueUrls"])

    assert eventually(listed, lambda urls: urls == sources) == sources


@pytest.mark.parametrize(
    "policy",
    [
        "not json",
        json.dumps({"deadLetterTargetArn": "dummy", "maxReceiveCount": 3}),
        json.dumps({"maxReceiveCount": 3}),
    ],
    ids=["no JSON", "no ARN", "no queue"],
)
def test_a_malformed_redrive_policy_is_refused(sqs: SQSClient, queue: TestQueue, policy: str) -> None:
    with pytest.raises(ClientError) as error:
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})
    assert refusal(error) == ("InvalidParameterValue", 400)


@pytest.mark.parametrize("receives", [0, 1001])
def test_a_maximum_receive_count_out_of_range_is_refused(
    sqs: SQSClient, new_queue: MakeQueue, receives: int
) -> None:
    with pytest.raises(ClientError) as error:
        new_queue(RedrivePolicy=redrive_policy(new_queue(), receives))
    assert refusal(error) == ("InvalidParameterValue", 400)


def test_a_dead_letter_queue_must_exist(sqs: SQSClient, queue: TestQueue) -> None:
    policy = json.dumps({"deadLetterTargetArn": f"{queue.arn}-not", "maxReceiveCount": 3})
    with pytest.raises(ClientError) as error:
        sqs.set_queue_attributes(QueueUrl=queue.url, Attributes={"RedrivePolicy": policy})
    code, status = refusal(error)
    assert (code, status) == ("InvalidParameterValue", 400)


def test_purging_deletes_every_message_and_may_not_be_repeated_at_once(sqs: SQSClient, queue: TestQueue) -> None:
    for number in range(3):
        queue.send(str(number))
    queue.receive_one(MaxNumberOfMessages=1)
    sqs.purge_queue(QueueUrl=queue.url)
    assert eventually(queue.counts, lambda counts: counts == (0, 0, 0), 70) == (0, 0, 0)
    with pytest.raises(sqs.exceptions.PurgeQueueInProgress) as error:
        sqs.purge_queue(QueueUrl=queue.url)
    assert refusal(error) == ("AWS.SimpleQueueService.PurgeQueueInProgress", 403)
