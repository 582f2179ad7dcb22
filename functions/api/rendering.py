"""Answers: JSON bodies in one style, errors in one shape."""

import json
from datetime import UTC, datetime
from typing import Any

from aws_lambda_powertools.event_handler import Response

from functions.errors import ApiError, problem

JSON = "application/json"


def to_json(value: Any) -> str:
    return json.dumps(value, default=_rendered, ensure_ascii=False, separators=(",", ":"))


def answer(status: int, body: Any, *, version: int | None = None) -> Response[str]:
    """`body` is a JSON value, or JSON text as it stands; `version` becomes the ETag."""
    headers: dict[str, str | list[str]] = {} if version is None else {"etag": f'"{version}"'}
    return Response(status, JSON, body if isinstance(body, str) else to_json(body), headers=headers)


def result(response: Response[str]) -> dict[str, Any]:
    """What the function returns for an answer that no route gave."""
    headers = {**response.headers, **({"Content-Type": JSON} if response.body else {})}
    return {"statusCode": response.status_code, "headers": headers, "body": response.body}


def no_content() -> Response[str]:
    return Response(204, body="")


def error_body(error: ApiError, request_id: str) -> str:
    return to_json(problem(error, request_id))


def rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _rendered(value: object) -> str:
    """Times in RFC 3339, UTC; ids and addresses as text."""
    return rfc3339(value) if isinstance(value, datetime) else str(value)
