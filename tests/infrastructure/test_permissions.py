"""Who may do what: each function's policy, whole."""

from typing import Any

import pytest

from tests.infrastructure.synthesized import Template, as_list, referred

LOGS = {"logs:CreateLogStream", "logs:PutLogEvents"}
NETWORK_INTERFACES = {
    "ec2:AssignPrivateIpAddresses",
    "ec2:CreateNetworkInterface",
    "ec2:DeleteNetworkInterface",
    "ec2:DescribeNetworkInterfaces",
    "ec2:DescribeSubnets",
    "ec2:UnassignPrivateIpAddresses",
}
SEND = {"sqs:SendMessage"}
COUNT = {"sqs:GetQueueAttributes"}
CONSUME = {
    "sqs:ChangeMessageVisibility",
    "sqs:DeleteMessage",
    "sqs:GetQueueAttributes",
    "sqs:GetQueueUrl",
    "sqs:ReceiveMessage",
}
CONNECT = {"rds-db:connect"}
READ_SECRET = {"secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue"}
FILES = {"s3:AbortMultipartUpload", "s3:DeleteObjectVersion", "s3:GetObject", "s3:PutObject"}
ARCHIVE = FILES | {"s3:ListBucket"}
DOCUMENTS = {"s3:GetObject", "s3:PutObject"}
HAND_OUT = {"s3:GetObject", "s3:DeleteObject"}
USE_KEY = {"kms:Decrypt", "kms:GenerateDataKey"}

ALLOWED = {
    "authorizer": LOGS | NETWORK_INTERFACES | CONNECT | READ_SECRET,
    "api": LOGS | NETWORK_INTERFACES | CONNECT | SEND | COUNT | USE_KEY | HAND_OUT | {"s3:ListBucket"},
    "receive": LOGS | NETWORK_INTERFACES | CONNECT | SEND | {"kms:Decrypt"},
    "deliver": LOGS | NETWORK_INTERFACES | CONNECT | SEND | CONSUME | {"kms:Decrypt"},
    "jobs": LOGS | NETWORK_INTERFACES | CONNECT | SEND | CONSUME,
    "rescrape": LOGS | NETWORK_INTERFACES | CONNECT | SEND | CONSUME | DOCUMENTS | USE_KEY,
    "dispatch": LOGS | NETWORK_INTERFACES | CONNECT | SEND,
    "maintain": LOGS | NETWORK_INTERFACES | CONNECT | ARCHIVE | {"kms:Decrypt", "kms:GenerateDataKey"},
    "metrics": LOGS | NETWORK_INTERFACES | CONNECT,
    "migrate": LOGS | NETWORK_INTERFACES | READ_SECRET | {"rds:DescribeDBSnapshots"},
}
every_function = pytest.mark.parametrize("name", ALLOWED)


@every_function
def test_a_function_may_do_what_it_does_and_no_more(template: Template, name: str) -> None:
    allowed = {
        action
        for statement in template.statements(name)
        if statement["Effect"] == "Allow"
        for action in as_list(statement["Action"])
    }
    assert allowed == ALLOWED[name]


@every_function
def test_only_network_interfaces_are_allowed_on_everything(template: Template, name: str) -> None:
    for statement in template.statements(name):
        if "*" in as_list(statement["Resource"]):
            assert set(as_list(statement["Action"])) == NETWORK_INTERFACES


@every_function
def test_network_interfaces_are_lambda_s_business_and_not_the_code_s(template: Template, name: str) -> None:
    [denied] = [s for s in template.statements(name) if s["Effect"] == "Deny"]
    assert set(denied["Action"]) == NETWORK_INTERFACES
    condition = denied["Condition"]["ArnEquals"]["lambda:SourceFunctionArn"]
    assert condition["Fn::Join"][1][-1] == f":function:{template.function(name)[1]['FunctionName']}"


def test_nothing_is_allowed_by_a_wildcard_action_or_a_managed_policy(template: Template) -> None:
    for role in template.of_type("AWS::IAM::Role").values():
        assert "ManagedPolicyArns" not in role["Properties"]
    for policy in template.of_type("AWS::IAM::Policy").values():
        for statement in policy["Properties"]["PolicyDocument"]["Statement"]:
            assert not any("*" in action for action in as_list(statement["Action"]))


@pytest.mark.parametrize(
    "name", ["authorizer", "api", "receive", "deliver", "jobs", "rescrape", "dispatch", "metrics"]
)
def test_the_application_connects_to_the_proxy_as_itself(template: Template, name: str) -> None:
    parts = _only(template, name, "rds-db:connect")["Fn::Join"][1]
    assert parts[-1] == "/hookline_app"
    assert {*template.of_type("AWS::RDS::DBProxy")} == set(referred(parts)) & template.resources.keys()


def test_maintain_connects_to_the_instance_as_itself(template: Template) -> None:
    parts = _only(template, "maintain", "rds-db:connect")["Fn::Join"][1]
    assert parts[-1] == "/hookline_maintain"
    assert parts[-2] == {"Fn::GetAtt": [*template.of_type("AWS::RDS::DBInstance"), "DbiResourceId"]}


