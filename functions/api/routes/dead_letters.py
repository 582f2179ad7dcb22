"""Dead letters: deliveries that ran out of attempts, waiting for a person."""

import json
from collections.abc import Callable
from typing import Annotated, Any

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body, Query
from sqlalchemy import Connection, RowMapping

from functions.adapters.database import transaction
from functions.api import audit, background, operation, paging, releasing, resending
from functions.api.background import STARTS, Plan
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.paging import Cursor, Limit
from functions.api.queries import dead_letters as queries
from functions.api.queries import deliveries, retries
from functions.api.queries.dead_letters import Filter
from functions.api.rendering import answer, rfc3339
from functions.api.schemas.base import Page
from functions.api.schemas.dead_letters import DeadLetter, ResolutionIn, ResolutionsIn, Status
from functions.api.window import require_narrowing, until_now
from functions.domain import dead_letters, reopening
from functions.domain.jobs import Kind
from functions.errors import Conflict

router = operation.Router()
TAGS = ["dead letters"]
PATH = "/v1/dead-letters"
Due = list[tuple[str, int]]


@router.get(
    PATH,
    tags=TAGS,
    summary="List dead letters",
    **documented("deliveries:read", 200, Page[DeadLetter], 401, 403, 422),
)
def list_dead_letters(
    limit: Limit = paging.DEFAULT_LIMIT,
    cursor: Cursor = "",
    status: Annotated[Status | None, Query()] = None,
    webhook_id: paging.Id = "",
    event_id: Annotated[
        paging.Text, Query(max_length=255, description="The event's key or the caller's own id")
    ] = "",
    delivery_id: paging.Id = "",
    event_type: Annotated[
        str,
        Query(
            max_length=255,
            pattern=r"^$|^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*(\.\*)?$",
            description="An event type, or a prefix such as `invoice.*`",
        ),
    ] = "",
    reason: Annotated[paging.Text, Query(max_length=64, description="Such as `attempts_exhausted`")] = "",
    created_after: paging.After = None,
    created_before: paging.Before = None,
) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        event = deliveries.event_key(connection, caller, event_id) if event_id else ""
        if event is None:
            return answer(200, paging.page([], limit))
        wanted = Filter(
            status or "", webhook_id, event, delivery_id, event_type, reason, created_after, created_before
        )
        return answer(200, queries.list_dead_letters(connection, caller, wanted, limit=limit, cursor=cursor))


@router.get(
    f"{PATH}/<dead_letter_id>",
    tags=TAGS,
    summary="Read a dead letter",
    **documented("deliveries:read", 200, DeadLetter, 401, 403, 404),
)
def read_dead_letter(dead_letter_id: str) -> Response[str]:
    caller = operation.caller(router, "deliveries:read")
    with transaction() as connection:
        found = queries.dead_letter(connection, caller, operation.key(dead_letter_id, "dead letter"))
    if found is None:
        raise operation.missing("dead letter")
    return answer(200, found)


@router.post(
    f"{PATH}/<dead_letter_id>/redrive",
    tags=TAGS,
    summary="Redrive a dead letter",
    description="Its delivery is tried again with a fresh budget of attempts, and the dead letter is resolved.",
    **documented("deliveries:write", 200, DeadLetter, 400, 401, 403, 404, 409, 415, 422),
)
def redrive_dead_letter(
    dead_letter_id: str, resolution: Annotated[ResolutionIn | None, Body()] = None
) -> Response[str]:
    def redrive(connection: Connection, caller: Caller, letter: RowMapping, notes: str | None) -> Due:
        delivery = str(letter["delivery_id"])
        resending.check(connection, retries.lock(connection, caller, delivery), delivery)
        due = reopening.reopen(connection, [delivery], by=caller.key_id, notes=notes)
        if not due:
            raise Conflict("its delivery is not failed: look at it again")
        return due

    return _resolve(dead_letter_id, resolution, "dead_letter.redriven", redrive)


