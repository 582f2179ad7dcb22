"""What runs: the template's functions, and what invokes them, as plain values that are read once at the start.

Each reader names the properties it honours and those that cannot matter on one machine. Any other is an
error, so that nothing the stack asks for is quietly left out here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local.cloudformation import attributes
from local.cloudformation.template import Resource, Template, TemplateError

LAMBDA_TIMEOUT_SECONDS = 3  # CloudFormation's default for AWS::Lambda::Function.Timeout
LAMBDA_MEMORY_MB = 128
ASYNC_RETRIES = 2  # Lambda's default for asynchronous invocations
_HONOURED = (
    *("FunctionName", "Handler", "Runtime", "Environment", "Timeout", "MemorySize"),
    "ReservedConcurrentExecutions",
)
_OF_NO_MATTER = (
    *("Code", "Role", "VpcConfig", "Architectures", "LoggingConfig", "TracingConfig", "EphemeralStorage"),
    *("KmsKeyArn", "RecursiveLoop", "RuntimeManagementConfig"),
)
_FUNCTION_IN_ARN = re.compile(r":function:([A-Za-z0-9_-]+)")


@dataclass(frozen=True)
class FunctionSpec:
    name: str
    arn: str
    handler: str
    environment: Mapping[str, str]
    timeout: int  # seconds
    memory: int  # MB
    reserved_concurrency: int | None
    async_retries: int  # of an asynchronous invocation that failed


@dataclass(frozen=True)
class MappingSpec:
    function: str
    queue_arn: str
    batch_size: int
    report_failures: bool
    max_concurrency: int | None


@dataclass(frozen=True)
class ScheduleSpec:
    name: str
    arn: str
    function: str
    expression: str
    input: str  # JSON text


@dataclass(frozen=True)
class CustomResourceSpec:
    logical_id: str
    type: str
    function: str
    properties: Mapping[str, Any]


def functions(template: Template) -> dict[str, FunctionSpec]:
    """The stack's own functions by name. CDK's helper functions (Node.js) have no work on one machine."""
    retries = _async_retries(template)
    found = {}
    for resource in template.of_type("AWS::Lambda::Function"):
        if not str(resource.get("Runtime", "")).startswith("python"):
            continue
        resource.only(*_HONOURED, ignored=_OF_NO_MATTER)
        spec = _function(resource, retries)
        found[spec.name] = spec
    return found


def _function(resource: Resource, retries: Mapping[str, int]) -> FunctionSpec:
    name = attributes.function_name(resource)
    variables = resource.get("Environment", {}).get("Variables", {})
    return FunctionSpec(
        name=name,
        arn=resource.template.arn("lambda", f"function:{name}"),
        handler=str(resource.require("Handler")),
        environment={key: str(value) for key, value in variables.items()},
        timeout=int(resource.get("Timeout", LAMBDA_TIMEOUT_SECONDS)),
        memory=int(resource.get("MemorySize", LAMBDA_MEMORY_MB)),
        reserved_concurrency=resource.get("ReservedConcurrentExecutions"),
        async_retries=retries.get(name, ASYNC_RETRIES),
    )


def _async_retries(template: Template) -> dict[str, int]:
    retries = {}
    for config in template.of_type("AWS::Lambda::EventInvokeConfig"):
        config.only("FunctionName", "MaximumRetryAttempts", ignored=("Qualifier", "MaximumEventAgeInSeconds"))
        name = function_in(str(config.require("FunctionName")))
        retries[name] = int(config.get("MaximumRetryAttempts", ASYNC_RETRIES))
    return retries


def function_in(reference: str) -> str:
    """The function's name in an ARN, an integration URI, or the bare name itself."""
    match = _FUNCTION_IN_ARN.search(reference)
    return match.group(1) if match else reference


def mappings(template: Template) -> list[MappingSpec]:
    return [_mapping(resource) for resource in template.of_type("AWS::Lambda::EventSourceMapping")]


def _mapping(resource: Resource) -> MappingSpec:
    resource.only(
        *("EventSourceArn", "FunctionName", "BatchSize", "FunctionResponseTypes", "ScalingConfig"),
        *("MaximumBatchingWindowInSeconds", "Enabled"),
        ignored=("MetricsConfig",),
    )
    window, size = int(resource.get("MaximumBatchingWindowInSeconds", 0)), int(resource.get("BatchSize", 10))
    if window or size > 10:
        raise TemplateError(
            f"{resource.logical_id}: a batching window, or batches of more than 10, do not run here"
        )
    if resource.get("Enabled", True) is False:
        raise TemplateError(f"{resource.logical_id}.Enabled: a disabled mapping does not run here")
    return MappingSpec(
        function=function_in(str(resource.require("FunctionName"))),
        queue_arn=str(resource.require("EventSourceArn")),
        batch_size=size,
        report_failures="ReportBatchItemFailures" in resource.get("FunctionResponseTypes", []),
        max_concurrency=resource.get("ScalingConfig", {}).get("MaximumConcurrency"),
    )


def schedules(template: Template) -> list[ScheduleSpec]:
    """Enabled schedules whose target is a function."""
    found = template.of_type("AWS::Scheduler::Schedule")
    return [_schedule(resource) for resource in found if resource.get("State", "ENABLED") == "ENABLED"]


def _schedule(resource: Resource) -> ScheduleSpec:
    resource.only(
        *("Name", "GroupName", "ScheduleExpression", "State", "Target"),
        ignored=("FlexibleTimeWindow", "ScheduleExpressionTimezone", "KmsKeyArn"),
    )
    name, group = attributes.name(resource, "Name"), resource.get("GroupName", "default")
    target = resource.require("Target")
    for key in target.keys() - {"Arn", "Input", "RoleArn", "RetryPolicy"}:
        raise TemplateError(f"{resource.logical_id}.Target.{key} has no local counterpart")
    return ScheduleSpec(
        name=name,
        arn=resource.template.arn("scheduler", f"schedule/{group}/{name}"),
        function=function_in(target["Arn"]),
        expression=str(resource.require("ScheduleExpression")),
        input=target.get("Input", "{}"),
    )


def custom_resources(template: Template) -> Iterator[CustomResourceSpec]:
    """Custom resources that one of the stack's own functions provides."""
    own = functions(template)
    for logical_id, resource in template.document.get("Resources", {}).items():
        if not resource["Type"].startswith(("Custom::", "AWS::CloudFormation::CustomResource")):
            continue
        if not _provided_here(template.resource(logical_id), own):
            continue
        found = template.resource(logical_id)
        properties = {name: found.get(name) for name in found.properties}
        yield CustomResourceSpec(logical_id, found.type, function_in(properties["ServiceToken"]), properties)


def _provided_here(resource: Resource, own: Mapping[str, FunctionSpec]) -> bool:
    return function_in(str(resource.require("ServiceToken"))) in own
