"""What the tests of the delivery engine begin with: deliveries on their way, and time that passes."""

import json
from typing import Any

from functions.deliver import handler as deliver
from functions.dispatch import handler as dispatch
from functions.settings import settings
from tests.integration.conftest import Context, Service

# The clock is the database's: an hour that has passed is times that lie an hour further back.
LATER = (
    "UPDATE webhook.webhook_deliveries SET scheduled_at = scheduled_at - CAST(:by AS interval),"
    " sweep_at = sweep_at - CAST(:by AS interval), lease_expires_at = lease_expires_at - CAST(:by AS interval),"
    " created_at = created_at - CAST(:by AS interval)"
    " WHERE sweep_at IS NOT NULL",
    "UPDATE webhook.webhook_health SET hold_until = hold_until - CAST(:by AS interval),"
    " slow_until = slow_until - CAST(:by AS interval), rate_due_at = rate_due_at - CAST(:by AS interval),"
    " line_until = line_until - CAST(:by AS interval), last_success_at = last_success_at - CAST(:by AS interval),"
    " last_failure_at = last_failure_at - CAST(:by AS interval)",
)
# Messages with a delay wait by the real clock; dispatch sends others for them, as if they were lost.
DUE = (
    "UPDATE webhook.webhook_deliveries SET sweep_at = now()"
    " WHERE status = 'pending' AND scheduled_at <= now() AND sweep_at < 'infinity'"
)


def run(service: Service, queue: str = "delivery", **context: int) -> int:
    """Deliver what waits on this queue; how many messages that were. A dead letter's comes once."""
    messages = service.messages(queue)
    for one in messages:
        url = settings().retry_queue_url if queue == "retry" else settings().delivery_queue_url
        service.sqs.delete_message(QueueUrl=url, ReceiptHandle=one["receiptHandle"])
    if messages:
        deliver.handler({"Records": messages}, Context(**context))
    return len(messages)


def run_all(service: Service) -> None:
    """Until nothing is left that is due now, on either queue."""
    while run(service) + run(service, "retry"):
        pass


def pass_time(service: Service, seconds: float) -> None:
    """So much later; dispatch has been at work."""
    for statement in LATER:
        service.sql.run(statement, by=f"{seconds} s")
    service.sql.run(DUE)
    dispatch.handler({}, Context())


def deliveries(service: Service, webhook: dict[str, Any]) -> list[dict[str, Any]]:
    """Those to this webhook, oldest first."""
    answer = service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}&limit=250")
    return list(reversed(answer.body["data"]))


def statuses(service: Service, webhook: dict[str, Any]) -> list[str]:
    return [one["status"] for one in deliveries(service, webhook)]


def health(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    """The row in webhook_health; times as seconds from now."""
    (row,) = service.sql.run(
        "SELECT to_jsonb(h) || jsonb_build_object("
        " 'held', extract(epoch FROM hold_until - now()), 'slow', extract(epoch FROM slow_until - now()),"
        " 'line', extract(epoch FROM line_until - now()), 'rate', extract(epoch FROM rate_due_at - now()))"
        " FROM webhook.webhook_health h WHERE webhook_id = CAST(:id AS uuid)",
        id=webhook["id"],
    )
    return dict(row[0])


def due(service: Service, webhook: dict[str, Any]) -> list[float | None]:
    """When each unfinished delivery is due, in seconds from now; None in line. Oldest first."""
    rows = service.sql.run(
        "SELECT CASE WHEN sweep_at < 'infinity' THEN extract(epoch FROM scheduled_at - now()) END"
        " FROM webhook.webhook_deliveries WHERE webhook_id = CAST(:id AS uuid) AND sweep_at IS NOT NULL"
        " ORDER BY id",
        id=webhook["id"],
    )
    return [None if seconds is None else float(seconds) for (seconds,) in rows]


def batch(service: Service, count: int, **event: Any) -> list[str]:
    """So many events at once; their ids."""
    events = [{"type": "invoice.paid", "data": {"n": n}, **event} for n in range(count)]
    answer = service.client("POST", "/v1/events/batch", {"events": events})
    assert answer.status == 202, answer.body
    return [one["id"] for one in answer.body["data"]]


def named(messages: list[dict[str, Any]]) -> list[str]:
    """The deliveries that these messages name."""
    return [id for one in messages for id, _token in json.loads(one["body"])["deliveries"]]
