"""Lines of the functions' logs on their way to the metrics function, and what is stored of them."""

import base64
import gzip
import json
from collections.abc import Sequence
from typing import Any

import pytest

from functions.adapters import measuring, timing
from functions.domain.ids import uuid7
from functions.metrics import handler as metrics
from tests.integration.conftest import Context, Service

KINDS = ("requests", "operations", "statements")


def batch(messages: Sequence[str], kind: str = "DATA_MESSAGE") -> dict[str, Any]:
    """As CloudWatch Logs sends them."""
    told = {
        "messageType": kind,
        "owner": "000000000000",
        "logGroup": "/aws/lambda/hookline-dev-api",
        "logStream": "2026/11/21/[$LATEST]",
        "subscriptionFilters": ["metrics"],
        "logEvents": [{"id": str(n), "timestamp": n, "message": one} for n, one in enumerate(messages)],
    }
    return {"awslogs": {"data": base64.b64encode(gzip.compress(json.dumps(told).encode())).decode()}}


def lines_of(capsys: pytest.CaptureFixture[str]) -> list[str]:
    """What was written since the last look, of what the subscription takes."""
    read = [one for one in capsys.readouterr().out.splitlines() if one.startswith('{"metric":')]
    return [one for one in read if json.loads(one)["metric"] in KINDS]


def store(messages: Sequence[str]) -> dict[str, int]:
    """Invoke the function with these lines."""
    return metrics.handler(batch(messages), Context())


def rows(service: Service, table: str, columns: str = "*", where: str = "true") -> list[list[Any]]:
    return list(service.sql.run(f"SELECT {columns} FROM webhook.{table} WHERE {where} ORDER BY id"))


def request_line(count: int = 1, **changes: Any) -> str:
    """A line of so many requests."""
    return measuring.line("requests", "api", [request_row(**changes) for _ in range(count)])


def request_row(**changes: Any) -> tuple[Any, ...]:
    row = {
        "id": uuid7(),
        "method": "POST",
        "path": "/v1/events",
        "status": 202,
        "duration_ms": 4.25,
        "request_id": "r-1",
        "client_ip": "203.0.113.9",
        "user_agent": "billing/2.3",
        "project_id": None,
    }
    return tuple((row | changes).values())


def operation_row(**changes: Any) -> tuple[Any, ...]:
    row = {
        "id": uuid7(),
        "operation_type": "claim",
        "operation_name": "deliver.claim",
        "duration_ms": 3.5,
        "error": None,
        "request_id": "r-1",
        "job_id": None,
        "document_url": None,
        "project_id": None,
        "counts": {"claimed": 2},
    }
    return tuple((row | changes).values())


def operation_line(count: int = 1, **changes: Any) -> str:
    return measuring.line("operations", "deliver", [operation_row(**changes) for _ in range(count)])


def say_statements(capsys: pytest.CaptureFixture[str], function: str = "api") -> str:
    """The line of figures of this process, as of now."""
    capsys.readouterr()
    timing.say(function)
    (line,) = lines_of(capsys)
    return line
