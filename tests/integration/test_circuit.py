"""The circuit breaker: an endpoint that fails is left alone, tried now and then, and found again (P6)."""

import json

import pytest

from functions.deliver.claims import Lane, claim
from tests.integration.conftest import Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.engine_scene import batch, deliveries, due, health, pass_time, run, run_all, statuses

FIXED = {"kind": "fixed", "delay_seconds": 3600}


def opened(service: Service, receiver: Endpoint, status: int = 500) -> dict:
    """A webhook whose circuit is open after ten failures."""
    receiver.status = status
    webhook = service.webhook(url=receiver.url, retry_strategy=FIXED)
    batch(service, 10)
    run_all(service)
    assert health(service, webhook)["circuit"] == "open"
    receiver.received.clear()
    return webhook


def test_nine_failures_in_a_row_are_no_reason(service: Service, receiver: Endpoint) -> None:
    receiver.status = 500
    webhook = service.webhook(url=receiver.url, retry_strategy=FIXED)
    batch(service, 9)
    run_all(service)
    assert (health(service, webhook)["circuit"], health(service, webhook)["strikes"]) == ("closed", 9)
    receiver.status = 200
    service.event()
    run_all(service)
    assert health(service, webhook)["strikes"] == 0


def test_ten_open_it_and_what_comes_then_is_held_without_an_attempt(service: Service, receiver: Endpoint) -> None:
    webhook = opened(service, receiver)
    assert health(service, webhook)["held"] == pytest.approx(30, abs=20)
    batch(service, 3)
    run_all(service)
    assert receiver.received == []
    held = deliveries(service, webhook)[-3:]
    assert [(one["status"], one["attempts"]) for one in held] == [("pending", 0)] * 3
    first, second, third = due(service, webhook)[-3:]
    assert 0 < first < second < third < 31
    shown = service.client("GET", f"/v1/webhooks/{webhook['id']}").body
    assert shown["circuit"]["state"] == "open"


@pytest.mark.parametrize("status", [400, 401, 404, 422])
def test_answers_that_speak_of_the_request_do_not_open_it(
    service: Service, receiver: Endpoint, status: int
) -> None:
    receiver.status = status
    webhook = service.webhook(url=receiver.url, retry_strategy=FIXED)
    batch(service, 12)
    run_all(service)
    found = health(service, webhook)
    assert (found["circuit"], found["strikes"], found["failure_count"]) == ("closed", 0, 12)


def test_one_probe_goes_when_the_time_has_come_and_the_others_wait_for_it(
    service: Service, receiver: Endpoint
) -> None:
    webhook = opened(service, receiver)
    batch(service, 5)
    run_all(service)
    pass_time(service, 31)
    meanwhile: list[str] = []
    receiver.before = lambda: meanwhile.append(health(service, webhook)["circuit"])
    run_all(service)
    assert (len(receiver.received), meanwhile) == (1, ["half_open"])
    found = health(service, webhook)
    assert (found["circuit"], found["circuit_openings"]) == ("open", 2)
    assert found["held"] == pytest.approx(60, abs=20)
    assert [one["attempts"] for one in deliveries(service, webhook)[10:]] == [1, 0, 0, 0, 0]


@pytest.mark.parametrize(("openings", "seconds"), [(1, 60), (2, 120), (4, 480), (5, 900), (9, 900), (5000, 900)])
def test_it_stays_open_for_longer_and_longer_up_to_a_quarter_of_an_hour(
    service: Service, receiver: Endpoint, openings: int, seconds: int
) -> None:
    webhook = service.webhook(url=receiver.url, retry_strategy=FIXED)
    service.sql.run(
        "UPDATE webhook.webhook_health SET circuit = 'open', circuit_openings = :openings, strikes = 10,"
        " hold_until = now()",
        openings=openings,
    )
    receiver.status = 500
    service.event()
    run_all(service)
    assert health(service, webhook)["circuit_openings"] == openings + 1
    assert health(service, webhook)["held"] == pytest.approx(seconds, abs=20)


