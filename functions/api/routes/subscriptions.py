"""Subscriptions of a webhook: which events it gets."""

from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection, RowMapping

from functions.adapters.database import transaction
from functions.api import audit, operation, paging
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import subscriptions as queries
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.subscriptions import (
    SUBSCRIPTIONS_PER_WEBHOOK,
    Subscription,
    SubscriptionIn,
    SubscriptionPatch,
)
from functions.errors import Conflict, Invalid

router = operation.Router()
TAGS = ["subscriptions"]
PATH = "/v1/webhooks/<webhook_id>/subscriptions"
ONE = f"{PATH}/<subscription_id>"
EQUAL = "the webhook has a subscription with the same event_type and filter already"
ETAG = " The ETag is the webhook's: a subscription is part of its configuration."


@router.post(
    PATH,
    tags=TAGS,
    summary="Subscribe a webhook to an event type",
    description="An exact name, a prefix such as `invoice.*`, or `*` for all; with a `filter`, only those events"
    f" whose data matches it. A webhook has at most {SUBSCRIPTIONS_PER_WEBHOOK}." + ETAG,
    **documented("webhooks:write", 201, Subscription, 400, 401, 403, 404, 409, 413, 415, 422),
)
def create_subscription(webhook_id: str, subscription: Annotated[SubscriptionIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")

    def produce(connection: Connection) -> Answer:
        webhook = _locked(connection, caller, id)
        if queries.count(connection, id) >= SUBSCRIPTIONS_PER_WEBHOOK:
            raise Invalid(f"a webhook has at most {SUBSCRIPTIONS_PER_WEBHOOK} subscriptions")
        made = _written(queries.add_subscription(connection, caller, id, subscription.model_dump()))
        version = _record(connection, caller, webhook, "subscription.created", after=made)
        return Answer(201, to_json(made), version=version)

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List a webhook's subscriptions",
    **documented("webhooks:read", 200, Page[Subscription], 401, 403, 404, 422),
)
def list_subscriptions(webhook_id: str, limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        webhook = _found(connection, caller, webhook_id)
        rows = queries.list_subscriptions(connection, webhook["id"], limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.get(
    ONE,
    tags=TAGS,
    summary="Read a subscription",
    description=ETAG.strip(),
    **documented("webhooks:read", 200, Subscription, 401, 403, 404),
)
def read_subscription(webhook_id: str, subscription_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    with transaction() as connection:
        webhook = _found(connection, caller, webhook_id)
        found = _there(queries.subscription(connection, webhook["id"], _key(subscription_id)))
    return answer(200, found, version=webhook["version"])


@router.patch(
    ONE,
    tags=TAGS,
    summary="Change a subscription",
    description="Fields that are absent stay. `null` clears the `filter` and is refused elsewhere; a filter"
    " replaces the whole one. The change counts for events that are accepted from then on." + ETAG,
    **documented("webhooks:write", 200, Subscription, 400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def change_subscription(
    webhook_id: str, subscription_id: str, subscription: Annotated[SubscriptionPatch, Body()]
) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    webhook, id = operation.key(webhook_id, "webhook"), _key(subscription_id)
    expected = operation.expected_version(router)
    values = subscription.model_dump(exclude_unset=True)
    if not values:
        raise Invalid("nothing to change: the body names no field")
    with transaction() as connection:
        locked = _locked(connection, caller, webhook)
        before = _there(queries.subscription(connection, webhook, id))
        operation.check_version(expected, locked["version"])
        after = _written(queries.change_subscription(connection, webhook, id, values))
        version = _record(connection, caller, locked, "subscription.updated", before=before, after=after)
    return answer(200, after, version=version)


@router.delete(
    ONE,
    tags=TAGS,
    summary="End a subscription",
    description="`If-Match` is compared with the webhook's ETag. Deliveries that were made stay.",
    **documented("webhooks:write", 204, None, 400, 401, 403, 404, 412),
)
def delete_subscription(webhook_id: str, subscription_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    webhook, id = operation.key(webhook_id, "webhook"), _key(subscription_id)
    expected = operation.expected_version(router)
    with transaction() as connection:
        locked = _locked(connection, caller, webhook)
        before = _there(queries.delete_subscription(connection, webhook, id))
        operation.check_version(expected, locked["version"])
        _record(connection, caller, locked, "subscription.deleted", before=before)
    return no_content()


def _key(subscription_id: str) -> str:
    return operation.key(subscription_id, "subscription")


def _found(connection: Connection, caller: Caller, webhook_id: str) -> RowMapping:
    webhook = queries.find_webhook(connection, caller, operation.key(webhook_id, "webhook"))
    if webhook is None:
        raise operation.missing("webhook")
    return webhook


def _locked(connection: Connection, caller: Caller, webhook_id: str) -> RowMapping:
    webhook = queries.lock_webhook(connection, caller, webhook_id)
    if webhook is None:
        raise operation.missing("webhook")
    return webhook


def _there(row: RowMapping | None) -> dict[str, Any]:
    if row is None:
        raise operation.missing("subscription")
    return dict(row)


def _written(row: RowMapping | None) -> dict[str, Any]:
    if row is None:
        raise Conflict(EQUAL)
    return dict(row)


def _record(
    connection: Connection,
    caller: Caller,
    webhook: RowMapping,
    event: str,
    *,
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
) -> int:
    """What every write of a subscription does besides: the audit log, and the webhook's new version."""
    id, of = str((after or before or {})["id"]), {"webhook_id": webhook["id"]}
    audit.record(
        connection,
        caller,
        event,
        id,
        before=before and {**before, **of},
        after=after and {**after, **of},
        level="info" if after else "warning",
        application_id=webhook["application_id"],
    )
    return queries.bump_webhook(connection, caller, webhook["id"])
