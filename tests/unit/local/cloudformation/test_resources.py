from typing import Any

import pytest

from local.cloudformation import resources
from local.cloudformation.template import TemplateError
from tests.unit.local.stacks import function, queue, template


def mapping(**properties: Any) -> dict[str, Any]:
    return {
        "Type": "AWS::Lambda::EventSourceMapping",
        "Properties": {
            "EventSourceArn": {"Fn::GetAtt": ["Queue", "Arn"]},
            "FunctionName": {"Ref": "Function"},
            **properties,
        },
    }


def schedule(**properties: Any) -> dict[str, Any]:
    target = {"Arn": {"Fn::GetAtt": ["Function", "Arn"]}, "Input": '{"job": "x"}', "RoleArn": "arn:role"}
    return {
        "Type": "AWS::Scheduler::Schedule",
        "Properties": {"ScheduleExpression": "rate(1 hour)", "Target": target, **properties},
    }


def test_a_function_is_read_with_its_environment_resolved() -> None:
    stack = template(
        {
            "Function": function(
                "work",
                Environment={"Variables": {"URL": {"Ref": "Queue"}, "LIMIT": 5}},
                Timeout=60,
                MemorySize=512,
                ReservedConcurrentExecutions=2,
            ),
            "Queue": queue(QueueName="orders"),
            "Config": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {"FunctionName": {"Ref": "Function"}, "MaximumRetryAttempts": 0},
            },
        }
    )
    spec = resources.functions(stack)["work"]
    assert spec.environment == {"URL": "http://127.0.0.1:9324/000000000000/orders", "LIMIT": "5"}
    assert (spec.handler, spec.timeout, spec.memory) == ("work.handler", 60, 512)
    assert (spec.reserved_concurrency, spec.async_retries) == (2, 0)


def test_cdk_s_own_node_functions_do_not_run_here() -> None:
    assert resources.functions(template({"Helper": function("helper", Runtime="nodejs22.x")})) == {}


def test_a_property_nothing_here_would_honour_is_an_error() -> None:
    with pytest.raises(TemplateError, match=r"Function\.SnapStart"):
        resources.functions(template({"Function": function("work", SnapStart={"ApplyOn": "PublishedVersions"})}))


def test_a_mapping_is_read_with_its_limits() -> None:
    stack = template(
        {
            "Function": function("work"),
            "Queue": queue(QueueName="orders"),
            "Mapping": mapping(
                BatchSize=5,
                FunctionResponseTypes=["ReportBatchItemFailures"],
                ScalingConfig={"MaximumConcurrency": 3},
            ),
        }
    )
    [spec] = resources.mappings(stack)
    assert spec == resources.MappingSpec(
        function="work",
        queue_arn="arn:aws:sqs:eu-central-1:000000000000:orders",
        batch_size=5,
        report_failures=True,
        max_concurrency=3,
    )


@pytest.mark.parametrize(
    "properties",
    [
        {"MaximumBatchingWindowInSeconds": 5},
        {"BatchSize": 100},
        {"Enabled": False},
        {"FilterCriteria": {"Filters": []}},
    ],
)
def test_a_mapping_that_would_behave_otherwise_here_is_an_error(properties: dict[str, Any]) -> None:
    stack = template({"Function": function("work"), "Queue": queue(), "Mapping": mapping(**properties)})
    with pytest.raises(TemplateError, match="Mapping"):
        resources.mappings(stack)


def test_only_enabled_schedules_are_read() -> None:
    stack = template(
        {"Function": function("work"), "On": schedule(Name="hourly"), "Off": schedule(State="DISABLED")}
    )
    [spec] = resources.schedules(stack)
    assert (spec.name, spec.function, spec.expression) == ("hourly", "work", "rate(1 hour)")
    assert spec.input == '{"job": "x"}'


def test_custom_resources_of_other_providers_are_cdk_s_business() -> None:
    custom = {"Type": "Custom::Migration", "Properties": {"Revision": "abc"}}
    own = {**custom["Properties"], "ServiceToken": {"Fn::GetAtt": ["Function", "Arn"]}}
    foreign = {"ServiceToken": "arn:aws:lambda:eu-central-1:000000000000:function:helper"}
    stack = template(
        {
            "Function": function("migrate"),
            "Own": {**custom, "Properties": own},
            "Foreign": {"Type": "Custom::VpcRestrictDefaultSG", "Properties": foreign},
        }
    )
    [spec] = resources.custom_resources(stack)
    assert (spec.logical_id, spec.function, spec.properties["Revision"]) == ("Own", "migrate", "abc")


@pytest.mark.parametrize(
    "config",
    [{"DestinationConfig": {"OnFailure": {"Destination": "arn:q"}}}, {"DeadLetterConfig": {"TargetArn": "arn:q"}}],
)
def test_a_destination_nothing_here_would_send_to_is_an_error(config: dict[str, Any]) -> None:
    on_function = config if "DeadLetterConfig" in config else {}
    on_invoke = {} if on_function else config
    stack = template(
        {
            "Function": function("work", **on_function),
            "Config": {
                "Type": "AWS::Lambda::EventInvokeConfig",
                "Properties": {"FunctionName": {"Ref": "Function"}, **on_invoke},
            },
        }
    )
    with pytest.raises(TemplateError, match=next(iter(config))):
        resources.functions(stack)
