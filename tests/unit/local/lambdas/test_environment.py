from pathlib import Path

import pytest

from local.cloudformation.resources import FunctionSpec
from local.lambdas import environment
from local.lambdas.environment import Endpoints

ENDPOINTS = Endpoints(sqs="http://127.0.0.1:1", aws="http://127.0.0.1:2", lambda_api="http://127.0.0.1:3")


def variables(**template: str) -> dict[str, str]:
    spec = FunctionSpec("shop-work", "arn", "work.handler", template, 60, 512, None, 2)
    return environment.of_function(
        spec, endpoints=ENDPOINTS, database_url="postgresql://u@h/d", task_root=Path("/task")
    )


def test_a_function_has_the_template_s_and_lambda_s_variables() -> None:
    made = variables(STAGE="dev")
    assert made["STAGE"] == "dev"
    assert made["_HANDLER"] == "work.handler"
    assert made["AWS_LAMBDA_FUNCTION_NAME"] == "shop-work"
    assert made["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] == "512"
    assert made["LAMBDA_TASK_ROOT"] == "/task"
    assert made["AWS_REGION"] == "eu-central-1"


def test_nothing_of_the_caller_s_shell_reaches_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_PROFILE", "PYTHONPATH", "https_proxy", "WEBHOOK_DATABASE_URL", "PGPASSWORD"):
        monkeypatch.setenv(name, "leaked")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "leaked")
    made = variables()
    assert "leaked" not in made.values()
    assert made["PATH"]


def test_a_database_url_is_for_functions_that_have_a_database() -> None:
    assert variables(DATABASE_HOST="127.0.0.1")["WEBHOOK_DATABASE_URL"] == "postgresql://u@h/d"
    assert "WEBHOOK_DATABASE_URL" not in variables()


def test_egress_is_opened_only_where_the_template_limits_it() -> None:
    made = variables(EGRESS_SCHEMES="https", EGRESS_PORTS="443", EGRESS_ALLOWED_NETWORKS="")
    assert (made["EGRESS_SCHEMES"], made["EGRESS_PORTS"]) == ("http,https", "")
    assert made["EGRESS_ALLOWED_NETWORKS"] == "127.0.0.0/8,::1/128"
    assert not [name for name in variables() if name.startswith("EGRESS")]


def test_boto3_finds_the_emulators() -> None:
    made = variables()
    assert made["AWS_ENDPOINT_URL_SQS"] == "http://127.0.0.1:1"
    assert made["AWS_ENDPOINT_URL_KMS"] == made["AWS_ENDPOINT_URL_SECRETS_MANAGER"] == "http://127.0.0.1:2"
    assert made["AWS_ENDPOINT_URL_LAMBDA"] == "http://127.0.0.1:3"
