"""Rows from lines. A line, or a row of it, that is not as adapters/measuring.py writes them is skipped."""

import json
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from typing import Any
from uuid import UUID

from functions.domain.partitions import made_at

Row = dict[str, Any]

# CloudWatch Logs tries for a day to deliver a line, and Lambda for six hours more to run it
# (https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Subscriptions.html): what is much older, or of a time
# to come, is no metric, and would lie where no partition is.
OLDEST = timedelta(days=7)
AHEAD = timedelta(hours=1)


@dataclass
class Found:
    requests: list[Row] = field(default_factory=list)
    operations: list[Row] = field(default_factory=list)
    skipped: int = 0  # lines and rows; and what a line says it had to drop


class NoMetricError(Exception):
    """What is there is none of our rows."""


def of(messages: Iterable[str]) -> Found:
    """Every row that the messages have, each once."""
    found, now = Found(), datetime.now(UTC)
    for message in messages:
        try:
            told = json.loads(message)
            kind, make = READERS[told["metric"]]
            function, packed = str(told["function"]), told[SOURCES.get(told["metric"], "rows")]
        except (KeyError, TypeError, ValueError):
            found.skipped += 1
            continue
        dropped = told.get("dropped", 0)
        found.skipped += dropped if isinstance(dropped, int) else 0
        for one in packed if isinstance(packed, list) else ():
            try:
                getattr(found, kind).append(make(one, function, now))
            except (NoMetricError, KeyError, TypeError, ValueError, AttributeError, OverflowError):
                found.skipped += 1
    found.requests, found.operations = _once(found.requests), _once(found.operations)
    return found


def _once(rows: list[Row]) -> list[Row]:
    """In the order of their keys, in which two invocations with the same rows do not stand in each other's way."""
    return [row for _, row in sorted({row["id"]: row for row in rows}.items())]


def _request(packed: Sequence[Any], _function: str, now: datetime) -> Row:
    id, method, path, status, ms, request_id, client_ip, user_agent, project_id = packed
    return {
        **_made(id, now),
        "method": _text(method, 10),
        "path": _text(path, 500),
        "status_code": _status(status),
        "duration_ms": _ms(ms),
        "request_id": _text(request_id, 100),
        "client_ip": _address(client_ip),
        "user_agent": _maybe(user_agent, 500),
        "project_id": _uuid(project_id),
    }


def _operation(packed: Sequence[Any], function: str, now: datetime) -> Row:
    id, type_, name, ms, error, request_id, job_id, url, project_id, counts = packed
    return {
        **_made(id, now),
        "operation_type": _text(type_, 50),
        "operation_name": _text(name, 100),
        "duration_ms": _ms(ms),
        "success": error is None,
        "error_message": _maybe(error, 500),
        "request_id": _maybe(request_id, 100),
        "job_id": _maybe(job_id, 100),
        "document_url": _maybe(url, 500),
        "project_id": _uuid(project_id),
        "extra_metadata": {"function": function[:50], **_numbers(counts or {})},
    }


def _query(figures: dict[str, Any], function: str, now: datetime) -> Row:
    """What one process asked under one name since it last said so: `duration_ms` is the mean."""
    count, errors = int(figures["count"]), int(figures["errors"])
    if count < 1:
        raise NoMetricError
    kept = ("count", "errors", "retries", "slow", "total_ms", "p50_ms", "p95_ms", "p99_ms", "max_ms")
    return {
        **_made(figures["id"], now),
        "operation_type": "query",
        "operation_name": _text(figures["name"], 100),
        "duration_ms": _ms(round(figures["total_ms"] / count, 3)),
        "success": errors == 0,
        "error_message": f"{errors} of {count} failed" if errors else None,
        "extra_metadata": {"function": function[:50], **_numbers({name: figures[name] for name in kept})},
    }


Reader = Callable[[Any, str, datetime], Row]
READERS: dict[str, tuple[str, Reader]] = {
    "requests": ("requests", _request),
    "operations": ("operations", _operation),
    "statements": ("operations", _query),
}
SOURCES = {"statements": "statements"}


def _made(id: str, now: datetime) -> Row:
    """A row's key has its time in it: when what it tells of began."""
    key = UUID(id)
    at = made_at(id)
    if key.version != 7 or not now - OLDEST <= at <= now + AHEAD:
        raise NoMetricError
    return {"id": str(key), "timestamp": at.isoformat()}


def _text(value: Any, most: int) -> str:
    """Without what Postgres does not take as text."""
    if not isinstance(value, str) or not value:
        raise NoMetricError
    return value.replace("\x00", "").encode("utf-8", "replace").decode()[:most] or "?"


def _maybe(value: Any, most: int) -> str | None:
    return None if value is None else _text(value, most)


def _ms(value: Any) -> float:
    ms = float(value)
    if not 0 <= ms < math.inf:
        raise NoMetricError
    return ms


def _status(value: Any) -> int:
    if not isinstance(value, int) or not 100 <= value <= 599:
        raise NoMetricError
    return value


def _address(value: Any) -> str | None:
    return None if value is None else str(ip_address(value))


def _uuid(value: Any) -> str | None:
    return None if value is None else str(UUID(value))


def _numbers(counts: dict[str, Any]) -> dict[str, float]:
    return {
        str(name)[:50]: value
        for name, value in list(counts.items())[:20]
        if isinstance(value, int | float) and math.isfinite(value)
    }
