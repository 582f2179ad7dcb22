"""What the clock starts."""

import json

import pytest

from functions.maintain.handler import JOBS
from functions.maintain.statistics import LAG
from tests.infrastructure.synthesized import Template

SCHEDULE = "AWS::Scheduler::Schedule"


@pytest.mark.parametrize(
    ("name", "function", "expression", "payload", "retries", "max_age"),
    [
        ("dispatch", "dispatch", "rate(1 minute)", {}, 0, 60),
        ("archive", "maintain", "cron(5 * * * ? *)", {"job": "archive"}, 2, 1800),
        ("dead-letters", "maintain", "cron(20 * * * ? *)", {"job": "dead_letters"}, 2, 1800),
        ("expired-secrets", "maintain", "cron(25 * * * ? *)", {"job": "expired_secrets"}, 2, 1800),
        ("gauges", "maintain", "rate(5 minutes)", {"job": "gauges"}, 0, 300),
        ("idempotency-keys", "maintain", "cron(30 * * * ? *)", {"job": "idempotency_keys"}, 2, 1800),
        ("inbound-retention", "maintain", "cron(40 1 * * ? *)", {"job": "inbound_retention"}, 2, 1800),
        ("orphans", "maintain", "cron(45 0 * * ? *)", {"job": "orphans"}, 2, 1800),
        ("partitions", "maintain", "rate(1 hour)", {"job": "partitions"}, 2, 1800),
        ("project-retention", "maintain", "cron(50 * * * ? *)", {"job": "project_retention"}, 2, 1800),
        ("retention", "maintain", "cron(35 * * * ? *)", {"job": "retention"}, 2, 1800),
        ("statistics", "maintain", "rate(1 minute)", {"job": "statistics"}, 0, 60),
        ("vacuum", "maintain", "cron(15 4 * * ? *)", {"job": "vacuum"}, 2, 1800),
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
    assert len(template.of_type(SCHEDULE)) == 13
    assert template.of_type("AWS::Events::Rule") == {}


def test_every_job_that_the_clock_starts_is_there(template: Template) -> None:
    inputs = [json.loads(one["Properties"]["Target"]["Input"]) for one in template.of_type(SCHEDULE).values()]
    assert {given["job"] for given in inputs if given} <= JOBS.keys()


def test_no_two_jobs_of_an_hour_begin_in_the_same_minute(template: Template) -> None:
    expressions = [one["Properties"]["ScheduleExpression"] for one in template.of_type(SCHEDULE).values()]
    crons = [expression for expression in expressions if expression.startswith("cron")]
    assert len({cron.split()[0] for cron in crons}) == len(crons)


def test_a_run_of_maintain_may_take_as_long_as_lambda_lets_it(template: Template) -> None:
    assert template.function("maintain")[1]["Timeout"] == 900


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


def test_attempts_are_counted_when_none_can_be_written_any_more(template: Template) -> None:
    """By then the invocation that made one is over, and so is the statement that it died in (its timeout)."""
    statement_seconds, clocks_seconds = 20, 30
    deliver = template.function("deliver")[1]["Timeout"]
    assert LAG.total_seconds() >= deliver + statement_seconds + clocks_seconds
