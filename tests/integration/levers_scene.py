"""What the tests of levers begin with: deliveries that failed, wait or are held, and the jobs function at work."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

from functions.deliver import handler as deliver
from functions.dispatch import handler as dispatch
from functions.jobs import handler as jobs
from tests.integration.conftest import Client, Context, Service

MADE = """
WITH events AS (
  INSERT INTO webhook.webhook_events (project_id, type, data, correlation_id, webhooks_matched, application_id)
  SELECT CAST(:project AS uuid), :type, jsonb_build_object('n', n), 'scene', 1, CAST(:application AS uuid)
  FROM generate_series(1, CAST(:count AS integer)) AS n RETURNING id
)
INSERT INTO webhook.webhook_deliveries (project_id, webhook_id, event_id, event_type, application_id, status,
  attempts, max_attempts, failed_at, scheduled_at, sweep_at)
SELECT CAST(:project AS uuid), CAST(:webhook AS uuid), id, :type, CAST(:application AS uuid), :status, 2, 2,
  CASE WHEN :status = 'failed' THEN now() END,
  CASE WHEN :status <> 'failed' THEN now() + interval '1 hour' END,
  CAST(CASE WHEN :status <> 'failed' THEN :sweep END AS timestamptz)
FROM events ORDER BY id RETURNING id
"""
DEAD = """
INSERT INTO webhook.webhook_dlq (project_id, application_id, webhook_id, event_id, event_type, delivery_id, reason,
  attempts, last_error_code, last_error_message, last_response_status)
SELECT project_id, application_id, webhook_id, event_id, event_type, id, 'attempts_exhausted', attempts,
  'http_status', 'the endpoint answered 500', 500
FROM webhook.webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id RETURNING id
"""


def failed(service: Service, webhook: dict, count: int = 1, *, type: str = "invoice.paid") -> list[str]:
    """Deliveries to this webhook that used up their attempts, each with its dead letter; oldest first."""
    ids = _made(service, webhook, count, type, "failed", None)
    service.sql.run(DEAD, ids=ids)
    return ids


def waiting(service: Service, webhook: dict, count: int = 1, *, type: str = "invoice.paid") -> list[str]:
    """Deliveries to this webhook whose next attempt comes in an hour."""
    return _made(service, webhook, count, type, "pending", datetime.now(UTC) + timedelta(hours=1))


def held(service: Service, webhook: dict, count: int = 1) -> list[str]:
    """Deliveries that wait for this webhook to be resumed."""
    return _made(service, webhook, count, "invoice.paid", "pending", "infinity")


def _made(service: Service, webhook: dict, count: int, type: str, status: str, sweep: Any) -> list[str]:
    values = {"project": service.project_id, "webhook": webhook["id"], "application": webhook["application_id"]}
    rows = service.sql.run(
        MADE, **values, count=count, type=type, status=status, sweep=str(sweep) if sweep else None
    )
    return [str(id) for (id,) in rows]


def dead_letter_of(service: Service, delivery: str) -> str:
    ((id,),) = service.sql.run("SELECT id FROM webhook.webhook_dlq WHERE delivery_id = :id", id=delivery)
    return str(id)


def delivery(service: Service, id: str) -> dict[str, Any]:
    return dict(service.client("GET", f"/v1/deliveries/{id}").body)


def states(service: Service) -> dict[str, int]:
    """How many deliveries there are in each state."""
    rows = service.sql.run("SELECT status, count(*) FROM webhook.webhook_deliveries GROUP BY status")
    return dict(rows)


def tokens(service: Service, ids: list[str]) -> set[int]:
    rows = service.sql.run(
        "SELECT token FROM webhook.webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[]))", ids=ids
    )
    return {token for (token,) in rows}


def work(service: Service) -> int:
    """The jobs function takes message after message until there is none; how many there were."""
    done = 0
    while records := service.messages("jobs"):
        for record in records:
            assert jobs.handler({"Records": [record]}, Context()) == {"batchItemFailures": []}
            done += 1
    return done


def message(id: str, token: int) -> dict[str, Any]:
    """A message of the jobs queue as the function receives it."""
    return {"messageId": "m", "receiptHandle": "r", "body": json.dumps({"v": 1, "job": id, "token": token})}


def job(service: Service, id: str) -> dict[str, Any]:
    answer = service.client("GET", f"/v1/jobs/{id}")
    assert answer.status == 200, answer.body
    return dict(answer.body)


def start(service: Service, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """The job that this call starts; what it changes is what its dry run counted."""
    counted = service.client("POST", path, {**body, "dry_run": True})
    assert counted.status == 200, counted.body
    assert counted.body["dry_run"] is True
    answer = service.client("POST", path, body)
    assert answer.status == 202, answer.body
    assert answer.body["total"] == counted.body["matched"]
    assert answer.headers["location"] == f"/v1/jobs/{answer.body['id']}"
    return dict(answer.body)


def sent(service: Service, queue: str = "retry") -> dict[str, int]:
    """The deliveries that messages on this queue name, with their tokens."""
    pairs = [pair for one in service.messages(queue) for pair in json.loads(one["body"]).get("deliveries", ())]
    return dict(pairs)


def run(service: Service, queue: str = "delivery") -> dict[str, Any]:
    return dict(deliver.handler({"Records": service.messages(queue)}, Context()))


def dispatch_all(service: Service) -> dict[str, int]:
    """Dispatch, as if what is waited for were overdue; what is held stays held."""
    for table in ("webhook_deliveries", "webhook_dlq", "jobs"):
        service.sql.run(f"UPDATE webhook.{table} SET sweep_at = now() WHERE sweep_at < 'infinity'")
    return dict(dispatch.handler({}, Context()))


def bound_client(service: Service, *scopes: str) -> tuple[str, Client]:
    """A new application, and a client whose key is bound to it."""
    application = service.client("POST", "/v1/applications", {"name": "acme"}).body["id"]
    wanted = {"name": "bound", "scopes": list(scopes) or ["*"], "application_id": application}
    made = service.admin("POST", f"/v1/projects/{service.project_id}/api-keys", wanted)
    assert made.status == 201, made.body
    return application, Client(made.body["key"])


def audited(service: Service, event: str) -> list[dict[str, Any]]:
    """The audit log's entries of this event, newest first."""
    return list(service.client("GET", f"/v1/audit-log?event={event}").body["data"])


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat().replace("+00:00", "Z")


def retry(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    """A job that retries what failed at this webhook."""
    return start(service, "/v1/deliveries/retry", {"webhook_id": webhook["id"]})
