"""The one way a function is made."""

from dataclasses import dataclass

import aws_cdk as cdk
from aws_cdk import aws_ec2 as ec2
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

from infrastructure.config import Stage
from infrastructure.network import Placement

# What AWS documents that a function in a VPC needs. Lambda's service uses these, our code never does.
NETWORK_INTERFACE_ACTIONS = (
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
)


@dataclass(frozen=True, kw_only=True)
class Platform:
    """What all functions of a deployment share."""

    stage: Stage
    vpc: ec2.IVpc
    code: lambda_.Code


class Function(lambda_.Function):
    """`functions.<name>.handler.handler` on arm64 and Python 3.13, in the VPC, with a role of its own.

    Tracing is off: X-Ray's SDK is in maintenance, and the correlation id already follows a request.
    """

    def __init__(
        self,
        scope: Construct,
        *,
        name: str,
        platform: Platform,
        placement: Placement,
        environment: dict[str, str],
        memory_mib: int,
        timeout: cdk.Duration,
        retry_attempts: int | None = None,
        max_event_age: cdk.Duration | None = None,
        recursive_loop: lambda_.RecursiveLoop | None = None,
        reserved_concurrency: int | None = None,
    ) -> None:
        stage = platform.stage
        self.bounded = reserved_concurrency is not None  # so being refused and waiting is how it works
        full_name = stage.physical_name(name)
        construct_id = name.title()
        group = _log_group(scope, f"{construct_id}Logs", full_name, stage)
        super().__init__(
            scope,
            construct_id,
            function_name=full_name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            code=platform.code,
            handler=f"functions.{name}.handler.handler",
            role=_role(scope, f"{construct_id}Role", full_name, group),
            log_group=group,
            tracing=lambda_.Tracing.DISABLED,
            vpc=platform.vpc,
            vpc_subnets=placement.subnets,
            security_groups=[placement.security_group],
            memory_size=memory_mib,
            timeout=timeout,
            retry_attempts=retry_attempts,
            max_event_age=max_event_age,
            recursive_loop=recursive_loop,
            reserved_concurrent_executions=reserved_concurrency,
            environment={
                "STAGE": stage.name,
                "POWERTOOLS_SERVICE_NAME": full_name,
                "POWERTOOLS_LOG_LEVEL": stage.log_level,
                "SLOW_STATEMENT_MS": str(stage.slow_statement_ms),
                "METRICS": "on" if stage.metrics else "off",
                **environment,
            },
        )
        cdk.Validations.of(self).acknowledge(
            cdk.Acknowledgment(
                id="AwsSolutions-L1",
                reason="The locked wheels are built for 3.13, which AWS supports until 2029.",
            )
        )


def _log_group(scope: Construct, construct_id: str, function_name: str, stage: Stage) -> logs.LogGroup:
    return logs.LogGroup(
        scope,
        construct_id,
        log_group_name=f"/aws/lambda/{function_name}",
        retention=logs.RetentionDays[stage.log_retention],
        removal_policy=cdk.RemovalPolicy.DESTROY,
    )


def _role(scope: Construct, construct_id: str, function_name: str, group: logs.LogGroup) -> iam.Role:
    """A role that may write its own logs and live in the VPC; everything else is granted by the stack."""
    role = iam.Role(scope, construct_id, assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"))
    group.grant_write(role)
    role.add_to_policy(
        iam.PolicyStatement(sid="LiveInTheVpc", actions=list(NETWORK_INTERFACE_ACTIONS), resources=["*"])
    )
    role.add_to_policy(
        iam.PolicyStatement(
            sid="ButOnlyByLambdaItself",
            effect=iam.Effect.DENY,
            actions=list(NETWORK_INTERFACE_ACTIONS),
            resources=["*"],
            conditions={"ArnEquals": {"lambda:SourceFunctionArn": _arn(scope, function_name)}},
        )
    )
    cdk.Validations.of(role).acknowledge(
        cdk.Acknowledgment(
            id="AwsSolutions-IAM5[Resource::*]",
            reason="EC2 names no resource for these calls; the function's own code is denied them.",
        )
    )
    return role


def _arn(scope: Construct, function_name: str) -> str:
    return cdk.Stack.of(scope).format_arn(
        service="lambda",
        resource="function",
        resource_name=function_name,
        arn_format=cdk.ArnFormat.COLON_RESOURCE_NAME,
    )
