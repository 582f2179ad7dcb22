"""Giving up one delivery by hand."""

import json
from typing import Annotated

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection, RowMapping

from functions.api import audit, operation, releasing
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.queries import archives, deliveries, skips
from functions.api.releasing import Released
from functions.api.schemas.dead_letters import ResolutionIn
from functions.api.schemas.deliveries import Delivery
from functions.errors import Conflict

router = operation.Router()


@router.post(
    "/v1/deliveries/<delivery_id>/skip",
    tags=["deliveries"],
    summary="Skip a delivery",
    description="One that waits, for whatever it may be, is given up: it becomes `failed`, and its dead letter is"
    " discarded already. The next in the line of a strict webhook is due now. It can still be retried.",
    **documented("deliveries:write", 200, Delivery, 400, 401, 403, 404, 409, 415, 422),
)
def skip_delivery(delivery_id: str, skip: Annotated[ResolutionIn | None, Body()] = None) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    id = operation.key(delivery_id, "delivery")
    next_in_line: list[Released] = []

    def produce(connection: Connection) -> Answer:
        standing = skips.lock(connection, caller, id)
        if standing is None:
            raise operation.missing("delivery", archives.where(connection, "delivery", id))
        _check(standing)
        before = str(deliveries.delivery(connection, caller, id))
        skips.give_up(connection, caller, id, skip.notes if skip else None)
        next_in_line.append(releasing.wake(connection, str(standing["webhook_id"])))
        after = str(deliveries.delivery(connection, caller, id))
        audit.record(
            connection,
            caller,
            "delivery.skipped",
            id,
            before=json.loads(before),
            after=json.loads(after),
            level="warning",
            application_id=standing["application_id"],
        )
        return Answer(200, after)

    response = operation.post(router, caller, produce)
    for released in next_in_line:
        releasing.send(caller.project_id, released)
    return response


def _check(standing: RowMapping) -> None:
    """Raises Conflict unless there is something to give up, and nobody at work on it."""
    if standing["status"] == "delivered":
        raise Conflict("it was delivered: there is nothing to give up")
    if standing["status"] == "failed":
        raise Conflict("it has failed already; its dead letter, if it left one, may be discarded")
    if standing["leased"]:
        raise Conflict("it is being delivered, try again in a moment")
