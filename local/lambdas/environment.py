"""The environment of a function's process: the template's, Lambda's own, and the local overrides."""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from local.cloudformation.resources import FunctionSpec
from local.cloudformation.template import REGION

# Everything a function meets here that it would not meet on AWS, and why.
EVERYWHERE = {
    "AWS_ACCESS_KEY_ID": "local",  # boto3 signs even for emulators that check nothing
    "AWS_SECRET_ACCESS_KEY": "local",
    "AWS_SESSION_TOKEN": "local",
    "AWS_CONFIG_FILE": os.devnull,  # the user's profiles must not reach the functions
    "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    "AWS_EC2_METADATA_DISABLED": "true",
}
# Only for functions whose template sets the variable: one that lacks it there must fail here as well.
WHERE_SET = {
    "EGRESS_SCHEMES": "http,https",  # receivers on one's own machine have no certificate,
    "EGRESS_PORTS": "",  # listen on any port,
    "EGRESS_ALLOWED_NETWORKS": "127.0.0.0/8,::1/128",  # and are on loopback, which is refused elsewhere
}
KEPT_FROM_SHELL = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "SSL_CERT_FILE")


@dataclass(frozen=True)
class Endpoints:
    """The emulators' URLs, without a trailing slash."""

    sqs: str
    aws: str
    lambda_api: str

    def variables(self) -> dict[str, str]:
        """As boto3 reads them: AWS_ENDPOINT_URL_<SERVICE>."""
        services = {"SQS": self.sqs, "LAMBDA": self.lambda_api}
        services |= dict.fromkeys(("KMS", "SECRETS_MANAGER", "S3", "STS"), self.aws)
        return {f"AWS_ENDPOINT_URL_{service}": url for service, url in services.items()}


def of_function(spec: FunctionSpec, *, endpoints: Endpoints, database_url: str, task_root: Path) -> dict[str, str]:
    """Everything but AWS_LAMBDA_RUNTIME_API, which differs from worker to worker.

    `database_url` stands for the IAM token or the secret that the function would log in with on AWS.
    """
    overrides = EVERYWHERE | endpoints.variables()
    overrides |= {name: value for name, value in WHERE_SET.items() if name in spec.environment}
    if "DATABASE_HOST" in spec.environment:
        overrides["WEBHOOK_DATABASE_URL"] = database_url
    return {**from_shell(), **_set_by_lambda(spec, task_root), **spec.environment, **overrides}


def log_group(spec: FunctionSpec) -> str:
    """The log that a function writes to, by the name that Lambda gives it."""
    return f"/aws/lambda/{spec.name}"


def from_shell() -> dict[str, str]:
    """What a child needs of the caller's environment to run at all."""
    return {name: os.environ[name] for name in KEPT_FROM_SHELL if name in os.environ}


def _set_by_lambda(spec: FunctionSpec, task_root: Path) -> Mapping[str, str]:
    """https://docs.aws.amazon.com/lambda/latest/dg/configuration-envvars.html"""
    return {
        "_HANDLER": spec.handler,
        "AWS_DEFAULT_REGION": REGION,
        "AWS_EXECUTION_ENV": f"AWS_Lambda_python{sys.version_info.major}.{sys.version_info.minor}",
        "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(spec.memory),
        "AWS_LAMBDA_FUNCTION_NAME": spec.name,
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
        "AWS_LAMBDA_LOG_GROUP_NAME": log_group(spec),
        "AWS_LAMBDA_LOG_STREAM_NAME": "local",
        "AWS_REGION": REGION,
        "LAMBDA_TASK_ROOT": str(task_root),
        "TZ": ":UTC",
    }
