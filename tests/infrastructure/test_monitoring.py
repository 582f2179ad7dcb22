"""What somebody is told of, and how; the one dashboard."""

import json
from dataclasses import replace
from typing import Any

import pytest

from functions.domain.figures import measures
from functions.settings import Thresholds
from infrastructure.config import DEV
from tests.infrastructure.synthesized import Template, referred

ALARM = "AWS::CloudWatch::Alarm"
WATCHED = (*("authorizer", "api", "receive", "deliver", "jobs", "rescrape", "dispatch", "maintain", "metrics"),)
ALARMS = {
    *("delivery-dlq", "retry-dlq", "jobs-dlq", "rescrape-dlq", "delivery-age", "jobs-age", "api-5xx"),
    *(f"{name}-{end}" for name in WATCHED for end in ("errors", "throttles") if name != "metrics"),
    *("metrics-errors", "metrics-dropped"),
    *("dispatcher", "reports", "overdue", "table-warning", "table-critical", "table-rows", "partitions"),
    *("default-rows", "transaction-ids", "connections", "database-cpu", "database-storage"),
    *("proxy-borrowing", "proxy-pinned"),
}


def alarm(template: Template, name: str) -> dict[str, Any]:
    stage = template.path.name.split(".")[0]
    return template.named(ALARM, "AlarmName", f"{stage}-{name}")[1]["Properties"]


def test_there_is_an_alarm_for_each_thing_that_a_person_has_to_look_at(template: Template) -> None:
    stage = template.path.name.split(".")[0]
    found = {one["Properties"]["AlarmName"] for one in template.of_type(ALARM).values()}
    assert found == {f"{stage}-{name}" for name in ALARMS}


def test_every_alarm_says_what_is_wrong_and_tells_the_topic(template: Template) -> None:
    [topic] = template.of_type("AWS::SNS::Topic")
    for one in template.of_type(ALARM).values():
        properties = one["Properties"]
        assert properties["AlarmDescription"]
        assert properties["AlarmActions"] == properties["OKActions"] == [{"Ref": topic}]
    assert topic in referred(template.document["Outputs"]["AlarmTopicArn"])


@pytest.mark.parametrize("lane", ["delivery", "retry", "jobs", "rescrape"])
def test_one_dead_message_is_enough(template: Template, lane: str) -> None:
    found = alarm(template, f"{lane}-dlq")
    assert found["Dimensions"][0]["Value"]["Fn::GetAtt"][0] == template.queue(f"{lane}-dlq")[0]
    assert (found["MetricName"], found["Threshold"]) == ("ApproximateNumberOfMessagesVisible", 0)
    assert found["ComparisonOperator"] == "GreaterThanThreshold"


@pytest.mark.parametrize(
    ("name", "measure", "threshold"),
    [
        ("table-warning", measures.LARGEST_TABLE_BYTES, 5_000_000_000),
        ("table-critical", measures.LARGEST_TABLE_BYTES, 20_000_000_000),
        ("table-rows", measures.LARGEST_TABLE_ROWS, 10_000_000),
        ("partitions", measures.PARTITION_DAYS_AHEAD, 7),
        ("default-rows", measures.DEFAULT_PARTITION_ROWS, 1),
        ("overdue", measures.OLDEST_OVERDUE_SECONDS, 300),
        ("transaction-ids", measures.TRANSACTION_ID_AGE, 500_000_000),
        ("connections", measures.CONNECTION_PERCENT, 80),
    ],
)
def test_a_figure_of_the_database_has_the_threshold_of_the_report(
    template: Template, name: str, measure: str, threshold: float
) -> None:
    found = alarm(template, name)
    assert (found["Namespace"], found["MetricName"], found["Threshold"]) == ("Hookline", measure, threshold)
    [dimension] = found["Dimensions"]
    service = template.environment("maintain")["POWERTOOLS_SERVICE_NAME"]
    assert dimension == {"Name": "service", "Value": service}
    low = measure == measures.PARTITION_DAYS_AHEAD
    assert found["ComparisonOperator"] == f"{'LessThan' if low else 'GreaterThanOrEqualTo'}Threshold"


