"""The schema changes first, and only when migrations/ does."""

import pytest

from infrastructure import packaging
from tests.infrastructure.synthesized import Template

RUN = "Custom::Migration"
WOKEN = (
    "AWS::Lambda::EventSourceMapping",
    "AWS::Scheduler::Schedule",
    "AWS::ApiGatewayV2::Integration",
    "AWS::ApiGatewayV2::Authorizer",
    "AWS::ApiGatewayV2::Route",
)


def test_cloudformation_calls_the_migrate_function_with_the_revision(template: Template) -> None:
    run = template.only(RUN)["Properties"]
    assert run["ServiceToken"] == {"Fn::GetAtt": [template.function("migrate")[0], "Arn"]}
    assert run["Revision"] == packaging.migrations_revision()
    assert int(run["ServiceTimeout"]) > template.function("migrate")[1]["Timeout"]


def test_everything_else_that_runs_waits_for_the_migration(template: Template) -> None:
    [run] = template.of_type(RUN)
    migrate, _ = template.function("migrate")
    others = [name for name in template.of_type("AWS::Lambda::Function") if name != migrate]
    others += [name for resource_type in WOKEN for name in template.of_type(resource_type)]
    assert len(others) == 9 + 4 + 3 + 2 + 1 + 13
    assert [name for name in others if run not in template.after(name)] == []


def test_each_function_says_itself_that_it_waits(template: Template) -> None:
    [run] = template.of_type(RUN)
    migrate, _ = template.function("migrate")
    for name, function in template.of_type("AWS::Lambda::Function").items():
        assert (run in function["DependsOn"]) == (name != migrate)


@pytest.mark.parametrize(
    "needed",
    [
        "AWS::RDS::DBInstance",
        "AWS::SecretsManager::SecretTargetAttachment",
        "AWS::EC2::NatGateway",
    ],
)
def test_the_migration_waits_for_what_it_needs(template: Template, needed: str) -> None:
    [run] = template.of_type(RUN)
    assert template.of_type(needed).keys() <= template.after(run)


def test_the_migration_waits_for_the_way_to_the_database_to_be_open(template: Template) -> None:
    [run] = template.of_type(RUN)
    before = template.after(run)
    [group] = template.function("migrate")[1]["VpcConfig"]["SecurityGroupIds"]
    inward = template.named("AWS::EC2::SecurityGroupIngress", "SourceSecurityGroupId", group)[0]
    outward = template.named("AWS::EC2::SecurityGroupEgress", "GroupId", group)[0]
    assert {inward, outward} <= before


def test_the_migration_waits_for_none_of_the_functions_that_wait_for_it(template: Template) -> None:
    [run] = template.of_type(RUN)
    functions = template.of_type("AWS::Lambda::Function").keys() & template.after(run)
    assert functions == {template.function("migrate")[0]}
