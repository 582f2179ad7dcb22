"""What the clock starts."""

import json

import pytest

from tests.infrastructure.synthesized import Template

SCHEDULE = "AWS::Scheduler::Schedule"


@pytest.mark.parametrize(
    ("name", "function", "expression", "payload", "retries", "max_age"),
    [
        ("dispatch", "dispatch", "rate(1 minute)", {}, 0, 60),
        ("partitions", "maintain", "rate(1 hour)", {"job": "partitions"}, 2, 1800),
    ],
)
def test_a_schedule_starts_its_function(
    template: Template,
    name: str,
    function: str,
    expression: str,
    payload: dict[str, str],
    retries: int,
    max_age: int,
) -> None:
    stage = template.path.name.split(".")[0]
    _, schedule = template.named(SCHEDULE, "Name", f"{stage}-{name}")
    properties = schedule["Properties"]
    assert properties["ScheduleExpression"] == expression
    assert properties.get("State", "ENABLED") == "ENABLED"
    assert properties["FlexibleTimeWindow"] == {"Mode": "OFF"}
    assert properties["Target"]["Arn"] == {"Fn::GetAtt": [template.function(function)[0], "Arn"]}
    assert json.loads(properties["Target"]["Input"]) == payload
    assert properties["Target"]["RetryPolicy"] == {
        "MaximumRetryAttempts": retries,
        "MaximumEventAgeInSeconds": max_age,
    }


def test_there_are_no_other_schedules_and_no_legacy_rules(template: Template) -> None:
    assert len(template.of_type(SCHEDULE)) == 2
    assert template.of_type("AWS::Events::Rule") == {}


def test_a_dispatch_run_is_over_before_the_next_begins(template: Template) -> None:
    assert template.function("dispatch")[1]["Timeout"] < 60


def test_the_scheduler_may_invoke_these_functions_and_nothing_else(template: Template) -> None:
    roles = {
        schedule["Properties"]["Target"]["RoleArn"]["Fn::GetAtt"][0]
        for schedule in template.of_type(SCHEDULE).values()
    }
    [role] = roles
    [trust] = template.resources[role]["Properties"]["AssumeRolePolicyDocument"]["Statement"]
    assert trust["Principal"] == {"Service": "scheduler.amazonaws.com"}
    assert trust["Condition"] == {"StringEquals": {"aws:SourceAccount": {"Ref": "AWS::AccountId"}}}
    [policy] = [
        policy["Properties"]
        for policy in template.of_type("AWS::IAM::Policy").values()
        if {"Ref": role} in policy["Properties"]["Roles"]
    ]
    [statement] = policy["PolicyDocument"]["Statement"]
    assert statement["Action"] == "lambda:InvokeFunction"
    assert statement["Resource"] == [
        {"Fn::GetAtt": [template.function(name)[0], "Arn"]} for name in ("dispatch", "maintain")
    ]