def test_a_success_closes_it_and_everything_that_waited_arrives(service: Service, receiver: Endpoint) -> None:
    webhook = opened(service, receiver)
    batch(service, 20)
    run_all(service)
    receiver.status = 200
    pass_time(service, 31)
    run_all(service)
    found = health(service, webhook)
    assert (found["circuit"], found["circuit_openings"], found["strikes"]) == ("closed", 0, 0)
    assert found["hold_until"] is None
    pass_time(service, 5)
    run_all(service)
    assert statuses(service, webhook)[10:] == ["delivered"] * 20
    assert [one["attempts"] for one in deliveries(service, webhook)[10:]] == [1] * 20


def test_a_probe_that_is_answered_at_all_closes_it(service: Service, receiver: Endpoint) -> None:
    webhook = opened(service, receiver)
    batch(service, 1)
    run_all(service)
    receiver.status = 404
    pass_time(service, 31)
    run_all(service)
    assert health(service, webhook)["circuit"] == "closed"


def test_a_probe_whose_function_died_is_followed_by_another(service: Service, receiver: Endpoint) -> None:
    webhook = opened(service, receiver)
    service.sql.run(
        "UPDATE webhook.webhook_health SET circuit = 'half_open', hold_until = now() + interval '25 s'"
        " WHERE webhook_id = CAST(:id AS uuid)",
        id=webhook["id"],
    )
    batch(service, 2)
    run_all(service)
    assert receiver.received == []
    receiver.status = 200
    pass_time(service, 26)
    run_all(service)
    assert len(receiver.received) == 1
    assert health(service, webhook)["circuit"] == "closed"


def test_what_was_under_way_when_it_opened_does_not_open_it_again(service: Service, receiver: Endpoint) -> None:
    receiver.status = 500
    webhook = service.webhook(url=receiver.url, retry_strategy=FIXED)
    batch(service, 30)
    run_all(service)
    found = health(service, webhook)
    assert (found["circuit"], found["circuit_openings"]) == ("open", 1)


def test_retry_after_holds_all_that_goes_to_the_webhook(service: Service, receiver: Endpoint) -> None:
    receiver.status, receiver.headers = 429, {"retry-after": "120"}
    webhook = service.webhook(url=receiver.url)
    service.event()
    run_all(service)
    service.event()
    run_all(service)
    assert len(receiver.received) == 1
    waits = due(service, webhook)
    assert waits == pytest.approx([120, 120], abs=20)
    shown = service.client("GET", f"/v1/webhooks/{webhook['id']}").body
    assert shown["circuit"]["state"] == "closed"
    assert shown["held_until"]
    receiver.status = 200
    pass_time(service, 122)
    run_all(service)
    assert statuses(service, webhook) == ["delivered", "delivered"]


def test_what_a_wrong_clock_has_left_holds_nothing(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url, rate_limit={"requests": 1, "per_seconds": 10})
    service.sql.run(
        "UPDATE webhook.webhook_health SET circuit = 'open', hold_until = now() + interval '2 hours',"
        " rate_due_at = now() + interval '2 hours'"
    )
    service.event()
    run_all(service)
    assert statuses(service, webhook) == ["delivered"]
    service.event()
    run_all(service)
    assert due(service, webhook) == [pytest.approx(10, abs=20)]


def test_other_webhooks_do_not_notice(service: Service, receiver: Endpoint) -> None:
    opened(service, receiver)
    with endpoint() as healthy:
        other = service.webhook(url=healthy.url)
        batch(service, 5)
        run(service)
        assert statuses(service, other) == ["delivered"] * 5


def test_while_the_probe_is_under_way_nobody_else_gets_one(service: Service, receiver: Endpoint) -> None:
    webhook = opened(service, receiver)
    for _ in range(2):
        service.event()
    run_all(service)
    pass_time(service, 31)
    messages = service.messages() + service.messages("retry")
    (first, token), (second, other) = sorted(
        pair for one in messages for pair in json.loads(one["body"])["deliveries"]
    )
    probe = claim({first: token}, 60_000, Lane.RETRY, {})
    assert [one.id for one in probe.claims] == [first]
    late = claim({second: other}, 60_000, Lane.RETRY, {})
    assert (late.claims, [one.id for one in late.held]) == ([], [second])
    assert health(service, webhook)["circuit"] == "half_open"
