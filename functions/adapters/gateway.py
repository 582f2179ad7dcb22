"""What an HTTP API hands to a function (payload format 2.0), as far as more than one function reads it."""

import base64
import re
from typing import Any

CORRELATION_HEADER = "hookline-correlation-id"
CORRELATION_ID = re.compile(r"[A-Za-z0-9._:+/=-]{1,128}")  # also what API Gateway calls its requests


def request_id(event: dict[str, Any]) -> str:
    return str(event["requestContext"]["requestId"])


def correlation_id(event: dict[str, Any]) -> str:
    """The caller's own correlation id where it sent a usable one, else the request's id (E7)."""
    sent = event["headers"].get(CORRELATION_HEADER, "")
    return sent if CORRELATION_ID.fullmatch(sent) else request_id(event)


def source_ip(event: dict[str, Any]) -> str:
    return str(event["requestContext"]["http"].get("sourceIp", ""))


def raw_body(event: dict[str, Any]) -> bytes:
    """The bytes that were sent. Text reaches a function as it is, all else as base64."""
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode("utf-8", "surrogatepass")


def base_url(event: dict[str, Any]) -> str:
    """Where the API was asked: what its own URLs begin with."""
    headers = event["headers"]
    host = headers.get("host") or event["requestContext"].get("domainName", "")
    return f"{headers.get('x-forwarded-proto', 'https')}://{host}"
