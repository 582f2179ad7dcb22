"""A webhook with everything a webhook may have."""

from typing import Any

WHOLE: dict[str, Any] = {
    "name": "orders",
    "url": "http://127.0.0.1:9/hook",
    "event_types": ["invoice.*", "order.paid"],
    "filter": {"amount": {"gt": 100}},
    "description": "all of it",
    "environment": "production",
    "headers": {"X-Tenant": "acme", "X-Api-Key": "k-123", "x-thing": "Bearer b-456"},
    "auth": {"type": "basic", "username": "hookline", "password": "p-789"},
    "timeout_seconds": 5,
    "max_attempts": 3,
    "retry_strategy": {"kind": "linear", "step_seconds": 30},
    "ip_allowlist": ["10.1.2.3/8", "192.0.2.1", "10.0.0.0/8"],
    "rate_limit": {"requests": 100, "per_seconds": 60},
    "ordering": "strict",
    "signing_algorithm": "ed25519",
}
