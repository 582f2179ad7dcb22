"""Trying subscriptions and filters on a sample event, before one is sent."""

import json
from decimal import Decimal
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection

from functions.api import operation, paging
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import applications, subscriptions
from functions.api.queries import subscription_tests as queries
from functions.api.queries.subscription_tests import Wanted
from functions.api.rendering import to_json
from functions.api.schemas.subscription_tests import SubscriptionTest, SubscriptionTestIn
from functions.domain import payload, subscription_matching
from functions.domain.filters import Reason
from functions.domain.ids import parse_uuid
from functions.domain.subscription_matching import Sample, Verdict
from functions.errors import Detail, Invalid, PayloadTooLarge

router = operation.Router()
TAGS = ["subscriptions"]


@router.post(
    "/v1/subscriptions/test",
    tags=TAGS,
    summary="Try subscriptions, or a filter, on a sample event",
    description="Nothing is stored or sent. With `type` and `data`: every subscription that the key may see,"
    " newest first, whether it would match such an event, and each reason why not. `limit` and `cursor` choose the"
    " page; `webhook_id` and `matches` narrow it. With `filter` and `data`: whether that filter would"
    " match, without saving it. Of very large `data` not every filter's reasons are given: ask for one webhook.",
    **documented("webhooks:read", 200, SubscriptionTest, 400, 401, 403, 404, 409, 413, 415, 422),
)
def try_subscriptions(
    test: Annotated[SubscriptionTestIn, Body()], limit: Limit = paging.DEFAULT_LIMIT, cursor: Cursor = ""
) -> Response[str]:
    caller = operation.caller(router, "webhooks:read")
    _check_size(test.data)
    body = operation.body_of(router)
    data = json.loads(body, parse_float=Decimal)["data"]  # as Postgres reads it: every digit counts

    def produce(connection: Connection) -> Answer:
        if test.of_filter:
            return Answer(200, to_json(_try_filter(connection, test.filter, data, body)))
        wanted = Wanted(_webhook(connection, caller, test.webhook_id), test.matches, limit, cursor)
        sample = Sample(test.type, data, _application(connection, caller, test), test.environment)
        return Answer(200, to_json(_try_event(connection, caller, sample, wanted, body)))

    return operation.post(router, caller, produce)


def _try_filter(connection: Connection, filter: dict[str, Any], data: Any, body: str) -> dict[str, Any]:
    matches = queries.try_filter(connection, filter, body=body)
    return {"matches": matches, "reasons": [] if matches else _shown(subscription_matching.of_data(filter, data))}


def _try_event(
    connection: Connection, caller: Caller, sample: Sample, wanted: Wanted, body: str
) -> dict[str, Any]:
    judged = queries.judge(connection, caller, sample, wanted, body=body)
    page = paging.page(judged.rows, wanted.limit)
    explained = subscription_matching.explainable(sample.data)
    page["data"] = [_row(row, sample, explained=n < explained) for n, row in enumerate(page["data"])]
    return {**page, "webhooks_matched": judged.webhooks_matched}


def _row(row: dict[str, Any], sample: Sample, *, explained: bool) -> dict[str, Any]:
    verdict = Verdict(**{name: row[name] for name in Verdict.__dataclass_fields__})
    return {
        "webhook_id": row["webhook_id"],
        "webhook_name": row["webhook_name"],
        "subscription_id": row["id"],
        "event_type": row["event_type"],
        "filter": row["filter"],
        "matches": row["matches"],
        "reasons": _shown(subscription_matching.reasons(verdict, sample, explained=explained)),
    }


def _shown(reasons: list[Reason]) -> list[dict[str, str]]:
    return [vars(reason) for reason in reasons]


def _application(connection: Connection, caller: Caller, test: SubscriptionTestIn) -> str | None:
    """The application that such an event would belong to."""
    if test.application_id is None:
        return caller.application_id or None
    return applications.resolve_for_reading(connection, caller, test.application_id)


def _webhook(connection: Connection, caller: Caller, wanted: str | None) -> str | None:
    """Raises Invalid when there is none that the caller may see."""
    if wanted is None:
        return None
    id = parse_uuid(wanted)
    if id is None or subscriptions.find_webhook(connection, caller, str(id)) is None:
        missing = "there is no such webhook"
        raise Invalid(missing, details=(Detail("webhook_id", missing),))
    return str(id)


def _check_size(data: object) -> None:
    if (size := payload.size(data)) > payload.MAX_DATA_BYTES:
        too_large = Detail("data", f"is {size} bytes")
        raise PayloadTooLarge(f"data has at most {payload.MAX_DATA_BYTES} bytes", details=(too_large,))
