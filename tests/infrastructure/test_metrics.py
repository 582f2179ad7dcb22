"""Lines of the logs that become metrics, and who reads them."""

from dataclasses import replace

from infrastructure.config import DEV
from tests.infrastructure.synthesized import Template, referred

FILTER = "AWS::Logs::SubscriptionFilter"
MEASURED = {"authorizer", "api", "receive", "deliver", "jobs", "rescrape", "dispatch", "maintain"}


def log_of(template: Template, name: str) -> str:
    group: str = template.function(name)[1]["LoggingConfig"]["LogGroup"]["Ref"]
    return group


def test_every_function_that_is_measured_has_its_lines_read_and_metrics_itself_has_not(template: Template) -> None:
    read = {one["Properties"]["LogGroupName"]["Ref"] for one in template.of_type(FILTER).values()}
    assert read == {log_of(template, name) for name in MEASURED}


def test_only_lines_of_metrics_are_read(template: Template) -> None:
    metrics, _ = template.function("metrics")
    for one in template.of_type(FILTER).values():
        properties = one["Properties"]
        assert properties["FilterPattern"] == (
            '{ ($.metric = "requests") || ($.metric = "operations") || ($.metric = "statements") }'
        )
        assert properties["DestinationArn"] == {"Fn::GetAtt": [metrics, "Arn"]}


def test_each_log_may_invoke_it_and_nobody_else_may(template: Template) -> None:
    metrics, _ = template.function("metrics")
    allowed = [
        one["Properties"]
        for one in template.of_type("AWS::Lambda::Permission").values()
        if metrics in referred(one["Properties"]["FunctionName"])
    ]
    assert {one["Principal"] for one in allowed} == {"logs.amazonaws.com"}
    assert {*referred([one["SourceArn"] for one in allowed])} == {log_of(template, name) for name in MEASURED}


def test_it_takes_few_connections_however_much_there_is_to_store(template: Template) -> None:
    assert template.function("metrics")[1]["ReservedConcurrentExecutions"] == 2


def test_a_stage_without_metrics_has_no_subscriptions_and_measures_nothing() -> None:
    from aws_cdk import App
    from aws_cdk.assertions import Template as Synthesized

    from infrastructure.stack import HooklineStack

    app = App(post_cli_context={"aws:cdk:bundling-stacks": []})
    synthesized = Synthesized.from_stack(HooklineStack(app, stage=replace(DEV, metrics=False)))
    synthesized.resource_count_is(FILTER, 0)
    synthesized.has_resource_properties(
        "AWS::Lambda::Function",
        {"FunctionName": "hookline-dev-api", "Environment": {"Variables": {"METRICS": "off"}}},
    )
