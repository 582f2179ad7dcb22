"""What stands in the document's examples: one small story of invoices, told alike everywhere."""

from typing import Any

NOW = "2026-11-20T12:12:56.774335Z"
EARLIER = "2026-11-20T12:00:00Z"
ID = "01a1f8df-c445-7d27-83ba-de6472adf856"
EVENT = "01a1f8e0-9b58-7f26-819b-160de59a8144"
DELIVERY = "01a1f8e0-9b5a-7c15-9287-bd4e57d2a2a2"
KEY = "01a1f8de-d400-774d-b0f1-c69bd9c4973b"
APPLICATION = "01a1f8df-4b1a-7ab1-a2fc-8e4f70ddeb02"

FIELDS: dict[str, Any] = {  # by a field's name, where the field gives no example itself
    "application_id": APPLICATION,
    "attempts": 1,
    "attempt_number": 1,
    "correlation_id": "checkout-7781",
    "created_by": KEY,
    "created_after": EARLIER,
    "Event.data": {"invoice": "1042", "amount": 129.90, "currency": "EUR"},
    "EventIn.data": {"invoice": "1042", "amount": 129.90, "currency": "EUR"},
    "Project.name": "billing",
    "ApiKey.name": "ci",
    "NewApiKey.name": "ci",
    "NewApiKey.key": "hl_vScKyj5qCTKA_v7RVRjfT7WjtKU2Q9xg8MdFy35Vk0QRtstKcbDtO",
    "ApiKey.scopes": ["events:write", "events:read"],
    "NewApiKey.scopes": ["events:write", "events:read"],
    "Event.type": "invoice.paid",
    "AcceptedEvent.type": "invoice.paid",
    "delivery_id": DELIVERY,
    "description": "The billing team's endpoint",
    "error": None,
    "event_id": EVENT,
    "event_type": "invoice.paid",
    "expires_at": "2027-01-01T00:00:00Z",
    "external_id": "inv-1042-paid",
    "failure_count": 0,
    "max_attempts": 6,
    "key_id": KEY,
    "last_error": None,
    "last_failure_at": None,
    "last_response_status": 200,
    "last_success_at": NOW,
    "message": "the endpoint answered 503",
    "name": "orders",
    "next_cursor": "AaH44JxFfRKxoBZ8pxs5_g",
    "occurred_at": EARLIER,
    "prefix": "vScKyj5qCTKA",
    "project_id": "01a1f8df-438a-70d0-b84b-f13e600bccc7",
    "remote_address": "203.0.113.7",
    "request_headers": {"content-type": "application/json", "webhook-id": EVENT},
    "request_id": "XMe3rdDA4xVO8yU=",
    "response_body": "ok",
    "response_headers": {"content-type": "text/plain"},
    "response_status": 200,
    "response_time_ms": 42,
    "revoked_at": None,
    "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    "timeout_seconds": 15,
    "updated_by": KEY,
    "webhooks_matched": 1,
}
FORMATS = {"uuid": ID, "date-time": NOW, "uri": "https://example.com/hooks"}
MODELS: dict[str, Any] = {  # whole, where fields alone would make no sense
    "Error": {"code": "http_503", "message": "the endpoint answered 503"},
}
PARAMETERS: dict[str, Any] = {  # a query that finds something
    "limit": 50,
    "event_id": EVENT,
    "cursor": "AaH44JxFfRKxoBZ8pxs5_g",
    "type": "invoice.paid",
    "webhook_id": ID,
}

INVOICE = {"type": "invoice.paid", "id": "inv-1042-paid", "data": FIELDS["Event.data"]}
REQUESTS: dict[str, Any] = {  # by operation, each as a person would send it
    "create_project": {"example": {"value": {"name": "billing"}}},
    "create_api_key": {
        "sender": {
            "summary": "A key that only sends events",
            "value": {"name": "ci", "scopes": ["events:write"]},
        },
        "everything": {"summary": "A key that may do everything", "value": {"name": "operator", "scopes": ["*"]}},
    },
    "create_webhook": {
        "least": {"summary": "Every event", "value": {"name": "all", "url": "https://example.com/hooks"}},
        "chosen": {
            "summary": "Some event types",
            "value": {
                "name": "orders",
                "url": "https://example.com/hooks",
                "event_types": ["invoice.*", "order.shipped"],
                "timeout_seconds": 5,
            },
        },
    },
    "change_webhook": {
        "change": {"summary": "A shorter timeout", "value": {"timeout_seconds": 5}},
        "clear": {"summary": "No description any more", "value": {"description": None}},
    },
    "create_subscription": {"example": {"value": {"event_type": "order.shipped"}}},
    "send_event": {"example": {"value": INVOICE}},
    "send_events": {
        "example": {"value": {"events": [INVOICE, {"type": "order.shipped", "data": {"order": "A-7"}}]}}
    },
}

WRONG = [{"path": "events.1.type", "message": "must be dot-separated parts of letters, digits, _ and -"}]
ERRORS: dict[str, tuple[str, str, list[dict[str, str]]]] = {
    "BadRequest": ("bad_request", "the body is not JSON: Expecting value at line 1 column 1", []),
    "Unauthorized": (
        "unauthorized",
        "the API key is unknown, expired or revoked: send `Authorization: Bearer <key>`",
        [],
    ),
    "Forbidden": ("forbidden", "the API key lacks the scope webhooks:write", []),
    "NotFound": ("not_found", "there is no such webhook", []),
    "Conflict": (
        "idempotency_key_reused",
        "this Idempotency-Key was used for another request in the last 24 hours",
        [],
    ),
    "PreconditionFailed": (
        "precondition_failed",
        "it was changed since you read it; read it again and apply your change to what is there",
        [],
    ),
    "PayloadTooLarge": ("payload_too_large", "the body is larger than 1048576 bytes", []),
    "UnsupportedMediaType": (
        "unsupported_media_type",
        "the body must be JSON: send `content-type: application/json`",
        [],
    ),
    "InvalidRequest": ("invalid_request", "the request is not valid; `details` say where", WRONG),
    "InternalError": (
        "internal_error",
        "something went wrong on our side; it is logged under the request_id",
        [],
    ),
    "Unavailable": (
        "unavailable",
        "the database cannot be reached; send the same again, under the same id or Idempotency-Key",
        [],
    ),
}
REFUSALS = {  # what the gateway itself says
    "Unauthorized": "Unauthorized",
    "PayloadTooLarge": "Request Entity Too Large",
    "TooManyRequests": "Too Many Requests",
    "InternalError": "Internal Server Error",
    "Unavailable": "Service Unavailable",
}