def test_silence_is_an_alarm_of_what_runs_by_the_clock(template: Template) -> None:
    beat = alarm(template, "dispatcher")
    assert beat["MetricName"] == measures.DISPATCHER_HEARTBEAT
    assert beat["Dimensions"][0]["Value"] == template.environment("dispatch")["POWERTOOLS_SERVICE_NAME"]
    assert (beat["Period"] * beat["EvaluationPeriods"], beat["Threshold"]) == (180, 1)
    made = alarm(template, "reports")
    assert (made["Period"], made["Statistic"], made["Threshold"]) == (900, "SampleCount", 1)
    for found in (beat, made):
        assert (found["TreatMissingData"], found["ComparisonOperator"]) == ("breaching", "LessThanThreshold")


def test_our_own_metrics_are_those_that_are_published(template: Template) -> None:
    text = json.dumps(template.document)
    named = {one["Properties"].get("MetricName") for one in template.of_type(ALARM).values()}
    assert named & set(measures.UNITS)
    for name in measures.UNITS:
        assert f'"{name}"' in text or f'\\"{name}\\"' in text, f"{name} is published and shown nowhere"


def test_the_account_s_alarms_may_tell_the_topic_and_nobody_in_plain_text(template: Template) -> None:
    policy = template.only("AWS::SNS::TopicPolicy")["Properties"]["PolicyDocument"]["Statement"]
    [allowed] = [one for one in policy if one["Effect"] == "Allow"]
    assert (allowed["Action"], allowed["Principal"]) == ("sns:Publish", {"Service": "cloudwatch.amazonaws.com"})
    assert allowed["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    [denied] = [one for one in policy if one["Effect"] == "Deny"]
    assert denied["Condition"] == {"Bool": {"aws:SecureTransport": "false"}}


def test_there_is_one_dashboard_and_it_shows_every_alarm(template: Template) -> None:
    board = template.only("AWS::CloudWatch::Dashboard")["Properties"]
    assert board["DashboardName"] == f"{template.path.name.split('.')[0]}-service"
    shown = set(referred(board["DashboardBody"]))
    assert template.of_type(ALARM).keys() <= shown
    assert {template.function(name)[0] for name in WATCHED} <= shown


def test_only_thresholds_that_differ_are_told_to_the_functions(template: Template) -> None:
    for name in ("api", "maintain"):
        assert not [one for one in template.environment(name) if one.startswith("THRESHOLD_")]


def test_a_stage_chooses_its_thresholds_and_who_hears_of_them() -> None:
    from aws_cdk import App
    from aws_cdk.assertions import Template as Synthesized

    from infrastructure.stack import HooklineStack

    bundle_nothing = {"aws:cdk:bundling-stacks": []}
    chosen = replace(DEV, thresholds=Thresholds(table_critical_gb=80), alarm_email="operator@example.com")
    stack = HooklineStack(App(post_cli_context=bundle_nothing), stage=chosen)
    synthesized = Synthesized.from_stack(stack)
    synthesized.has_resource_properties(
        ALARM, {"AlarmName": "hookline-dev-table-critical", "Threshold": 80_000_000_000}
    )
    synthesized.has_resource_properties(
        "AWS::SNS::Subscription", {"Protocol": "email", "Endpoint": "operator@example.com"}
    )
    for name in ("api", "maintain"):
        functions = synthesized.find_resources(
            "AWS::Lambda::Function", {"Properties": {"FunctionName": f"hookline-dev-{name}"}}
        )
        [function] = functions.values()
        variables = function["Properties"]["Environment"]["Variables"]
        assert variables["THRESHOLD_TABLE_CRITICAL_GB"] == "80"


def test_a_topic_that_is_there_already_is_used() -> None:
    from aws_cdk import App
    from aws_cdk.assertions import Template as Synthesized

    from infrastructure.stack import HooklineStack

    arn = "arn:aws:sns:eu-central-1:000000000000:on-call"
    stack = HooklineStack(
        App(post_cli_context={"aws:cdk:bundling-stacks": []}), stage=replace(DEV, alarm_topic_arn=arn)
    )
    synthesized = Synthesized.from_stack(stack)
    synthesized.resource_count_is("AWS::SNS::Topic", 0)
    alarms = synthesized.find_resources(ALARM).values()
    assert all(one["Properties"]["AlarmActions"] == [arn] for one in alarms)
