"""Sources of the tests' project, and what is posted to them, as the gateway calls the receive function."""

import base64
import hashlib
import hmac
import json
from typing import Any
from uuid import uuid4

from functions.receive import handler as receive
from tests.integration.conftest import Answer, Context, Service

GITHUB_SECRET = "It's a Secret to Everybody"
TABLES = (
    *("webhook_events", "webhook_event_ids", "webhook_deliveries", "change_events", "crawl_sessions"),
    *("crawl_pages", "idempotency_keys"),
)
COUNTS = "SELECT {}".format(", ".join(f"(SELECT count(*) FROM webhook.{table})" for table in TABLES))


def source(service: Service, kind: str = "github", **values: Any) -> dict[str, Any]:
    """A new one, as the API answers."""
    usual: dict[str, Any] = {"kind": kind, "name": kind}
    if kind == "github":
        usual["secret"] = GITHUB_SECRET
    answer = service.client("POST", "/v1/sources", usual | values)
    assert answer.status == 201, answer.body
    return dict(answer.body)


def secret_of(service: Service, source: dict[str, Any]) -> str:
    return str(service.client("GET", f"/v1/sources/{source['id']}/secret").body["secret"])


def post(
    source_id: str,
    body: bytes,
    headers: dict[str, str] | None = None,
    *,
    query: dict[str, str] | None = None,
    method: str = "POST",
    address: str = "127.0.0.1",
    as_text: bool = True,
) -> Answer:
    """What a sender is answered. `as_text` as the gateway hands on JSON, else as base64."""
    path = f"/in/{source_id}"
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": "ANY /in/{source_id}",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {"content-type": "application/json", **{k.lower(): v for k, v in (headers or {}).items()}},
        "pathParameters": {"source_id": source_id},
        "requestContext": {
            "requestId": uuid4().hex,
            "stage": "$default",
            "http": {"method": method, "path": path, "sourceIp": address, "protocol": "HTTP/1.1"},
        },
        "body": body.decode() if as_text else base64.b64encode(body).decode(),
        "isBase64Encoded": not as_text,
    }
    if query:
        event["queryStringParameters"] = query
    answered = receive.handler(event, Context())
    text = answered["body"]
    return Answer(answered["statusCode"], answered["headers"], json.loads(text) if text else "")


def github(
    body: bytes, event: str = "push", delivery: str = "72d3162e", secret: str = GITHUB_SECRET
) -> dict[str, str]:
    """The headers of a delivery."""
    return {
        "x-github-event": event,
        "x-github-delivery": delivery,
        "user-agent": "GitHub-Hookshot/044aadd",
        "x-hub-signature-256": "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest(),
    }


def rows(service: Service) -> list[int]:
    """How many rows there are of all that a request may leave."""
    return list(service.sql.run(COUNTS)[0])
