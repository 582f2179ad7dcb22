"""Functions with handlers of the tests' own, in real processes."""

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from local.cloudformation.resources import FunctionSpec
from local.lambdas import environment
from local.lambdas.environment import Endpoints
from local.lambdas.functions import Function

HANDLERS = """
import json, os, signal, sys, time

def handler(event, context):
    if "print" in event:
        print(event["print"])
    if "sleep" in event:
        time.sleep(event["sleep"])
    if "raise" in event:
        raise ValueError(event["raise"])
    if "die" in event:
        os.kill(os.getpid(), signal.SIGKILL)
    if "exit" in event:
        os._exit(event["exit"])
    if "large" in event:
        return "x" * event["large"]
    if "wait_for" in event:
        while not os.path.exists(event["wait_for"]):
            time.sleep(0.01)
    return {
        "pid": os.getpid(),
        "event": event,
        "environment": dict(os.environ),
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }
"""


def spec(handler: str = "handlers.handler", **fields: Any) -> FunctionSpec:
    values: dict[str, Any] = {
        "name": "shop-work",
        "arn": "arn:aws:lambda:eu-central-1:000000000000:function:shop-work",
        "handler": handler,
        "environment": {"STAGE": "dev"},
        "timeout": 10,
        "memory": 256,
        "reserved_concurrency": None,
        "async_retries": 0,
    }
    return FunctionSpec(**{**values, **fields})


@contextlib.asynccontextmanager
async def running(
    folder: Path, function: FunctionSpec | None = None, *, limit: int = 2, lines: list[str] | None = None
) -> AsyncIterator[Function]:
    """A function whose handlers are in `folder`; its output goes to `lines`."""
    (folder / "handlers.py").write_text(HANDLERS)
    endpoints = Endpoints(sqs="http://127.0.0.1:1", aws="http://127.0.0.1:1", lambda_api="http://127.0.0.1:1")
    made = function or spec()
    variables = environment.of_function(made, endpoints=endpoints, database_url="", task_root=folder)
    output = (lines if lines is not None else []).append
    subject = Function(made, environment=variables, root=folder, limit=limit, output=output)
    try:
        yield subject
    finally:
        await subject.close()
