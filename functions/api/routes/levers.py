"""Levers on a webhook: pause, disable, resume, test, recover, replay what it missed."""

from collections.abc import Callable
from typing import Annotated, Any, Literal

from aws_lambda_powertools.event_handler import Response
from aws_lambda_powertools.event_handler.openapi.params import Body
from sqlalchemy import Connection, RowMapping

from functions.api import audit, background, operation, releasing
from functions.api.background import STARTS, Plan
from functions.api.caller import Caller
from functions.api.idempotency import Answer
from functions.api.operation import documented
from functions.api.queries import levers as queries
from functions.api.queries import webhook_standing, webhooks
from functions.api.releasing import Released
from functions.api.rendering import rfc3339, to_json
from functions.api.schemas.levers import EmptyIn, ReasonIn, ResumedWebhook, TestEvent, TestEventIn, WindowIn
from functions.api.schemas.webhooks import Webhook
from functions.api.window import window
from functions.domain import disabling, missed, operational, payload, reopening
from functions.domain.operational import Notice, Signal
from functions.errors import Conflict, Detail, PayloadTooLarge
from functions.ingest import ingesting

router = operation.Router()
TAGS = ["webhooks"]
ONE = "/v1/webhooks/<webhook_id>"


@router.post(
    f"{ONE}/pause",
    tags=TAGS,
    summary="Pause a webhook",
    description="Nothing more is sent to it; what is under way this moment may still arrive. Its deliveries go on"
    " to be made and wait until it is resumed. Pausing it again changes its reason, if anything.",
    **documented("webhooks:write", 200, Webhook, 400, 401, 403, 404, 409, 412, 415, 422),
)
def pause_webhook(webhook_id: str, pause: Annotated[ReasonIn | None, Body()] = None) -> Response[str]:
    return _stop(webhook_id, "paused", pause)


@router.post(
    f"{ONE}/disable",
    tags=TAGS,
    summary="Disable a webhook",
    description="As a pause, but that no deliveries are made for it any more: events that come meanwhile pass it"
    " by, until it is resumed; `/replay-missing` then fetches them. What was unfinished waits, and goes on with"
    " the attempts that it has left. Disabling it again changes its reason, if anything.",
    **documented("webhooks:write", 200, Webhook, 400, 401, 403, 404, 409, 412, 415, 422),
)
def disable_webhook(webhook_id: str, disable: Annotated[ReasonIn | None, Body()] = None) -> Response[str]:
    return _stop(webhook_id, "disabled", disable)


@router.post(
    f"{ONE}/resume",
    tags=TAGS,
    summary="Resume a webhook",
    description="One that is paused, or disabled. What waited for it is due now: up to 500 deliveries with this"
    " call, the others by the job that `job_id` names; of a strict one the head of its line, which the others"
    " follow one after another. Whatever was learnt of its endpoint is forgotten, of one that is active, too: its"
    " circuit is closed, and nothing that failed before counts any more.",
    **documented("webhooks:write", 200, ResumedWebhook, 400, 401, 403, 404, 409, 412, 415, 422),
)
def resume_webhook(webhook_id: str, _nothing: Annotated[EmptyIn | None, Body()] = None) -> Response[str]:
    caller, id, expected = _asked(webhook_id, "webhooks:write")
    released: list[Released] = []

    def produce(connection: Connection) -> Answer:
        locked = _locked(connection, caller, id, expected)
        before, version = _shown(connection, caller, id)
        if locked["status"] != "active":
            queries.set_status(connection, caller, id, "active", None)
        given = _released(connection, caller, locked)
        released.append(given)
        webhook_standing.forget(connection, id)
        after, version = _shown(connection, caller, id)
        if after != before:
            _record(connection, caller, "webhook.resumed", locked, before, after)
        answer = {**after, "released": len(given.due), "job_id": given.job_id}
        return Answer(200, to_json(answer), version=version)

    response = operation.post(router, caller, produce)
    for given in released:
        releasing.send(caller.project_id, given)
        if given.job_id:
            response.headers["location"] = f"/v1/jobs/{given.job_id}"
    return response


