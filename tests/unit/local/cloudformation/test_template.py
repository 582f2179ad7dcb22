from pathlib import Path

import pytest

from local.cloudformation.template import TemplateError, load
from tests.unit.local.stacks import ADDRESSES, function, queue, template


def test_a_missing_template_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(TemplateError, match=r"python app\.py"):
        load(tmp_path / "shop-dev.template.json", ADDRESSES)


def test_the_stack_is_named_after_the_file(tmp_path: Path) -> None:
    file = tmp_path / "shop-dev.template.json"
    file.write_text('{"Resources": {}}')
    assert load(file, ADDRESSES).stack_name == "shop-dev"


def test_names_are_those_given_or_made_from_the_logical_id() -> None:
    stack = template({"Named": queue(QueueName="orders"), "Unnamed": queue()})
    assert stack.attribute("Named", None) == "http://127.0.0.1:9324/000000000000/orders"
    assert stack.attribute("Named", "Arn") == "arn:aws:sqs:eu-central-1:000000000000:orders"
    assert stack.attribute("Unnamed", "QueueName") == "shop-dev-Unnamed"


def test_a_secret_and_its_attachment_have_the_same_arn() -> None:
    stack = template(
        {
            "Secret": {"Type": "AWS::SecretsManager::Secret", "Properties": {}},
            "Attachment": {
                "Type": "AWS::SecretsManager::SecretTargetAttachment",
                "Properties": {"SecretId": {"Ref": "Secret"}},
            },
        }
    )
    assert stack.attribute("Attachment", None) == stack.attribute("Secret", None)
    assert stack.attribute("Secret", None).startswith(
        "arn:aws:secretsmanager:eu-central-1:000000000000:secret:shop-dev-Secret-"
    )


def test_ids_are_the_same_at_every_start() -> None:
    resources = {"Key": {"Type": "AWS::KMS::Key", "Properties": {}}}
    assert template(resources).attribute("Key", "Arn") == template(resources).attribute("Key", "Arn")


def test_a_resource_whose_condition_does_not_hold_is_not_there() -> None:
    conditional = {**queue(), "Condition": "Never"}
    stack = template({"Queue": conditional}, Conditions={"Never": {"Fn::Equals": ["a", "b"]}})
    assert list(stack.of_type("AWS::SQS::Queue")) == []
    with pytest.raises(LookupError):
        stack.attribute("Queue", None)


def test_a_reference_without_a_local_value_names_both_ends() -> None:
    stack = template(
        {
            "Function": function("work", Environment={"Variables": {"SUBNET": {"Ref": "Subnet"}}}),
            "Subnet": {"Type": "AWS::EC2::Subnet"},
        }
    )
    with pytest.raises(
        TemplateError, match=r"Function\.Environment\.Variables\.SUBNET.*Subnet \(AWS::EC2::Subnet\)"
    ):
        stack.resource("Function").get("Environment")
