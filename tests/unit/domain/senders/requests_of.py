"""Requests as the senders make them: signed here by what they publish, not by the code that is to verify them."""

import base64
import hashlib
import hmac
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from functions.domain.senders.base import Kind, Received, Source

NOW = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


def source(kind: Kind, **values: Any) -> Source:
    usual: dict[str, Any] = {
        "id": "01a1f8df-c445-7d27-83ba-de6472adf856",
        "project_id": "01a1f8df-438a-70d0-b84b-f13e600bccc7",
        "application_id": None,
        "environment": None,
        "verification": {},
        "event_types": {},
        "replay_window_seconds": 300,
        "rescrape": None,
    }
    return Source(kind=kind, **(usual | values))


def received(body: bytes, at: datetime = NOW, query: dict[str, str] | None = None, **headers: str) -> Received:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Received({"content-type": "application/json", **named}, body, at, query or {})


def with_header(request: Received, name: str, value: str) -> Received:
    return replace(request, headers={**request.headers, name: value})


def github(body: bytes, secret: str, **headers: str) -> Received:
    signature = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return received(body, x_hub_signature_256=f"sha256={signature}", **headers)


def stripe(body: bytes, secret: str, at: datetime = NOW) -> Received:
    timestamp = int(at.timestamp())
    signature = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256).hexdigest()
    return received(body, stripe_signature=f"t={timestamp},v1={signature}")


def slack_like(body: bytes, secret: str, at: datetime = NOW) -> Received:
    timestamp = int(at.timestamp())
    signed = f"v0:{timestamp}:".encode() + body
    signature = hmac.new(secret.encode(), signed, hashlib.sha256).hexdigest()
    return received(body, x_slack_signature=f"v0={signature}", x_slack_request_timestamp=str(timestamp))


def shopify_like(body: bytes, secret: str, **headers: str) -> Received:
    digest = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    return received(body, x_shopify_hmac_sha256=base64.b64encode(digest).decode(), **headers)


SLACK: dict[str, Any] = {
    "header": "X-Slack-Signature",
    "algorithm": "sha256",
    "encoding": "hex",
    "prefix": "v0=",
    "timestamp_header": "X-Slack-Request-Timestamp",
    "signed": "v0:{timestamp}:{body}",
    "type_field": "type",
}
SHOPIFY: dict[str, Any] = {
    "header": "X-Shopify-Hmac-SHA256",
    "algorithm": "sha256",
    "encoding": "base64",
    "prefix": "",
    "signed": "{body}",
    "id_header": "X-Shopify-Webhook-Id",
    "type_header": "X-Shopify-Topic",
    "type_field": "type",
}