@router.post(
    f"{ONE}/test",
    tags=TAGS,
    summary="Send a test event",
    description="An event that this webhook alone gets, whatever it is subscribed to: once, and without a dead"
    " letter when it fails. Its delivery is of the type `hookline.test`, its event of the `type` that is given.",
    **documented("webhooks:write", 202, TestEvent, 400, 401, 403, 404, 409, 412, 413, 415, 422),
)
def send_test_event(webhook_id: str, test: Annotated[TestEventIn | None, Body()] = None) -> Response[str]:
    caller, id, expected = _asked(webhook_id, "webhooks:write")
    wanted = test or TestEventIn()
    _check_size(wanted.data)
    made: list[str] = []

    def produce(connection: Connection) -> Answer:
        webhook = _webhook(connection, caller, id, expected)
        if webhook["status"] != "active":
            raise Conflict(f"the webhook is {webhook['status']}: resume it first")
        sent = queries.send_test(connection, caller, id, type=wanted.type, body=operation.body_of(router))
        made.append(sent["delivery_id"])
        audit.record(
            connection, caller, "webhook.tested", id, after=sent, application_id=webhook["application_id"]
        )
        return Answer(202, to_json(sent))

    response = operation.post(router, caller, produce)
    ingesting.send(caller.project_id, made)
    return response


@router.post(
    f"{ONE}/recover",
    tags=TAGS,
    summary="Recover a webhook",
    description="Deliveries to it that were created in this time and failed are tried again, each with a fresh"
    " budget of attempts; their dead letters are resolved." + STARTS,
    **background.documented("deliveries:write", 400, 401, 403, 404, 409, 412, 415, 422),
)
def recover_webhook(webhook_id: str, wanted: Annotated[WindowIn, Body()]) -> Response[str]:
    def plan(connection: Connection, caller: Caller, webhook: RowMapping, parameters: dict[str, Any]) -> Plan:
        reached = reopening.wanted_by(caller.project_id, webhook["application_id"], parameters)
        matched = reopening.count(connection, reached)
        return Plan("recover", parameters, matched, "webhook.recovered", webhook["id"], webhook["application_id"])

    return _over_a_window(webhook_id, wanted, plan)


@router.post(
    f"{ONE}/replay-missing",
    tags=TAGS,
    summary="Replay what a webhook never got",
    description="Events that were accepted in this time, match its subscriptions, filters, application and"
    " environment as they are now, and were never delivered to it, are." + STARTS,
    **background.documented("deliveries:write", 400, 401, 403, 404, 409, 412, 415, 422),
)
def replay_missing(webhook_id: str, wanted: Annotated[WindowIn, Body()]) -> Response[str]:
    def plan(connection: Connection, caller: Caller, webhook: RowMapping, parameters: dict[str, Any]) -> Plan:
        matched = missed.count(connection, missed.wanted_by(caller.project_id, parameters))
        return Plan(
            "replay_missing", parameters, matched, "webhook.replayed", webhook["id"], webhook["application_id"]
        )

    return _over_a_window(webhook_id, wanted, plan)


def _stop(webhook_id: str, status: Literal["paused", "disabled"], given: ReasonIn | None) -> Response[str]:
    caller, id, expected = _asked(webhook_id, "webhooks:write")
    reason = given.reason if given else None
    told: list[Notice] = []

    def produce(connection: Connection) -> Answer:
        if status == "disabled":
            _webhook(connection, caller, id, expected)
            connection.execute(disabling.LOCK_APPLICATIONS, {"ids": [id]})
        locked = _locked(connection, caller, id, expected)
        if status == "paused" and locked["status"] == "disabled":
            raise Conflict("the webhook is disabled: it gets nothing; resume it first")
        before, version = _shown(connection, caller, id)
        if locked["status"] == status and reason in {None, locked["status_reason"]}:
            return Answer(200, to_json(before), version=version)
        queries.set_status(connection, caller, id, status, reason)
        after, version = _shown(connection, caller, id)
        _record(connection, caller, f"webhook.{status}", locked, before, after)
        if status == "disabled" and locked["status"] != "disabled":
            told.extend(_tell(connection, caller, after))
        return Answer(200, to_json(after), version=version)

    response = operation.post(router, caller, produce)
    ingesting.send(caller.project_id, [notice.delivery_id for notice in told])
    return response


