"""`python -m local.restore`: bring archived days of the running stack back, however many invocations it takes."""

import argparse
import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from local.cloudformation.template import REGION
from local.invoke import STACK_FILE

PAUSE_SECONDS = 2.0  # somebody else is at work on the same tables
# An invocation takes as long as Lambda lets it, and is never sent twice.
CONFIG = Config(read_timeout=930, retries={"total_max_attempts": 1})

Invoke = Callable[[dict[str, Any]], dict[str, Any]]


class FailedError(Exception):
    """The function answered with an error."""


def main() -> int:
    """Say how far it is until it is done. Returns the exit status: 0 when everything is back and attached."""
    arguments = _arguments()
    if not arguments.stack_file.exists():
        print("nothing runs here: start it with `make run` or `python -m local`", file=sys.stderr)
        return 1
    event = {"job": "restore", "from": arguments.first, "to": arguments.last, "days": arguments.days}
    if arguments.table:
        event["tables"] = arguments.table
    try:
        answer = until_done(_invoke(json.loads(arguments.stack_file.read_text())), event)
    except FailedError as error:
        print(error, file=sys.stderr)
        return 1
    return report(answer)


def until_done(
    invoke: Invoke, event: dict[str, Any], pause: Callable[[float], None] = time.sleep
) -> dict[str, Any]:
    """Invoke again and again: each invocation goes on where the last one ended. Raises FailedError."""
    rows = 0
    while True:
        answer = invoke(event)
        rows += answer.get("rows", 0)
        if answer.get("done"):
            return {**answer, "rows": rows}
        if "skipped" in answer:
            print("another restore is under way, waiting for it")
        else:
            print(f"{answer['loaded']} of {answer['parts']} files loaded, {rows} rows so far")
        if "skipped" in answer or answer["busy"]:
            pause(PAUSE_SECONDS)


def report(answer: dict[str, Any]) -> int:
    """Print what came of it. Returns the exit status."""
    if not answer["archives"]:
        print("no archives of these days: they are still in the database, or never had anything")
    else:
        print(
            f"{answer['restored']} of {answer['archives']} partitions are back, {answer['rows']} rows were loaded"
        )
    if answer["not_compared"]:
        print(f"{answer['not_compared']} files have columns that are gone: their rows were counted, not compared")
    for one in answer["beside"]:
        print(f"not attached, query it by its name: {one['table']}: {one['reason']}", file=sys.stderr)
    for said in answer["damaged"]:
        print(f"damaged: {said}", file=sys.stderr)
    return 1 if answer["beside"] or answer["damaged"] else 0


def _invoke(stack: dict[str, Any]) -> Invoke:
    client = boto3.client(
        "lambda",
        endpoint_url=stack["lambda_url"],
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - nobody checks it
        config=CONFIG,
    )
    (name,) = (name for name in stack["functions"] if name.endswith("-maintain"))

    def invoke(event: dict[str, Any]) -> dict[str, Any]:
        answer = client.invoke(FunctionName=name, Payload=json.dumps(event).encode())
        payload: dict[str, Any] = json.loads(answer["Payload"].read())
        if "FunctionError" in answer:
            raise FailedError(payload.get("errorMessage", "the function failed"))
        return payload

    return invoke


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m local.restore",
        description="Bring archived days back beside the live ones, check them, and keep them for a while.",
    )
    parser.add_argument("first", help="the first day, such as 2026-08-01 (UTC)")
    parser.add_argument("last", help="the last day")
    parser.add_argument("--days", type=int, default=7, help="how long they stay (%(default)s)")
    parser.add_argument("--table", action="append", help="only this table; may be given several times")
    parser.add_argument("--stack-file", type=Path, default=STACK_FILE, help="(%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
