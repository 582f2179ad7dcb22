"""Webhooks: where events go."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from sqlalchemy import Connection, RowMapping

from functions.adapters import vault
from functions.adapters.database import transaction
from functions.api import audit, operation, paging, releasing, webhook_columns
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, webhook_standing
from functions.api.queries import webhooks as queries
from functions.api.queries.webhooks import Filter, Subscribed
from functions.api.releasing import Released
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.webhooks import Status, Webhook, WebhookIn, WebhookPatch
from functions.domain import signing
from functions.domain.filters import compile_filter
from functions.domain.ids import uuid7
from functions.errors import Invalid

router = operation.Router()
TAGS = ["webhooks"]
PATH = "/v1/webhooks"
ONE = f"{PATH}/<webhook_id>"
NOT_COLUMNS = {"event_types", "filter", "application_id", "secret", "signing_algorithm"}  # of a creation's fields
# What an endpoint that failed is mended by. Hidden values are compared as they are shown, so that sending back
# what was read changes nothing, and a credential that is given counts as another one.
MENDS = {"url", "auth", "headers", "timeout_seconds", "ip_allowlist"}
NOTHING: dict[str, Any] = {"auth": {"type": "none"}, "headers": {}}  # what null and the like mean


@router.post(
    PATH,
    tags=TAGS,
    summary="Create a webhook",
    description="It starts with one subscription for each of its `event_types`, each with the `filter`. Its"
    " signing secret is made unless one is given, and read at `/v1/webhooks/{id}/secret`. What a key that is bound"
    " to an application makes is bound to that application.",
    **documented("webhooks:write", 201, Webhook, 400, 401, 403, 404, 409, 413, 415, 422),
)
def create_webhook(webhook: Annotated[WebhookIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id, key = uuid7(), _cipher(caller)
    given = webhook.model_dump(exclude=NOT_COLUMNS)
    bound_to = vault.credentials_of(caller.project_id, id)
    by = {"id": id, "project_id": caller.project_id, "created_by": caller.key_id, "updated_by": caller.key_id}
    encrypted = webhook_columns.encrypted(key, bound_to, given)
    values = webhook_columns.plain(given) | encrypted | _signing_secret(key, caller, id, webhook) | by

    def produce(connection: Connection) -> Answer:
        bound = applications.binding(connection, caller, webhook.application_id)
        queries.add_webhook(connection, {**values, "application_id": bound}, _subscribed(webhook))
        made, version = _read(connection, caller, id)
        audit.record(connection, caller, "webhook.created", id, after=made, application_id=bound)
        return Answer(201, to_json(made), version=version)

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List webhooks",
    **documented("webhooks:read", 200, Page[Webhook], 401, 403, 404, 422),
)
def list_webhooks(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    status: Annotated[Status | None, Query()] = None,
    application_id: Annotated[str, Query(max_length=255, description="The application's id or uid")] = "",
    environment: Annotated[str, Query(pattern="^[A-Za-z0-9._-]*$", max_length=64)] = "",
    event_type: Annotated[
        str,
        Query(
            pattern=r"^(\*|[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?)?$",
            max_length=255,
            description="A type that they get, filters aside; or a pattern that they subscribe to",
        ),
    ] = "",
    search: Annotated[
        str,
        Query(
            pattern=r"^[^\x00]*$",
            max_length=255,
            description="Part of the name, the URL or the description, whatever the case",
        ),
    ] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        bound = applications.resolve_for_reading(connection, caller, application_id) if application_id else ""
        wanted = Filter(status or "", bound, environment, event_type, search, created_after, created_before)
        rows = queries.list_webhooks(connection, caller, wanted, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    ONE,
    tags=TAGS,
    summary="Read a webhook",
    description="With how it stands: its circuit, until when it is held or slow, and the line of a strict one.",
    **documented("webhooks:read", 200, Webhook, 401, 403, 404),
)
def read_webhook(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        found, version = _read(connection, caller, operation.key(webhook_id, "webhook"))
        if found["ordering"] == "strict":
            found["line"] = webhook_standing.line(connection, str(found["id"]))
    return answer(200, found, version=version)


@router.patch(
    ONE,
    tags=TAGS,
    summary="Change a webhook",
    description="Fields that are absent stay; an object or a list that is given replaces the whole one. `null`"
    " clears `description`, `environment`, `headers`, `auth`, `ip_allowlist` and `rate_limit`, and is refused"
    " elsewhere. Subscriptions, secrets and the status have calls of their own. Another `url`, `auth`, `headers`,"
    " `timeout_seconds` or `ip_allowlist` closes its circuit and forgets what failed. When it is `strict` no more,"
    " what stood in line is due now.",
    **documented("webhooks:write", 200, Webhook, 400, 401, 403, 404, 412, 413, 415, 422),
)
def change_webhook(webhook_id: str, webhook: Annotated[WebhookPatch, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    expected, id = operation.expected_version(router), operation.key(webhook_id, "webhook")
    given = webhook.model_dump(include=webhook.model_fields_set)
    if not given:
        raise Invalid("nothing to change: the body names no field")
    key = _cipher(caller) if webhook_columns.ENCRYPTED & given.keys() else None
    with transaction() as connection:
        stored = _locked(connection, caller, id, expected)
        before, _ = _read(connection, caller, id)
        values = webhook_columns.plain(given)
        if key is not None:
            values |= webhook_columns.encrypted(key, vault.credentials_of(caller.project_id, id), given, stored)
        queries.change_webhook(connection, caller, id, values)
        bound = stored["application_id"]
        released = _let_go(connection, caller, id, before, given, bound)
        after, version = _read(connection, caller, id)
        audit.record(connection, caller, "webhook.updated", id, before=before, after=after, application_id=bound)
    releasing.send(caller.project_id, released)
    return answer(200, after, version=version)


@router.delete(
    ONE,
    tags=TAGS,
    summary="Delete a webhook",
    description="Nothing is sent to it any more, deliveries under way included; its secrets are deleted. What was"
    " delivered stays readable.",
    **documented("webhooks:write", 204, None, 400, 401, 403, 404, 412),
)
def delete_webhook(webhook_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    expected, id = operation.expected_version(router), operation.key(webhook_id, "webhook")
    with transaction() as connection:
        bound = _locked(connection, caller, id, expected)["application_id"]
        before, _ = _read(connection, caller, id)
        queries.delete_webhook(connection, caller, id)
        released = releasing.release(connection, caller, id, bound)  # what is held ends, as all else does
        audit.record(
            connection, caller, "webhook.deleted", id, before=before, level="warning", application_id=bound
        )
    releasing.send(caller.project_id, released)
    return no_content()


def _read(connection: Connection, caller: Caller, id: str) -> tuple[dict[str, Any], int]:
    """What the API shows of a webhook, and its version. Raises NotFound when there is none."""
    row = queries.webhook(connection, caller, id)
    if row is None:
        raise operation.missing("webhook")
    return row, row.pop("version")


def _let_go(
    connection: Connection,
    caller: Caller,
    id: str,
    before: dict[str, Any],
    given: dict[str, Any],
    bound: str | None,
) -> Released:
    """What a change of a webhook, just made, does to what waits for it and to what was learnt of its endpoint."""
    changed = {name for name, value in given.items() if (value or NOTHING.get(name)) != before[name]}
    released = Released([])
    if "ordering" in changed and before["ordering"] == "strict":
        webhook_standing.lock_line(connection, id)
        released = releasing.release(connection, caller, id, bound)
    if changed & MENDS:
        webhook_standing.forget(connection, id)
    elif "rate_limit" in changed:
        webhook_standing.forget_rate(connection, id)
    return released


def _locked(connection: Connection, caller: Caller, id: str, expected: int | None) -> RowMapping:
    """Raises NotFound or PreconditionFailed."""
    row = queries.lock(connection, caller, id)
    if row is None:
        raise operation.missing("webhook")
    operation.check_version(expected, row["version"])
    return row


def _cipher(caller: Caller) -> AESGCM:
    """In no transaction: KMS may have to be asked (B5)."""
    with transaction() as connection:
        data_key = queries.data_key(connection, caller.project_id)
    return vault.cipher(data_key, caller.project_id)


def _signing_secret(key: AESGCM, caller: Caller, id: str, webhook: WebhookIn) -> dict[str, Any]:
    algorithm = webhook.signing_algorithm or "hmac"
    secret = signing.new_key(algorithm)
    if webhook.secret is not None:
        algorithm, secret = signing.parse(webhook.secret)
    bound_to = vault.signing_secret_of(caller.project_id, id)
    return {"signing_algorithm": algorithm, "signing_secret": vault.encrypt(key, bound_to, secret)}


def _subscribed(webhook: WebhookIn) -> Subscribed:
    path = None if webhook.filter is None else compile_filter(webhook.filter)
    return Subscribed(webhook.event_types, webhook.filter, path)