def test_maintain_reads_and_writes_archives_and_nothing_else_in_the_bucket(template: Template) -> None:
    bucket, _ = template.bucket("Archive")
    [files] = [s for s in template.statements("maintain") if set(as_list(s["Action"])) == FILES]
    assert files["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/archive/*"]]}
    assert _only(template, "maintain", "s3:ListBucket") == {"Fn::GetAtt": [bucket, "Arn"]}


def test_rescrape_reads_and_writes_documents_and_nothing_else_in_the_bucket(template: Template) -> None:
    bucket, _ = template.bucket("Documents")
    [files] = [s for s in template.statements("rescrape") if set(as_list(s["Action"])) == DOCUMENTS]
    assert files["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/documents/*"]]}


def test_the_api_hands_out_documents_and_nothing_else_in_the_bucket(template: Template) -> None:
    bucket, _ = template.bucket("Documents")
    [files] = [s for s in template.statements("api") if set(as_list(s["Action"])) == HAND_OUT]
    assert files["Resource"] == {"Fn::Join": ["", [{"Fn::GetAtt": [bucket, "Arn"]}, "/documents/*"]]}
    [lists] = [s for s in template.statements("api") if as_list(s["Action"]) == ["s3:ListBucket"]]
    assert lists["Resource"] == {"Fn::GetAtt": [bucket, "Arn"]}
    assert lists["Condition"] == {"StringLike": {"s3:prefix": "documents/*"}}


@pytest.mark.parametrize(("name", "files"), [("maintain", "Archive"), ("rescrape", "Documents")])
def test_files_are_encrypted_through_their_bucket_only(template: Template, name: str, files: str) -> None:
    bucket, _ = template.bucket(files)
    [used] = [s for s in template.statements(name) if "kms:GenerateDataKey" in as_list(s["Action"])]
    condition = used["Condition"]["StringEquals"]
    assert condition["kms:EncryptionContext:aws:s3:arn"] == {"Fn::GetAtt": [bucket, "Arn"]}
    assert condition["kms:ViaService"]["Fn::Join"][1][0] == "s3."
    assert used["Resource"] == {"Fn::GetAtt": [*template.of_type("AWS::KMS::Key"), "Arn"]}


def test_migrate_looks_at_the_snapshots_of_this_account_s_databases_only(template: Template) -> None:
    instance, snapshots = _only(template, "migrate", "rds:DescribeDBSnapshots")
    assert {*template.of_type("AWS::RDS::DBInstance")} <= set(referred(instance))
    assert "".join(part for part in snapshots["Fn::Join"][1] if isinstance(part, str)).endswith(":snapshot:*")


def test_each_secret_has_one_reader(template: Template) -> None:
    action = "secretsmanager:GetSecretValue"
    assert _only(template, "authorizer", action) == template.environment("authorizer")["ADMIN_KEY_SECRET_ARN"]
    assert _only(template, "migrate", action) == template.environment("migrate")["DATABASE_SECRET_ARN"]


@pytest.mark.parametrize(
    ("name", "sends_to"),
    [
        ("api", {"delivery", "retry", "jobs", "rescrape"}),
        ("receive", {"delivery", "rescrape"}),
        ("deliver", {"delivery", "retry"}),
        ("jobs", {"delivery", "retry", "jobs"}),
        ("rescrape", {"delivery", "rescrape"}),
        ("dispatch", {"delivery", "retry", "jobs", "rescrape"}),
    ],
)
def test_messages_go_to_our_own_queues_only(template: Template, name: str, sends_to: set[str]) -> None:
    assert _queues(template, name, "sqs:SendMessage") == sends_to


def test_each_queue_has_one_consumer(template: Template) -> None:
    assert _queues(template, "deliver", "sqs:ReceiveMessage") == {"delivery", "retry"}
    assert _queues(template, "jobs", "sqs:ReceiveMessage") == {"jobs"}
    assert _queues(template, "rescrape", "sqs:ReceiveMessage") == {"rescrape"}


def test_a_dead_letter_queue_is_counted_by_the_api_and_touched_by_no_function(template: Template) -> None:
    dlqs = {template.queue(name)[0] for name in ("delivery-dlq", "retry-dlq", "jobs-dlq", "rescrape-dlq")}
    for name in ALLOWED:
        of_dlqs = [s for s in template.statements(name) if dlqs & set(referred(s["Resource"]))]
        allowed = {action for statement in of_dlqs for action in as_list(statement["Action"])}
        assert allowed == (COUNT if name == "api" else set())


def _queues(template: Template, name: str, action: str) -> set[str]:
    """The queues on which a function may do this; KeyError when there is something else."""
    names = {template.queue(queue)[0]: queue for queue in ("delivery", "retry", "jobs", "rescrape")}
    return {
        names[arn["Fn::GetAtt"][0]]
        for statement in template.statements(name)
        if action in as_list(statement["Action"])
        for arn in as_list(statement["Resource"])
    }


def _only(template: Template, name: str, action: str) -> Any:
    [resource] = [s["Resource"] for s in template.statements(name) if action in as_list(s["Action"])]
    return resource
