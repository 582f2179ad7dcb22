import json

import pytest

from local.cloudformation import stores
from local.cloudformation.template import TemplateError
from tests.unit.local.stacks import queue, template


def test_dead_letter_queues_come_before_the_queues_that_name_them() -> None:
    redrive = {"deadLetterTargetArn": {"Fn::GetAtt": ["Dead", "Arn"]}, "maxReceiveCount": 5}
    stack = template(
        {
            "Queue": queue(QueueName="orders", RedrivePolicy=redrive, VisibilityTimeout=360),
            "Dead": queue(QueueName="orders-dlq", SqsManagedSseEnabled=True),
        }
    )
    dead, orders = stores.queues(stack)
    assert dead.attributes == {"SqsManagedSseEnabled": "true"}
    assert orders.attributes["VisibilityTimeout"] == "360"
    assert json.loads(orders.attributes["RedrivePolicy"]) == {
        "deadLetterTargetArn": dead.arn,
        "maxReceiveCount": 5,
    }


def test_a_key_knows_its_aliases() -> None:
    stack = template(
        {
            "Key": {"Type": "AWS::KMS::Key", "Properties": {}},
            "Alias": {
                "Type": "AWS::KMS::Alias",
                "Properties": {"AliasName": "alias/shop", "TargetKeyId": {"Fn::GetAtt": ["Key", "Arn"]}},
            },
        }
    )
    [key] = stores.keys(stack)
    assert key.aliases == ("alias/shop",)


def test_a_stack_without_a_database_does_not_run_here() -> None:
    with pytest.raises(TemplateError, match="DBInstance"):
        stores.database(template({}))


def test_the_database_has_the_template_s_version_and_settings() -> None:
    parameters = {"jit": "0", "rds.force_ssl": "1", "shared_buffers": "{DBInstanceClassMemory/32768}"}
    stack = template(
        {
            "Group": {"Type": "AWS::RDS::DBParameterGroup", "Properties": {"Parameters": parameters}},
            "Instance": {
                "Type": "AWS::RDS::DBInstance",
                "Properties": {
                    "MasterUsername": "boss",
                    "DBName": "shop",
                    "EngineVersion": "18.6",
                    "DBParameterGroupName": {"Ref": "Group"},
                },
            },
        }
    )
    assert stores.database(stack) == stores.DatabaseSpec("boss", "shop", "18", {"jit": "0"})