@router.post(
    f"{PATH}/<dead_letter_id>/discard",
    tags=TAGS,
    summary="Discard a dead letter",
    description="Nobody is to look after it any more. Its delivery stays failed, and can still be retried.",
    **documented("deliveries:write", 200, DeadLetter, 400, 401, 403, 404, 409, 415, 422),
)
def discard_dead_letter(
    dead_letter_id: str, resolution: Annotated[ResolutionIn | None, Body()] = None
) -> Response[str]:
    def discard(connection: Connection, caller: Caller, letter: RowMapping, notes: str | None) -> Due:
        dead_letters.discard(connection, [str(letter["id"])], by=caller.key_id, notes=notes)
        return []

    return _resolve(dead_letter_id, resolution, "dead_letter.discarded", discard)


@router.post(
    f"{PATH}/redrive",
    tags=TAGS,
    summary="Redrive dead letters",
    description="The pending ones that are meant by what is named, which is at least one of `webhook_id`,"
    " `event_type`, `created_after` and `created_before`. Those of deleted webhooks and of expunged events are"
    " left out." + STARTS,
    **background.documented("deliveries:write", 400, 401, 403, 409, 413, 415, 422),
)
def redrive_dead_letters(wanted: Annotated[ResolutionsIn, Body()]) -> Response[str]:
    return _by_query(wanted, redrive=True)


@router.post(
    f"{PATH}/discard",
    tags=TAGS,
    summary="Discard dead letters",
    description="The pending ones that are meant by what is named, which is at least one of `webhook_id`,"
    " `event_type`, `created_after` and `created_before`." + STARTS,
    **background.documented("deliveries:write", 400, 401, 403, 409, 413, 415, 422),
)
def discard_dead_letters(wanted: Annotated[ResolutionsIn, Body()]) -> Response[str]:
    return _by_query(wanted, redrive=False)


def _resolve(
    dead_letter_id: str,
    resolution: ResolutionIn | None,
    event: str,
    change: Callable[[Connection, Caller, RowMapping, str | None], Due],
) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    id = operation.key(dead_letter_id, "dead letter")
    due: Due = []

    def produce(connection: Connection) -> Answer:
        letter = queries.lock(connection, caller, id)
        if letter is None:
            raise operation.missing("dead letter")
        if letter["status"] != "pending":
            raise Conflict(f"the dead letter is {letter['status']} already")
        due.extend(change(connection, caller, letter, resolution.notes if resolution else None))
        after = str(queries.dead_letter(connection, caller, id))
        audit.record(
            connection,
            caller,
            event,
            id,
            before=json.loads(letter["shown"]),
            after=json.loads(after),
            level="warning",
            application_id=letter["application_id"],
        )
        return Answer(200, after)

    response = operation.post(router, caller, produce)
    releasing.due(caller.project_id, due)
    return response


def _by_query(wanted: ResolutionsIn, *, redrive: bool) -> Response[str]:
    caller = operation.caller(router, "deliveries:write")
    require_narrowing(wanted)
    after = wanted.created_after
    before = until_now(after, wanted.created_before, ("created_after", "created_before"))
    parameters: dict[str, Any] = {
        "webhook_id": wanted.webhook_id,
        "event_type": wanted.event_type,
        "created_after": after and rfc3339(after),
        "created_before": rfc3339(before),
        "notes": wanted.notes,
    }

    def plan(connection: Connection) -> Plan:
        application_id = resending.application_of(connection, caller, wanted.webhook_id)
        reached = dead_letters.wanted_by(caller.project_id, application_id, parameters, redrive=redrive)
        matched = dead_letters.count(connection, reached)
        kind: Kind = "redrive" if redrive else "discard"
        event = "dead_letters.redriven" if redrive else "dead_letters.discarded"
        return Plan(kind, parameters, matched, event, application_id=application_id)

    return background.start(router, caller, plan, dry_run=wanted.dry_run)
