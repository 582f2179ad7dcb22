"""What tests of the figures share: the job as the function runs it, and what it leaves behind."""

import json
import time
from collections.abc import Callable
from typing import Any

from functions.maintain import handler as maintain
from tests.integration.conftest import Context, Service


def gauges() -> dict[str, int]:
    return maintain.handler({"job": "gauges"}, Context())


def newest(service: Service) -> dict[str, Any]:
    """The newest report as it is kept."""
    ((kept,),) = service.sql.run("SELECT figures::text FROM webhook.reports ORDER BY made_at DESC LIMIT 1")
    return dict(json.loads(kept))


def table(report: dict[str, Any], name: str) -> dict[str, Any]:
    [found] = [one for one in report["tables"] if one["name"] == name]
    return dict(found)


def codes(report: dict[str, Any]) -> set[str]:
    return {one["code"] for one in report["problems"]}


def eventually(holds: Callable[[], bool], what: str, seconds: float = 20) -> None:
    """Wait until it holds: sessions write their statistics when they end, which nobody is told of."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"never: {what}"
        time.sleep(0.02)
