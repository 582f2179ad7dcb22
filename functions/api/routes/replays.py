"""Sending again what was sent, or was to be: one delivery, deliveries by query, an event."""

import json
from collections.abc import Mapping
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection, RowMapping

from functions.api import audit, background, operation, releasing, resending
from functions.api.background import STARTS, Plan
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.queries import archives, deliveries, replays, retries
from functions.api.queries.replays import MOST_WEBHOOKS, Replayed
from functions.api.rendering import rfc3339
from functions.api.schemas.deliveries import Delivery
from functions.api.schemas.levers import EmptyIn, Replay, ReplayIn, RetryIn
from functions.api.window import require_narrowing, window
from functions.domain import reopening
from functions.errors import Conflict
from functions.ingest import ingesting

router = operation.Router()


@router.post(
    "/v1/deliveries/<delivery_id>/retry",
    tags=["deliveries"],
    summary="Retry a delivery",
    description="A failed one is tried again with a fresh budget of attempts, and its dead letter is resolved. One"
    " that waits for a later attempt is due now. One that was delivered is sent again by replaying its event.",
    **documented("deliveries:write", 200, Delivery, 400, 401, 403, 404, 409, 415, 422),
)
def retry_delivery(delivery_id: str, _nothing: Annotated[EmptyIn | None, Body()] = None) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    id = operation.key(delivery_id, "delivery")
    due: list[tuple[str, int]] = []

    def produce(connection: Connection) -> Answer:
        standing = retries.lock(connection, caller, id)
        if standing is None:
            raise operation.missing("delivery", archives.where(connection, "delivery", id))
        resending.check(connection, standing, id)
        before = str(deliveries.delivery(connection, caller, id))
        due.extend(_again(connection, caller, id, standing))
        after = str(deliveries.delivery(connection, caller, id))
        audit.record(
            connection,
            caller,
            "delivery.retried",
            id,
            before=json.loads(before),
            after=json.loads(after),
            level="warning",
            application_id=standing["application_id"],
        )
        return Answer(200, after)

    response = operation.post(router, caller, produce)
    releasing.due(caller.project_id, due)
    return response


@router.post(
    "/v1/deliveries/retry",
    tags=["deliveries"],
    summary="Retry deliveries",
    description="Those that failed, or with `status: pending` those that wait for a later attempt, and were"
    " created in this time: 90 days at most. At least one of `webhook_id`, `event_type`, `created_after` and"
    " `created_before` is to be named. Deliveries of deleted webhooks and of expunged events are left out."
    + STARTS,
    **background.documented("deliveries:write", 400, 401, 403, 409, 413, 415, 422),
)
def retry_deliveries(wanted: Annotated[RetryIn, Body()]) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    require_narrowing(wanted)
    since, until = window(wanted.created_after, wanted.created_before, ("created_after", "created_before"))
    parameters = {
        "webhook_id": wanted.webhook_id,
        "event_type": wanted.event_type,
        "status": wanted.status,
        "created_after": rfc3339(since),
        "created_before": rfc3339(until),
    }

    def plan(connection: Connection) -> Plan:
        application_id = resending.application_of(connection, caller, wanted.webhook_id)
        reached = reopening.wanted_by(caller.project_id, application_id, parameters)
        matched = reopening.count(connection, reached)
        return Plan("retry", parameters, matched, "deliveries.retried", application_id=application_id)

    return background.start(router, caller, plan, dry_run=wanted.dry_run)


@router.post(
    "/v1/events/<event_id>/replay",
    tags=["events"],
    summary="Replay an event",
    description="New deliveries of the same event, under the same `webhook-id`: to every webhook that it matches"
    " now, or to the one that is named, subscribed to it or not. A paused webhook's wait until it is resumed.",
    **documented("deliveries:write", 202, Replay, 400, 401, 403, 404, 409, 415, 422),
)
def replay_event(event_id: str, replay: Annotated[ReplayIn | None, Body()] = None) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    webhook_id = replay.webhook_id if replay else None
    made: list[str] = []

    def produce(connection: Connection) -> Answer:
        event = _event(connection, caller, event_id)
        replayed = _replay(connection, caller, event, webhook_id)
        made.extend(replayed.ids)
        audit.record(
            connection,
            caller,
            "event.replayed",
            event["id"],
            after={"webhook_id": webhook_id, "deliveries": len(replayed.ids)},
            level="warning",
            application_id=event["application_id"],
        )
        shown = ",".join(replayed.shown)
        return Answer(202, f'{{"event_id":"{event["id"]}","deliveries":[{shown}]}}')

    response = operation.post(router, caller, produce)
    ingesting.send(caller.project_id, made)
    return response


def _again(connection: Connection, caller: Caller, id: str, standing: Mapping[str, Any]) -> list[tuple[str, int]]:
    if standing["status"] == "failed":
        due = reopening.reopen(connection, [id], by=caller.key_id)
    else:
        due = reopening.hurry(connection, [id])
    if not due:
        raise Conflict("it was changed this moment: look at it again")
    return due


def _event(connection: Connection, caller: Caller, id: str) -> RowMapping:
    """Raises NotFound; Conflict when there is nothing to replay."""
    key = deliveries.event_key(connection, caller, id)
    event = replays.event(connection, caller, key) if key else None
    if event is None:
        raise operation.missing("event", archives.where(connection, "event", key or id))
    if event["expunged_at"] is not None:
        raise Conflict("the event's payload was expunged: there is nothing left to send")
    if replays.was_test(connection, event["id"]):
        raise Conflict("the event was made to test one webhook: send another test")
    return event


def _replay(connection: Connection, caller: Caller, event: RowMapping, webhook_id: str | None) -> Replayed:
    if webhook_id is not None:
        _check_binding(event, replays.webhook(connection, caller, webhook_id))
        return replays.to_one(connection, caller, event, webhook_id)
    replayed = replays.to_all(connection, caller, event)
    if len(replayed.ids) > MOST_WEBHOOKS:
        raise Conflict(f"more than {MOST_WEBHOOKS} webhooks match: name one at a time")
    return replayed


def _check_binding(event: RowMapping, webhook: RowMapping | None) -> None:
    """Raises Invalid; Conflict when this webhook may not get this event."""
    if webhook is None:
        raise resending.no_webhook()
    if webhook["deleted_at"] is not None:
        raise Conflict("the webhook was deleted")
    if webhook["status"] == "disabled":
        raise Conflict("the webhook is disabled: resume it first")
    for what in ("application_id", "environment"):
        if webhook[what] not in {None, event[what]}:
            raise Conflict(f"the webhook is bound to another {what.removesuffix('_id')} than the event's")
