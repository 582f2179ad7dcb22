"""Whole invocations through Lambda's Invoke: the first of a new process, and one after it."""

import json
import os
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config

from bench.cold_start.functions import REGION, Function
from local.demo import stack
from local.demo.stack import Stack

NOTICE_SECONDS = 10.0
UNKNOWN_DELIVERY = "01900000-0000-7000-8000-000000000000"


class InvocationError(RuntimeError):
    """A function answered with an error: what was timed is not what was meant."""


@dataclass(frozen=True)
class Invocation:
    """In ms, as the caller sees it. `cold` has the start of a process, its imports and its first connections."""

    cold: float
    warm: float


def payloads(running: Stack) -> dict[str, dict[str, Any]]:
    """By a function's short name, something that makes it go to its database and leaves nothing behind."""
    http = {"method": "GET", "path": "/health", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": ""}
    request = {
        "version": "2.0",
        "rawPath": "/health",
        "rawQueryString": "",
        "headers": {},
        "isBase64Encoded": False,
    }
    context = {"http": http, "stage": "$default", "requestId": "bench"}
    message = {
        "messageId": "bench",
        "receiptHandle": "bench",
        "eventSourceARN": f"arn:aws:sqs:{REGION}:000000000000:bench",
        "body": json.dumps({"v": 1, "deliveries": [[UNKNOWN_DELIVERY, 1]]}),
    }
    return {
        "api": {**request, "routeKey": "$default", "requestContext": context},
        "authorizer": {"version": "2.0", "headers": {"authorization": f"Bearer {running.api_key}"}},
        "deliver": {"Records": [message]},
        "dispatch": {},
        "maintain": {"job": "partitions"},
        "migrate": {},
    }


def measure(function: Function, stack_file: Path, *, repeat: int) -> Invocation | None:
    """Medians; None for a function that there is no harmless event for.

    Ends the function's processes, so the service must be one's own. Raises InvocationError, StackError.
    """
    event = payloads(stack.read(stack_file)).get(function.short_name)
    if event is None:
        return None
    invoke = _caller(function, stack.read(stack_file), event)
    invoke()  # so that there is a process to end, and the client has its connection
    cold, warm = [], []
    for _ in range(repeat):
        _end_processes(function, stack_file)
        cold.append(invoke())
        warm.append(invoke())
    return Invocation(cold=statistics.median(cold), warm=statistics.median(warm))


def _caller(function: Function, running: Stack, event: dict[str, Any]) -> Callable[[], float]:
    client = boto3.client(
        "lambda",
        endpoint_url=running.lambda_url,
        region_name=REGION,
        aws_access_key_id="local",
        aws_secret_access_key="local",  # noqa: S106 - checked by nobody
        config=Config(retries={"total_max_attempts": 1}, read_timeout=60),
    )

    def invoke() -> float:
        began = time.perf_counter()
        answer = client.invoke(FunctionName=function.name, Payload=json.dumps(event))
        payload, took = answer["Payload"].read(), (time.perf_counter() - began) * 1000
        said = json.loads(payload)
        if "FunctionError" in answer or (isinstance(said, dict) and said.get("batchItemFailures")):
            raise InvocationError(f"{function.name} failed: {payload.decode()}")
        return took

    return invoke


def _end_processes(function: Function, stack_file: Path) -> None:
    """And wait until the service knows; of a process that has just started it knows a moment later."""
    for pid in _await_processes(function, stack_file, there=True):
        os.kill(pid, signal.SIGKILL)
    _await_processes(function, stack_file, there=False)


def _await_processes(function: Function, stack_file: Path, *, there: bool) -> list[int]:
    deadline = time.monotonic() + NOTICE_SECONDS
    while time.monotonic() < deadline:
        pids = stack.read(stack_file).processes[function.short_name]
        if bool(pids) == there:
            return pids
        time.sleep(0.05)
    raise InvocationError(f"{function.name} has {'no' if there else 'still'} processes after {NOTICE_SECONDS:g} s")
