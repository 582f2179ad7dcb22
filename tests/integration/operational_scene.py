"""What the tests of operational events look at."""

from typing import Any

from sqlalchemy import Connection

from functions.adapters.database import transaction
from functions.domain import operational
from functions.domain.operational import SLOW, Notice, Signal, notify
from tests.integration.conftest import Service

STORED = """
SELECT CAST(e.id AS text), e.type, e.data, e.correlation_id, e.webhooks_matched, CAST(e.application_id AS text),
  e.environment
FROM webhook.webhook_events e WHERE e.type LIKE 'hookline.%' AND e.data -> 'n' IS NULL ORDER BY e.id
"""


MADE = """
SELECT CAST(webhook_id AS text), event_type FROM webhook.webhook_deliveries
WHERE event_type LIKE 'hookline.%' AND event_type <> 'hookline.test' ORDER BY id
"""


FAIL = """
UPDATE webhook.webhook_deliveries SET last_error_code = 'http_status', last_response_status = 500,
  last_error_message = 'the endpoint answered 500' WHERE id = :id
"""


def tell(*signals: Signal) -> list[Notice]:
    with transaction() as connection:
        return notify(connection, signals)


def slow(webhook: dict[str, Any], **data: Any) -> Signal:
    return Signal(SLOW, webhook["id"], None, data)


def told(service: Service) -> list[tuple[str, str]]:
    """(webhook, event type) of every delivery that was made."""
    return [(id, type) for id, type in service.sql.run(MADE)]


def stored(service: Service) -> list[dict[str, Any]]:
    names = ("id", "type", "data", "correlation_id", "webhooks_matched", "application_id", "environment")
    return [dict(zip(names, row, strict=True)) for row in service.sql.run(STORED)]


def terminate_then(terminate: Any) -> Any:
    tell_ = operational._tell

    def broken(connection: Connection, *rest: Any) -> Any:
        terminate(connection)
        return tell_(connection, *rest)

    return broken
