"""What the delivery function and the levers tell of by operational events (P11)."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from functions.deliver import handler as deliver
from functions.domain.operational import DISABLED, EXHAUSTED, FAILING, Signal
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.levers_scene import dead_letter_of, dispatch_all
from tests.integration.operational_scene import tell

MAKE_DUE = (
    "UPDATE webhook.webhook_deliveries SET sweep_at = now(), scheduled_at = now() WHERE sweep_at < 'infinity'"
)


@pytest.fixture
def listener(service: Service) -> Iterator[Endpoint]:
    """The endpoint of a webhook that wants all operational events."""
    with endpoint() as here:
        service.webhook(name="on call", url=here.url, event_types=["hookline.*"])
        yield here


def attempt(service: Service) -> None:
    """Whatever waits is tried once, and what that brings about is delivered."""
    service.sql.run(MAKE_DUE)
    dispatch_all(service)
    for queue in ("delivery", "retry", "delivery"):
        if records := service.messages(queue):
            deliver.handler({"Records": records}, Context())


def heard(listener: Endpoint) -> list[tuple[str, dict[str, Any]]]:
    return [(got.headers["hookline-event-type"], json.loads(got.body)) for got in listener.received]


def test_the_fourth_failure_of_a_delivery_and_its_last_are_told(
    service: Service, receiver: Endpoint, listener: Endpoint
) -> None:
    receiver.status = 400
    webhook = service.webhook(url=receiver.url, max_attempts=6)
    service.event()
    for _ in range(8):
        attempt(service)
    (failing, of_fourth), (exhausted, of_last) = heard(listener)
    assert (failing, of_fourth["attempts"], of_fourth["webhook_id"]) == (FAILING, 4, webhook["id"])
    assert (exhausted, of_last["attempts"], of_last["max_attempts"]) == (EXHAUSTED, 6, 6)
    assert of_last["last_error"] == {"code": "http_status", "message": "the endpoint answered 400"}
    assert of_last["dead_letter_id"] == dead_letter_of(service, of_last["delivery_id"])


def test_an_endpoint_that_is_gone_is_told_as_disabled_and_its_delivery_as_exhausted(
    service: Service, receiver: Endpoint, listener: Endpoint
) -> None:
    receiver.status = 410
    webhook = service.webhook(url=receiver.url)
    service.event()
    attempt(service)
    told_of = dict(heard(listener))
    assert set(told_of) == {DISABLED, EXHAUSTED}
    assert (
        told_of[DISABLED]["reason"] == service.client("GET", f"/v1/webhooks/{webhook['id']}").body["status_reason"]
    )


def test_a_webhook_that_is_disabled_by_hand_is_told_of(service: Service, listener: Endpoint) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}/disable"
    assert service.client("POST", path, {"reason": "customer left"}).status == 200
    attempt(service)
    ((type, data),) = heard(listener)
    assert (type, data["webhook_id"], data["reason"]) == (DISABLED, webhook["id"], "customer left")


def test_a_listener_that_fails_is_not_told_of_to_another(
    service: Service, receiver: Endpoint, listener: Endpoint
) -> None:
    receiver.status = 404
    service.webhook(url=receiver.url, event_types=["hookline.webhook.*"], max_attempts=1)
    tell(Signal(DISABLED, service.webhook()["id"]))
    attempt(service)
    attempt(service)
    assert len(receiver.received) == 1
    assert [type for type, _ in heard(listener)] == [DISABLED], "and nothing of its exhausted delivery"
    assert len(service.client("GET", "/v1/dead-letters").body["data"]) == 1
