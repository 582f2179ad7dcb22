"""Examples of request bodies, by operation: each as a person would send it, the plainest first.

What is not here is composed from the fields of its schema (examples.py).
"""

from typing import Any

from functions.api.openapi.example_values import EARLIER, FIELDS, ID

INVOICE = {"type": "invoice.paid", "id": "inv-1042-paid", "data": FIELDS["Event.data"]}
INVOICE_SCHEMA = {
    "type": "object",
    "properties": {"invoice": {"type": "string"}, "amount": {"type": "number", "minimum": 0}},
    "required": ["invoice", "amount"],
}
LARGE = {"amount": {"gt": 100}}
ASKED_FIRST = {"summary": "How many that would be", "value": {"since": EARLIER, "dry_run": True}}


def _one(value: Any) -> dict[str, Any]:
    return {"example": {"value": value}}


REQUESTS: dict[str, dict[str, Any]] = {
    "change_application": _one({"name": "Acme Ltd."}),
    "change_event_type": {
        "describe": {"summary": "Another description", "value": {"description": "An invoice was paid in full"}},
        "archive": {"summary": "Not to be used any more", "value": {"archived": True}},
        "schema": {"summary": "A new version of its schema", "value": {"schema": INVOICE_SCHEMA}},
    },
    "change_project": {
        "rename": {"summary": "Another name", "value": {"name": "billing"}},
        "validate": {"summary": "Refuse events that do not fit their schema", "value": {"validation": "enforce"}},
        "forget": {"summary": "Events for a week only", "value": {"retention": {"events": 7}}},
        "keep": {"summary": "Everything for as long as others", "value": {"retention": None}},
    },
    "change_source": {
        "types": {"summary": "Other event types", "value": {"event_types": {"push": "code.pushed"}}},
        "off": {"summary": "Nothing for now", "value": {"enabled": False}},
        "from": {"summary": "From these networks only", "value": {"ip_allowlist": ["192.30.252.0/22"]}},
    },
    "change_subscription": {
        "filter": {"summary": "Large invoices only", "value": {"filter": LARGE}},
        "all": {"summary": "No filter any more", "value": {"filter": None}},
        "off": {"summary": "Nothing for now", "value": {"enabled": False}},
    },
    "change_webhook": {
        "change": {"summary": "A shorter timeout", "value": {"timeout_seconds": 5}},
        "clear": {"summary": "No description any more", "value": {"description": None}},
        "strategy": {
            "summary": "Other delays",
            "value": {"max_attempts": 4, "retry_strategy": {"kind": "custom", "delays_seconds": [5, 60, 3600]}},
        },
        "order": {"summary": "One event at a time, in order", "value": {"ordering": "strict"}},
        "auth": {"summary": "A token for the endpoint", "value": {"auth": {"type": "bearer", "token": "t-1"}}},
    },
    "create_api_key": {
        "sender": {
            "summary": "A key that only sends events",
            "value": {"name": "ci", "scopes": ["events:write"]},
        },
        "everything": {"summary": "A key that may do everything", "value": {"name": "operator", "scopes": ["*"]}},
    },
    "create_application": {
        "least": {"summary": "A name alone", "value": {"name": "Acme Ltd."}},
        "named": {"summary": "Under a name of your own", "value": {"name": "Acme Ltd.", "uid": "acme"}},
    },
    "create_event_type": {
        "least": {"summary": "A name alone", "value": {"name": "order.shipped"}},
        "whole": {
            "summary": "With a schema that events can be held to",
            "value": {
                "name": "invoice.paid",
                "description": "An invoice was paid",
                "schema": INVOICE_SCHEMA,
                "examples": [{"invoice": "1042", "amount": 129.90}],
            },
        },
    },
    "create_project": _one({"name": "billing"}),
    "create_source": {
        "least": {
            "summary": "GitHub, with a secret that is made",
            "value": {"kind": "github", "name": "repository"},
        },
        "hmac": {
            "summary": "A sender that signs a time and the body",
            "value": {
                "kind": "generic_hmac",
                "name": "shop",
                "secret": "what-the-shop-shows",
                "verification": {
                    "header": "x-shop-signature",
                    "prefix": "sha256=",
                    "timestamp_header": "x-shop-time",
                    "signed": "{timestamp}.{body}",
                    "id_header": "x-shop-delivery",
                },
                "event_types": {"order.*": "shop.order", "*": "shop.other"},
            },
        },
        "token": {
            "summary": "A sender that shows a token",
            "value": {
                "kind": "token",
                "name": "gitlab",
                "verification": {"in": "header", "name": "x-gitlab-token", "type_header": "x-gitlab-event"},
            },
        },
        "rescraped": {
            "summary": "changedetection.io; what changed is scraped again",
            "value": {
                "kind": "changedetection",
                "name": "prices",
                "rescrape": {"formats": ["markdown"], "concurrency": 2},
                "credentials": {"api_key": "fc-1234"},
            },
        },
    },
    "create_subscription": {
        "least": {"summary": "Every event of a type", "value": {"event_type": "order.shipped"}},
        "filtered": {"summary": "Some of them", "value": {"event_type": "invoice.*", "filter": LARGE}},
    },
    "create_webhook": {
        "least": {"summary": "Every event", "value": {"name": "all", "url": "https://example.com/hooks"}},
        "chosen": {
            "summary": "Some event types, with a header and a limit",
            "value": {
                "name": "orders",
                "url": "https://example.com/hooks",
                "event_types": ["invoice.*", "order.shipped"],
                "headers": {"x-tenant": "acme"},
                "rate_limit": {"requests": 50, "per_seconds": 1},
                "timeout_seconds": 5,
            },
        },
        "filtered": {
            "summary": "Large invoices only, retried every minute",
            "value": {
                "name": "large invoices",
                "url": "https://example.com/hooks",
                "event_types": ["invoice.paid"],
                "filter": LARGE,
                "retry_strategy": {"kind": "fixed", "delay_seconds": 60},
            },
        },
    },
    "discard_dead_letters": {
        "ask": {"summary": "How many that would be", "value": {"webhook_id": ID, "dry_run": True}},
        "do": {"summary": "All of a webhook", "value": {"webhook_id": ID, "notes": "the customer left"}},
    },
    "disable_webhook": {
        "least": {"summary": "Without a word", "value": {}},
        "reason": {"summary": "With a reason, for whoever finds it", "value": {"reason": "the customer left"}},
    },
    "expunge_project": {
        "ask": {"summary": "How many that would be", "value": {"before": EARLIER, "dry_run": True}},
        "do": {"summary": "All that is older", "value": {"before": EARLIER}},
    },
    "recover_webhook": {"ask": ASKED_FIRST, "do": {"summary": "Do it", "value": {"since": EARLIER}}},
    "redrive_dead_letters": {
        "ask": {"summary": "How many that would be", "value": {"webhook_id": ID, "dry_run": True}},
        "do": {"summary": "All of a webhook", "value": {"webhook_id": ID, "notes": "the endpoint is back"}},
    },
    "replay_event": {
        "all": {"summary": "To every webhook that wants it", "value": {}},
        "one": {"summary": "To one webhook", "value": {"webhook_id": ID}},
    },
    "replay_missing": {"ask": ASKED_FIRST, "do": {"summary": "Do it", "value": {"since": EARLIER}}},
    "retry_deliveries": {
        "ask": {"summary": "How many that would be", "value": {"webhook_id": ID, "dry_run": True}},
        "do": {"summary": "What failed since", "value": {"webhook_id": ID, "created_after": EARLIER}},
    },
    "rotate_secret": {
        "least": {"summary": "A new secret, both sign for a day", "value": {}},
        "ed25519": {
            "summary": "From now on ed25519, both sign for an hour",
            "value": {"algorithm": "ed25519", "overlap_seconds": 3600},
        },
    },
    "rotate_source_secret": {
        "least": {"summary": "A new secret, both are taken for a day", "value": {}},
        "given": {
            "summary": "The one that the sender shows, alone from now on",
            "value": {"secret": "whsec_5YAF0QTEsDM", "overlap_seconds": 0},
        },
    },
    "send_event": {
        "least": {"summary": "An event", "value": {"type": "order.shipped", "data": {"order": "A-7"}}},
        "named": {"summary": "Under an id of your own", "value": INVOICE},
    },
    "send_events": _one({"events": [INVOICE, {"type": "order.shipped", "data": {"order": "A-7"}}]}),
    "skip_delivery": _one({"notes": "the order was cancelled by telephone"}),
    "try_subscriptions": {
        "event": {
            "summary": "Which subscriptions would match",
            "value": {"type": "invoice.paid", "data": {"amount": 50}},
        },
        "filter": {"summary": "What a filter makes of it", "value": {"filter": LARGE, "data": {"amount": 50}}},
    },
    "send_test_event": {
        "least": {"summary": "Any event", "value": {}},
        "chosen": {"summary": "As if it were this one", "value": {"type": "invoice.paid", "data": {"amount": 1}}},
    },
}
