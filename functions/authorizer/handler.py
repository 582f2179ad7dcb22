"""Entry point of the authorizer: a bearer key in, a principal out; the gateway keeps the answer for 60 s.

A key that is not good is let through without a principal and the API refuses it: an HTTP API cannot give a 403
of its own the error shape that callers are promised.
"""

import hmac
from typing import TYPE_CHECKING, Any

from aws_lambda_powertools.utilities.parameters import get_secret
from sqlalchemy import text

from functions.adapters import timing
from functions.adapters.database import transaction
from functions.domain import api_keys
from functions.settings import settings
from functions.statements import named
from functions.telemetry import logger

if TYPE_CHECKING:
    from aws_lambda_powertools.utilities.typing import LambdaContext

ADMIN_KEY_SECONDS = 60  # how long a replaced admin key may still be taken for the old one
ANONYMOUS = {"admin": "false", "project_id": "", "application_id": "", "key_id": "", "scopes": ""}
LIVE_KEY = named(
    "authorizer.live_key",
    text(
        "SELECT id, project_id, application_id, key_hash, scopes FROM webhook.api_keys"
        " WHERE prefix = :prefix AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())"
    ),
)


@logger.inject_lambda_context
@timing.reported
def handler(event: dict[str, Any], _context: "LambdaContext") -> dict[str, Any]:
    """The simple response of payload format 2.0; the values of its context are strings."""
    key = _bearer_key(event.get("headers") or {})
    return {"isAuthorized": True, "context": {**ANONYMOUS, **_principal(key)}}


def _bearer_key(headers: dict[str, str]) -> str:
    scheme, _, key = headers.get("authorization", "").partition(" ")
    return key.strip() if scheme.lower() == "bearer" else ""


def _principal(key: str) -> dict[str, str]:
    """What differs from nobody. A project's key is looked up only when it has the shape of one."""
    if prefix := api_keys.prefix_of(key):
        return _project(key, prefix)
    return {"admin": "true"} if key and _is_admin(key) else {}


def _project(key: str, prefix: str) -> dict[str, str]:
    with transaction() as connection:
        stored = connection.execute(LIVE_KEY, {"prefix": prefix}).one_or_none()
    if stored is None or not api_keys.matches(key, stored.key_hash):
        return {}
    return {
        "project_id": str(stored.project_id),
        "application_id": str(stored.application_id or ""),
        "key_id": str(stored.id),
        "scopes": " ".join(stored.scopes),
    }


def _is_admin(key: str) -> bool:
    admin_key = get_secret(settings().admin_key_secret_arn, max_age=ADMIN_KEY_SECONDS)
    return hmac.compare_digest(key.encode(), str(admin_key).strip().encode())
