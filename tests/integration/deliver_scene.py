"""What the tests of the delivery function look at, and time that has passed."""

from functions.deliver import handler as deliver
from tests.integration.conftest import Context, Service


def deliveries(service: Service, query: str = "") -> list[dict]:
    return service.client("GET", f"/v1/deliveries{query}").body["data"]


def attempts(service: Service, delivery: dict) -> list[dict]:
    return service.client("GET", f"/v1/deliveries/{delivery['id']}/attempts").body["data"]


def run(service: Service, queue: str = "delivery", **context: int) -> dict:
    return deliver.handler({"Records": service.messages(queue)}, Context(**context))


def make_due(service: Service) -> None:
    """As if the time had passed: retries, lost messages and leases are due now."""
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET sweep_at = now(), scheduled_at = least(scheduled_at, now()),"
        " lease_expires_at = CASE WHEN lease_expires_at IS NOT NULL THEN now() END WHERE sweep_at IS NOT NULL"
    )


def without_rules(service: Service, table: str, *names: str) -> None:
    """As if the table had rows that are spoilt, or older than these rules: what reads them must cope."""
    service.sql.run(f"ALTER TABLE webhook.{table} {', '.join(f'DROP CONSTRAINT {name}' for name in names)}")


def failed_at(service: Service) -> list[bool]:
    """For every delivery, that is: whether it is failed exactly when it has the time of that."""
    return [
        failed == (at is not None)
        for failed, at in service.sql.run("SELECT status = 'failed', failed_at FROM webhook.webhook_deliveries")
    ]
