from typing import Any

import pytest

from local.cloudformation.subscriptions import subscriptions
from local.cloudformation.template import TemplateError
from tests.unit.local.stacks import function, template

PATTERN = '{ ($.metric = "requests") || ($.metric = "operations") }'


def resources(**changes: Any) -> dict[str, Any]:
    properties = {
        "LogGroupName": {"Ref": "Logs"},
        "FilterPattern": PATTERN,
        "DestinationArn": {"Fn::GetAtt": ["Metrics", "Arn"]},
        "FilterName": "metrics",
    }
    return {
        "Logs": {"Type": "AWS::Logs::LogGroup", "Properties": {"LogGroupName": "/aws/lambda/shop-work"}},
        "Metrics": function("shop-metrics"),
        "Lines": {"Type": "AWS::Logs::SubscriptionFilter", "Properties": properties | changes},
    }


def test_a_subscription_is_read_as_it_is_written() -> None:
    (found,) = subscriptions(template(resources()))
    assert (found.name, found.log_group, found.function) == ("metrics", "/aws/lambda/shop-work", "shop-metrics")
    assert found.wanted == {("metric", "requests"), ("metric", "operations")}


def test_three_alternatives_are_all_wanted() -> None:
    pattern = '{ ($.metric = "a") || ($.kind = "b") || ($.metric = "c") }'
    (found,) = subscriptions(template(resources(FilterPattern=pattern)))
    assert found.wanted == {("metric", "a"), ("kind", "b"), ("metric", "c")}


@pytest.mark.parametrize("pattern", ["ERROR", '{ $.metric = "a" }', '{ ($.n > 1) || ($.metric = "a") }', " "])
def test_another_pattern_does_not_run_here(pattern: str) -> None:
    with pytest.raises(TemplateError, match="does not run here"):
        list(subscriptions(template(resources(FilterPattern=pattern))))


def test_what_is_not_honoured_is_refused() -> None:
    with pytest.raises(TemplateError, match="Distribution"):
        list(subscriptions(template(resources(Distribution="Random"))))


@pytest.mark.parametrize(
    ("line", "taken"),
    [
        ('{"metric":"requests"}', True),
        ('{"metric": "operations", "rows": []}', True),
        ('{"metric":"other","said":"requests"}', False),
        ('{"requests":"metric"}', False),
        ('{"metric":"requests"', False),
        (' {"metric":"requests"}', False),
        ("requests", False),
    ],
)
def test_a_line_is_wanted_by_what_it_says(line: str, taken: bool) -> None:
    (found,) = subscriptions(template(resources()))
    assert found.takes(line) is taken
