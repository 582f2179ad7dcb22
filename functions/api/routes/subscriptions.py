"""Subscriptions of a webhook: which event types it gets."""

from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.api import operation, paging
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import subscriptions as queries
from functions.api.rendering import answer, no_content, to_json
from functions.api.schemas.base import Page
from functions.api.schemas.subscriptions import SUBSCRIPTIONS_PER_WEBHOOK, Subscription, SubscriptionIn
from functions.errors import Conflict, Invalid

router = operation.Router()
TAGS = ["subscriptions"]
PATH = "/v1/webhooks/<webhook_id>/subscriptions"


@router.post(
    PATH,
    tags=TAGS,
    summary="Subscribe a webhook to an event type",
    description="An exact name, a prefix such as `invoice.*`, or `*` for all.",
    **documented("webhooks:write", 201, Subscription, 400, 401, 403, 404, 409, 413, 415, 422),
)
def create_subscription(webhook_id: str, subscription: Annotated[SubscriptionIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    id = operation.key(webhook_id, "webhook")

    def produce(connection: Connection) -> Answer:
        _check_webhook(connection, caller.project_id, id)
        if queries.count(connection, id) >= SUBSCRIPTIONS_PER_WEBHOOK:
            raise Invalid(f"a webhook has at most {SUBSCRIPTIONS_PER_WEBHOOK} subscriptions")
        row = queries.add_subscription(connection, caller.project_id, id, **subscription.model_dump())
        if row is None:
            raise Conflict(f"the webhook is subscribed to {subscription.event_type} already")
        return Answer(201, to_json(dict(row)))

    return operation.post(router, caller, produce)


@router.get(
    PATH,
    tags=TAGS,
    summary="List a webhook's subscriptions",
    **documented("webhooks:read", 200, Page[Subscription], 401, 403, 404, 422),
)
def list_subscriptions(webhook_id: str, limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = "") -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    id = operation.key(webhook_id, "webhook")
    with transaction() as connection:
        _check_webhook(connection, caller.project_id, id)
        rows = queries.list_subscriptions(connection, caller.project_id, id, limit=limit, cursor=cursor)
    return answer(200, paging.page(rows, limit))


@router.delete(
    f"{PATH}/<subscription_id>",
    tags=TAGS,
    summary="End a subscription",
    **documented("webhooks:write", 204, None, 401, 403, 404),
)
def delete_subscription(webhook_id: str, subscription_id: str) -> Response[str]:
    caller = operation.caller(router, "webhooks:write")
    webhook, id = operation.key(webhook_id, "webhook"), operation.key(subscription_id, "subscription")
    with transaction() as connection:
        if not queries.delete_subscription(connection, caller.project_id, webhook, id):
            raise operation.missing("subscription")
    return no_content()


def _check_webhook(connection: Connection, project_id: str, id: str) -> None:
    if not queries.has_webhook(connection, project_id, id):
        raise operation.missing("webhook")
