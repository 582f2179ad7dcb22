"""`python -m local.invoke`: run one function of the running stack by hand."""

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config

from local.cloudformation.template import REGION
from local.processes import ROOT

if TYPE_CHECKING:
    from mypy_boto3_lambda import LambdaClient

STACK_FILE = ROOT / ".local" / "stack.json"
MOST_SECONDS = 910  # a function may take 15 minutes; an invocation that is waited for is not begun again


def main() -> int:
    """Print the function's answer. Returns the exit status: 0 when the function succeeded."""
    arguments = _arguments()
    if not arguments.stack_file.exists():
        print("nothing runs here: start it with `make run` or `python -m local`", file=sys.stderr)
        return 1
    stack = json.loads(arguments.stack_file.read_text())
    names = [name for name in stack["functions"] if name.endswith(f"-{arguments.function}")]
    if not names:
        print(f"no function {arguments.function}; there are {', '.join(stack['functions'])}", file=sys.stderr)
        return 1
    payload = json.dumps({**arguments.event, **arguments.parameters}).encode()
    answer = _client(stack).invoke(FunctionName=names[0], Payload=payload)
    answered = answer["Payload"].read().decode()
    if "FunctionError" not in answer:
        print(answered)
        return 0
    error = json.loads(answered)
    print(f"{error.get('errorType')}: {error.get('errorMessage')}", file=sys.stderr)
    print(f"where it happened is in {stack['log_file']}", file=sys.stderr)
    return 1


def _client(stack: dict[str, Any]) -> "LambdaClient":
    return boto3.client(
        "lambda",
        endpoint_url=stack["lambda_url"],
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        config=Config(read_timeout=MOST_SECONDS, retries={"total_max_attempts": 1}),
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m local.invoke", description="Run one function of the stack.")
    parser.add_argument("function", help="its name without the stack's, such as dispatch")
    parser.add_argument("event", nargs="?", default={}, type=_json, help="a JSON object ({})")
    parser.add_argument("--parameters", default={}, type=_json, help="a JSON object that the event gets, too ({})")
    parser.add_argument("--stack-file", type=Path, default=STACK_FILE, help="(%(default)s)")
    return parser.parse_args()


def _json(text: str) -> dict[str, Any]:
    """Raises argparse.ArgumentTypeError for what is no JSON object."""
    try:
        value = json.loads(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text}: {error}") from error
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"{text} is no JSON object")
    return value


if __name__ == "__main__":
    sys.exit(main())
