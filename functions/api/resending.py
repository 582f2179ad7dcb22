"""What stands in the way of sending something again, said in a way that helps."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection

from functions.api.caller import Caller
from functions.api.queries import archives, levers
from functions.domain.jobs import MAX_ATTEMPTS
from functions.errors import Conflict, Detail, Invalid

NO_WEBHOOK = "there is no such webhook"


def check(connection: Connection, delivery: Mapping[str, Any] | None, id: str) -> None:
    """Raises Conflict unless the delivery of this id, locked as queries/retries.py does, can be sent again."""
    if delivery is None:
        raise Conflict(f"its delivery is not kept any more{archives.where(connection, 'delivery', id)}")
    if delivery["status"] == "delivered":
        raise Conflict("it was delivered; to send it again, replay its event")
    if delivery["status"] == "delivering":
        raise Conflict("it is being delivered this moment")
    if delivery["webhook_deleted"]:
        raise Conflict("its webhook was deleted")
    if delivery["has_payload"] is None:
        archived = archives.where(connection, "event", str(delivery["event_id"]))
        raise Conflict(f"its event's payload is not kept any more: there is nothing left to send{archived}")
    if not delivery["has_payload"]:
        raise Conflict("its event's payload was expunged: there is nothing left to send")
    if delivery["status"] == "pending" and delivery["webhook_status"] != "active":
        raise Conflict(f"its webhook is {delivery['webhook_status']} and it waits for that: resume the webhook")
    if delivery["status"] == "pending" and delivery["held"]:
        raise Conflict("it waits in line behind an earlier delivery of its webhook: skip that one, or wait for it")
    if delivery["status"] == "failed" and delivery["attempts"] + delivery["budget"] > MAX_ATTEMPTS:
        raise Conflict("it was tried too often; replay its event instead")


def application_of(connection: Connection, caller: Caller, webhook_id: str | None) -> str | None:
    """The application that what is reached is bound to: the caller's, or that of the webhook a body names.

    Raises Invalid when there is no such webhook.
    """
    if webhook_id is None:
        return caller.application_id or None
    webhook = levers.webhook(connection, caller, webhook_id)
    if webhook is None:
        raise no_webhook()
    return str(webhook["application_id"]) if webhook["application_id"] else None


def no_webhook() -> Invalid:
    """What a body that names none gets."""
    return Invalid(NO_WEBHOOK, details=(Detail("webhook_id", NO_WEBHOOK),))
