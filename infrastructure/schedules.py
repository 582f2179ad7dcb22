"""What the clock starts."""

import json

import aws_cdk as cdk
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from constructs import Construct

from infrastructure.config import Stage

# The jobs of `maintain` (functions/maintain/handler.py), in UTC. Those of each hour are spread over it, so that
# they do not all want the database at once; what was archived is taken out in the same hour. What reads a great
# deal runs when the instance is neither backed up nor maintained.
JOBS = {
    "archive": "cron(5 * * * ? *)",
    "dead_letters": "cron(20 * * * ? *)",
    "expired_secrets": "cron(25 * * * ? *)",
    "gauges": "rate(5 minutes)",
    "idempotency_keys": "cron(30 * * * ? *)",
    "inbound_retention": "cron(40 1 * * ? *)",  # once a day, so that its files are not small
    "orphans": "cron(45 0 * * ? *)",
    "partitions": "rate(1 hour)",
    "project_retention": "cron(50 * * * ? *)",
    "retention": "cron(35 * * * ? *)",
    "statistics": "rate(1 minute)",
    "vacuum": "cron(15 4 * * ? *)",
}
OFTEN = {"rate(1 minute)": 1, "rate(5 minutes)": 5}  # minutes


class Schedules(Construct):
    """EventBridge Scheduler schedules, and the one role that may invoke what they name.

    A run that failed needs no dead-letter queue: each job finds the same work at its next run.
    """

    def __init__(
        self,
        scope: Construct,
        construct_id: str,
        *,
        stage: Stage,
        dispatch: lambda_.IFunction,
        maintain: lambda_.IFunction,
    ) -> None:
        super().__init__(scope, construct_id)
        self._stage = stage
        self._role = self._invoker([dispatch, maintain])
        self._schedule(
            "dispatch",
            function=dispatch,
            expression="rate(1 minute)",
            payload={},
            retries=0,  # the next minute's run finds what this one missed
            max_age=cdk.Duration.seconds(60),  # the shortest there is: two runs of one minute help nobody
        )
        for job, expression in JOBS.items():
            minutes = OFTEN.get(expression)  # the next run is as good as this one tried again
            self._schedule(
                job.replace("_", "-"),
                function=maintain,
                expression=expression,
                payload={"job": job},
                retries=0 if minutes else 2,
                max_age=cdk.Duration.minutes(minutes or 30),
            )

    def _invoker(self, functions: list[lambda_.IFunction]) -> iam.Role:
        stack = cdk.Stack.of(self)
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal(
                "scheduler.amazonaws.com",
                # Without it, somebody else's scheduler could be talked into using this role.
                conditions={"StringEquals": {"aws:SourceAccount": stack.account}},
            ),
        )
        role.add_to_policy(
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"],
                resources=[function.function_arn for function in functions],
            )
        )
        return role

    def _schedule(
        self,
        name: str,
        *,
        function: lambda_.IFunction,
        expression: str,
        payload: dict[str, str],
        retries: int,
        max_age: cdk.Duration,
    ) -> None:
        scheduler.CfnSchedule(
            self,
            name.title(),
            name=self._stage.physical_name(name),
            schedule_expression=expression,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=function.function_arn,
                role_arn=self._role.role_arn,
                input=json.dumps(payload),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_retry_attempts=retries, maximum_event_age_in_seconds=max_age.to_seconds()
                ),
            ),
        )
