"""Queues, dead letters and the mappings onto deliver and jobs."""

import pytest

from tests.infrastructure.synthesized import Template

CONSUMERS = {
    "delivery": ("deliver", 10),
    "retry": ("deliver", 10),
    "jobs": ("jobs", 1),
    "rescrape": ("rescrape", 1),
}
every_queue = pytest.mark.parametrize("lane", CONSUMERS)


def test_there_are_two_lanes_jobs_and_rescrapes_with_a_dead_letter_queue_each(template: Template) -> None:
    stage = template.path.name.split(".")[0]
    names = {queue["Properties"]["QueueName"] for queue in template.of_type("AWS::SQS::Queue").values()}
    assert names == {f"{stage}-{name}{end}" for name in CONSUMERS for end in ("", "-dlq")}


@every_queue
def test_a_message_dies_after_five_receives_and_outlives_its_source(template: Template, lane: str) -> None:
    dlq_id, dlq = template.queue(f"{lane}-dlq")
    _, queue = template.queue(lane)
    assert queue["RedrivePolicy"] == {
        "deadLetterTargetArn": {"Fn::GetAtt": [dlq_id, "Arn"]},
        "maxReceiveCount": 5,
    }
    assert queue["MessageRetentionPeriod"] == 4 * 86400
    assert dlq["MessageRetentionPeriod"] == 14 * 86400
    assert "RedrivePolicy" not in dlq


@every_queue
def test_a_message_stays_hidden_for_six_time_limits(template: Template, lane: str) -> None:
    consumer, _ = CONSUMERS[lane]
    assert template.queue(lane)[1]["VisibilityTimeout"] >= 6 * template.function(consumer)[1]["Timeout"]


@every_queue
def test_its_consumer_takes_what_is_there_at_once_and_reports_item_by_item(template: Template, lane: str) -> None:
    consumer, batch = CONSUMERS[lane]
    arn = {"Fn::GetAtt": [template.queue(lane)[0], "Arn"]}
    _, mapping = template.named("AWS::Lambda::EventSourceMapping", "EventSourceArn", arn)
    properties = mapping["Properties"]
    assert properties["FunctionName"] == {"Ref": template.function(consumer)[0]}
    assert properties["BatchSize"] == batch
    assert properties["MaximumBatchingWindowInSeconds"] == 0
    assert properties["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
    assert properties["ScalingConfig"]["MaximumConcurrency"] >= 2
    assert properties.get("Enabled", True)


def test_concurrency_is_the_stage_s(dev: Template, prod: Template) -> None:
    def limits(template: Template) -> list[int]:
        mappings = template.of_type("AWS::Lambda::EventSourceMapping").values()
        return sorted(mapping["Properties"]["ScalingConfig"]["MaximumConcurrency"] for mapping in mappings)

    assert limits(dev) == [2, 2, 2, 4]
    assert limits(prod) == [4, 20, 20, 50]


def test_queues_are_encrypted_and_take_tls_only(template: Template) -> None:
    queues = template.of_type("AWS::SQS::Queue")
    assert all(queue["Properties"]["SqsManagedSseEnabled"] is True for queue in queues.values())
    refusing_plain_text = {
        policy["Properties"]["Queues"][0]["Ref"]
        for policy in template.of_type("AWS::SQS::QueuePolicy").values()
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]
        if (statement["Effect"], statement["Action"], statement["Principal"]) == ("Deny", "sqs:*", {"AWS": "*"})
        and statement["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}
    }
    assert refusing_plain_text == queues.keys()
