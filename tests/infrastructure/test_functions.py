"""The functions as the local runtime starts them and as Lambda would."""

import ast

import pytest

from tests.infrastructure.synthesized import ROOT, Template, referred

PROXY = "AWS::RDS::DBProxy"
INSTANCE = "AWS::RDS::DBInstance"

# name → (seconds, MiB, security group's description)
FUNCTIONS = {
    "authorizer": (9, 512, "Functions that use the proxy"),
    "api": (29, 1024, "Functions that use the proxy"),
    "receive": (29, 1024, "Functions that use the proxy"),
    "deliver": (60, 1769, "Functions that call webhooks"),
    "jobs": (60, 512, "Functions that use the proxy"),
    "rescrape": (180, 512, "Functions that call webhooks"),
    "dispatch": (55, 512, "Functions that use the proxy"),
    "maintain": (900, 1769, "Functions on the instance"),
    "metrics": (60, 512, "Functions that use the proxy"),
    "migrate": (900, 512, "Functions on the instance"),
}

EVERYWHERE = {"STAGE", "POWERTOOLS_SERVICE_NAME", "POWERTOOLS_LOG_LEVEL", "SLOW_STATEMENT_MS", "METRICS"} | {
    f"DATABASE_{part}" for part in ("HOST", "PORT", "NAME", "USER")
}
QUEUES = {"DELIVERY_QUEUE_URL", "RETRY_QUEUE_URL"}
JOBS = {"JOBS_QUEUE_URL"}
RESCRAPES = {"RESCRAPE_QUEUE_URL"}
EGRESS = {"EGRESS_SCHEMES", "EGRESS_PORTS", "EGRESS_ALLOWED_NETWORKS"}
ENVIRONMENT = {
    "authorizer": EVERYWHERE | {"ADMIN_KEY_SECRET_ARN"},
    "api": EVERYWHERE | QUEUES | JOBS | RESCRAPES | EGRESS | {"KMS_KEY_ID", "DOCUMENTS_BUCKET"},
    "receive": EVERYWHERE | RESCRAPES | {"DELIVERY_QUEUE_URL", "KMS_KEY_ID"},
    "deliver": EVERYWHERE | QUEUES | EGRESS | {"KMS_KEY_ID"},
    "jobs": EVERYWHERE | QUEUES | JOBS,
    "rescrape": EVERYWHERE | RESCRAPES | EGRESS | {"DELIVERY_QUEUE_URL", "KMS_KEY_ID", "DOCUMENTS_BUCKET"},
    "dispatch": EVERYWHERE | QUEUES | JOBS | RESCRAPES,
    "maintain": EVERYWHERE | {"DATABASE_CA_FILE", "ARCHIVE_BUCKET"},
    "metrics": EVERYWHERE,
    "migrate": EVERYWHERE | {"DATABASE_CA_FILE", "DATABASE_SECRET_ARN", "DATABASE_INSTANCE_ID"},
}
DATABASE = {
    "authorizer": (PROXY, "hookline_app"),
    "api": (PROXY, "hookline_app"),
    "receive": (PROXY, "hookline_app"),
    "deliver": (PROXY, "hookline_app"),
    "jobs": (PROXY, "hookline_app"),
    "rescrape": (PROXY, "hookline_app"),
    "dispatch": (PROXY, "hookline_app"),
    "maintain": (INSTANCE, "hookline_maintain"),
    "metrics": (PROXY, "hookline_app"),
    "migrate": (INSTANCE, "hookline_admin"),
}

every_function = pytest.mark.parametrize("name", FUNCTIONS)


def test_the_stack_has_our_functions_and_none_of_the_cdk(template: Template) -> None:
    stage = template.path.name.split(".")[0]
    names = {f["Properties"]["FunctionName"] for f in template.of_type("AWS::Lambda::Function").values()}
    assert names == {f"{stage}-{name}" for name in FUNCTIONS}


@every_function
def test_the_handler_exists_where_the_string_says(dev: Template, name: str) -> None:
    handler = dev.function(name)[1]["Handler"]
    assert handler == f"functions.{name}.handler.handler"
    *module, attribute = handler.split(".")
    tree = ast.parse(ROOT.joinpath(*module).with_suffix(".py").read_text())
    assert attribute in _defined(tree)