def _tell(connection: Connection, caller: Caller, webhook: dict[str, Any]) -> list[Notice]:
    """Tell who subscribed to it that a webhook was disabled (P11), as when nobody asked for it."""
    what = {
        "reason": webhook["status_reason"],
        "disabled_at": rfc3339(webhook["status_changed_at"]),
    }
    signal = Signal(operational.DISABLED, str(webhook["id"]), None, what)
    return operational.notify(connection, [signal], correlation_id=caller.correlation_id)


def _released(connection: Connection, caller: Caller, locked: RowMapping) -> Released:
    """What waited for a webhook that this transaction has made active."""
    if locked["ordering"] == "strict":
        return releasing.wake(connection, str(locked["id"]))
    return releasing.release(connection, caller, str(locked["id"]), locked["application_id"])


def _over_a_window(
    webhook_id: str,
    wanted: WindowIn,
    plan: Callable[[Connection, Caller, RowMapping, dict[str, Any]], Plan],
) -> Response[str]:
    """Raises Conflict for a disabled webhook: it would get nothing of it."""
    caller, id, expected = _asked(webhook_id, "deliveries:write")
    since, until = window(wanted.since, wanted.until, ("since", "until"))
    parameters = {"webhook_id": id, "since": rfc3339(since), "until": rfc3339(until)}

    def planned(connection: Connection) -> Plan:
        webhook = _webhook(connection, caller, id, expected)
        if webhook["status"] == "disabled":
            raise Conflict("the webhook is disabled: resume it first")
        return plan(connection, caller, webhook, parameters)

    return background.start(router, caller, planned, dry_run=wanted.dry_run)


def _asked(webhook_id: str, scope: Any) -> tuple[Caller, str, int | None]:
    """Who calls, about which webhook, and the version that `If-Match` names."""
    caller = operation.caller(router, scope)
    return caller, operation.key(webhook_id, "webhook"), operation.expected_version(router)


def _webhook(connection: Connection, caller: Caller, id: str, expected: int | None) -> RowMapping:
    return _checked(queries.webhook(connection, caller, id), expected)


def _locked(connection: Connection, caller: Caller, id: str, expected: int | None) -> RowMapping:
    return _checked(queries.lock(connection, caller, id), expected)


def _checked(row: RowMapping | None, expected: int | None) -> RowMapping:
    """Raises NotFound or PreconditionFailed."""
    if row is None:
        raise operation.missing("webhook")
    operation.check_version(expected, row["version"])
    return row


def _shown(connection: Connection, caller: Caller, id: str) -> tuple[dict[str, Any], int]:
    """What the API shows of the webhook, and its version."""
    row = webhooks.webhook(connection, caller, id)
    if row is None:
        raise operation.missing("webhook")
    return row, row.pop("version")


def _record(
    connection: Connection,
    caller: Caller,
    event: str,
    locked: RowMapping,
    before: dict[str, Any],
    after: dict[str, Any],
) -> None:
    """The entry of the audit log about a change of the webhook's status."""
    audit.record(
        connection,
        caller,
        event,
        locked["id"],
        before=before,
        after=after,
        level="warning",
        application_id=locked["application_id"],
    )


def _check_size(data: object) -> None:
    if (size := payload.size(data)) > payload.MAX_DATA_BYTES:
        what = Detail("data", f"is {size} bytes")
        raise PayloadTooLarge(f"an event's data has at most {payload.MAX_DATA_BYTES} bytes", details=(what,))
