"""What the tests of replays begin with: events that nobody got, and how they are asked for."""

import json
from typing import Any

from functions.domain.filters import compile_filter
from tests.integration.conftest import Service
from tests.integration.levers_scene import (
    ago,
    start,
)

EVENTS = """
INSERT INTO webhook.webhook_events (project_id, type, data, correlation_id, application_id, environment)
SELECT CAST(:project AS uuid), :type, CAST(:data AS jsonb), 'scene', CAST(:application AS uuid), :environment
FROM generate_series(1, CAST(:count AS integer)) RETURNING id
"""


def events(
    service: Service,
    count: int = 1,
    *,
    type: str = "invoice.paid",
    data: str = '{"n": 1}',
    application: str | None = None,
    environment: str | None = None,
) -> list[str]:
    """Events that nobody got, oldest first."""
    values = {"application": application, "environment": environment, "type": type, "data": data, "count": count}
    return sorted(str(id) for (id,) in service.sql.run(EVENTS, project=service.project_id, **values))


def replay(service: Service, event: str, **body: Any) -> Any:
    return service.client("POST", f"/v1/events/{event}/replay", body or None)


def got_by(service: Service, webhook: dict) -> list[str]:
    """The events that there are deliveries of to this webhook, oldest first."""
    rows = service.sql.run(
        "SELECT event_id FROM webhook.webhook_deliveries WHERE webhook_id = :id ORDER BY event_id",
        id=webhook["id"],
    )
    return [str(id) for (id,) in rows]


def missing(service: Service, webhook: dict, **window: Any) -> dict[str, Any]:
    return start(service, f"/v1/webhooks/{webhook['id']}/replay-missing", {"since": ago(hours=1), **window})


def filtered(service: Service, webhook: dict, wanted: dict) -> None:
    """Give the webhook's subscriptions this filter."""
    service.sql.run(
        "UPDATE webhook.webhook_subscriptions SET filter = CAST(:filter AS jsonb),"
        " filter_path = CAST(:path AS jsonpath) WHERE webhook_id = :id",
        filter=json.dumps(wanted),
        path=compile_filter(wanted),
        id=webhook["id"],
    )
