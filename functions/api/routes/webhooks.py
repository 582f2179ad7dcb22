"""Webhooks: where events go."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import webhooks as queries
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.webhooks import Webhook, WebhookIn, WebhookPatch, WebhookSecret
from functions.domain import signing
from functions.domain.ids import uuid7
from functions.errors import Invalid

router = operation.Router()
TAGS = ["webhooks"]


@router.post(
    "/v1/webhooks",
    tags=TAGS,
    summary="Create a webhook",
    description="It starts with one subscription for each of its `event_types`. Its signing secret is made"
    " unless one is given, and read at `/v1/webhooks/{id}/secret`.",
    **documented("webhooks:write", 201, Webhook, 400, 401, 403, 409, 413, 415, 422),
)
def create_webhook(webhook: Annotated[WebhookIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = uuid7()
    values = webhook.model_dump(exclude={"event_types", "secret"}) | {
        "id": id,
        "project_id": caller.project_id,
        "signing_secret": _encrypted(caller.project_id, id, webhook.secret),
        "created_by": caller.key_id,
        "updated_by": caller.key_id,
    }

    def produce(connection: Connection) -> Answer:
        queries.add_webhook(connection, values, webhook.event_types)
        return Answer(201, to_json(queries.webhook(connection, caller.project_id, id)))

    return operation.post(router, caller, produce)


@router.get(
    "/v1/webhooks",
    tags=TAGS,
    summary="List webhooks",
    **documented("webhooks:read", 200, Page[Webhook], 401, 403, 422),
)
def list_webhooks(limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        rows = queries.list_webhooks(connection, caller.project_id, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    "/v1/webhooks/<webhook_id>",
    tags=TAGS,
    summary="Read a webhook",
    **documented("webhooks:read", 200, Webhook, 401, 403, 404),
)
def read_webhook(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        return answer(200, _read(connection, caller.project_id, operation.key(webhook_id, "webhook")))


@router.patch(
    "/v1/webhooks/<webhook_id>",
    tags=TAGS,
    summary="Change a webhook",
    description="Fields that are absent stay. `null` clears `description` and is refused elsewhere.",
    **documented("webhooks:write", 200, Webhook, 400, 401, 403, 404, 413, 415, 422),
)
def change_webhook(webhook_id: str, webhook: Annotated[WebhookPatch, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")
    values = webhook.model_dump(exclude_unset=True)
    if not values:
        raise Invalid("nothing to change: the body names no field")
    with transaction() as connection:
        changed = queries.change_webhook(
            connection, caller.project_id, id, {**values, "updated_by": caller.key_id}
        )
        if not changed:
            raise operation.missing("webhook")
        return answer(200, _read(connection, caller.project_id, id))


@router.delete(
    "/v1/webhooks/<webhook_id>",
    tags=TAGS,
    summary="Delete a webhook",
    description="Nothing is sent to it any more, deliveries under way included. What was"
    " delivered stays readable.",
    **documented("webhooks:write", 204, None, 401, 403, 404),
)
def delete_webhook(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")
    with transaction() as connection:
        if not queries.delete_webhook(connection, caller.project_id, id, caller.key_id):
            raise operation.missing("webhook")
    return no_content()


@router.get(
    "/v1/webhooks/<webhook_id>/secret",
    tags=TAGS,
    summary="Read a webhook's signing secret",
    **documented("webhooks:write", 200, WebhookSecret, 401, 403, 404),
)
def read_secret(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")
    with transaction() as connection:
        row = queries.secret(connection, caller.project_id, id)
    if row is None:
        raise operation.missing("webhook")
    stored = vault.decrypt(bytes(row["data_key"]), caller.project_id, id, bytes(row["signing_secret"]))
    return answer(200, {"secret": signing.shown(stored), "expiring": []})


def _read(connection: Connection, project_id: str, id: str) -> dict[str, Any]:
    row = queries.webhook(connection, project_id, id)
    if row is None:
        raise operation.missing("webhook")
    return row


def _encrypted(project_id: str, id: str, secret: str | None) -> bytes:
    """In no transaction: KMS may have to be asked (B5)."""
    with transaction() as connection:
        data_key = queries.data_key(connection, project_id)
    return vault.encrypt(data_key, project_id, id, signing.secret_bytes(secret) if secret else signing.new_key())