@every_function
def test_a_function_is_made_the_one_way(template: Template, name: str) -> None:
    _, function = template.function(name)
    seconds, mebibytes, group = FUNCTIONS[name]
    assert function["Runtime"] == "python3.13"
    assert function["Architectures"] == ["arm64"]
    assert function["Timeout"] == seconds
    assert function["MemorySize"] == mebibytes
    assert "TracingConfig" not in function
    [security_group] = referred(function["VpcConfig"]["SecurityGroupIds"])
    assert template.resources[security_group]["Properties"]["GroupDescription"] == group


@every_function
def test_a_function_logs_to_a_group_that_forgets(template: Template, name: str) -> None:
    _, function = template.function(name)
    group = template.resources[function["LoggingConfig"]["LogGroup"]["Ref"]]["Properties"]
    assert group["LogGroupName"] == f"/aws/lambda/{function['FunctionName']}"
    assert group["RetentionInDays"] in (7, 90)


def test_all_functions_share_one_asset(template: Template) -> None:
    functions = template.of_type("AWS::Lambda::Function").values()
    assert len({str(function["Properties"]["Code"]) for function in functions}) == 1


@every_function
def test_a_function_is_told_what_it_needs_and_no_more(template: Template, name: str) -> None:
    environment = template.environment(name)
    assert environment.keys() == ENVIRONMENT[name]
    assert environment["STAGE"] == template.path.name.split(".")[0].removeprefix("hookline-")
    assert environment["POWERTOOLS_SERVICE_NAME"] == template.function(name)[1]["FunctionName"]


@every_function
def test_a_function_is_told_its_own_way_to_the_database(template: Template, name: str) -> None:
    environment = template.environment(name)
    endpoint, user = DATABASE[name]
    [host] = referred(environment["DATABASE_HOST"])
    assert template.resources[host]["Type"] == endpoint
    assert environment["DATABASE_USER"] == user
    assert environment["DATABASE_PORT"] == "5432"
    assert environment["DATABASE_NAME"] == "hookline"


def test_the_urls_and_arns_are_those_of_our_resources(template: Template) -> None:
    environment = template.environment("api")
    assert environment["DELIVERY_QUEUE_URL"] == {"Ref": template.queue("delivery")[0]}
    assert environment["RETRY_QUEUE_URL"] == {"Ref": template.queue("retry")[0]}
    assert environment["JOBS_QUEUE_URL"] == {"Ref": template.queue("jobs")[0]}
    assert environment["KMS_KEY_ID"] == {"Fn::GetAtt": [*template.of_type("AWS::KMS::Key"), "Arn"]}
    assert environment["RESCRAPE_QUEUE_URL"] == {"Ref": template.queue("rescrape")[0]}
    assert template.environment("maintain")["ARCHIVE_BUCKET"] == {"Ref": template.bucket("Archive")[0]}
    for name in ("api", "rescrape"):
        assert template.environment(name)["DOCUMENTS_BUCKET"] == {"Ref": template.bucket("Documents")[0]}
    secret = template.environment("authorizer")["ADMIN_KEY_SECRET_ARN"]["Ref"]
    assert template.resources[secret]["Type"] == "AWS::SecretsManager::Secret"
    assert secret in referred(template.document["Outputs"]["AdminKeySecretArn"])


def test_webhooks_may_be_https_on_public_addresses_only(template: Template) -> None:
    for name in ("api", "deliver", "rescrape"):
        environment = template.environment(name)
        assert environment["EGRESS_SCHEMES"] == "https"
        assert environment["EGRESS_PORTS"] == "443,8443"
        assert environment["EGRESS_ALLOWED_NETWORKS"] == ""


@pytest.mark.parametrize("name", ["deliver", "jobs", "rescrape"])
def test_what_sends_to_its_own_queue_may_wake_itself_for_ever(template: Template, name: str) -> None:
    assert template.function(name)[1]["RecursiveLoop"] == "Allow"


@pytest.mark.parametrize(
    ("name", "attempts", "seconds"), [("dispatch", 0, 60), ("maintain", 2, 1800), ("metrics", 2, 21_600)]
)
def test_what_failed_is_not_repeated_late(template: Template, name: str, attempts: int, seconds: int) -> None:
    logical_id, _ = template.function(name)
    _, config = template.named("AWS::Lambda::EventInvokeConfig", "FunctionName", {"Ref": logical_id})
    assert config["Properties"]["MaximumRetryAttempts"] == attempts
    assert config["Properties"]["MaximumEventAgeInSeconds"] == seconds


def _defined(tree: ast.Module) -> set[str]:
    names: set[str] = set()
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add(node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return names
