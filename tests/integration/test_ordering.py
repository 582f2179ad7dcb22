"""Strict ordering: event N+1 is not sent before N is delivered or given up (P7)."""

import json
from typing import Any

import pytest

from functions.deliver.admission import RUN
from functions.deliver.claims import Lane, claim
from functions.dispatch import handler as dispatch
from tests.integration.conftest import Context, Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.engine_scene import batch, deliveries, due, named, pass_time, run, run_all, statuses

FIXED = {"kind": "fixed", "delay_seconds": 60}


def ordered(service: Service, receiver: Endpoint, **values: Any) -> dict[str, Any]:
    return service.webhook(url=receiver.url, ordering="strict", retry_strategy=FIXED, **values)


def got(receiver: Endpoint) -> list[str]:
    return [one.headers["webhook-id"] for one in receiver.received]


def test_a_batch_arrives_in_its_order(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    events = batch(service, 2 * RUN + 20)
    run_all(service)
    assert got(receiver) == events
    assert set(statuses(service, webhook)) == {"delivered"}


def test_ids_of_the_caller_s_own_do_not_change_the_order(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver)
    for n in (3, 1, 2):
        service.event(id=f"own-{n}", data={"n": n})
    run_all(service)
    assert [json.loads(one.body)["n"] for one in receiver.received] == [3, 1, 2]


def test_one_is_recorded_before_the_next_is_sent(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    seen: list[list[str]] = []
    receiver.before = lambda: seen.append(statuses(service, webhook))
    batch(service, 3)
    run_all(service)
    assert seen == [
        ["delivering", "delivering", "delivering"],
        ["delivered", "delivering", "delivering"],
        ["delivered", "delivered", "delivering"],
    ]


def test_while_the_head_waits_for_its_retry_nothing_else_goes(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    receiver.status = 500
    events = batch(service, 5)
    run_all(service)
    assert got(receiver) == events[:1]
    later = service.event()["id"]
    run_all(service)
    assert got(receiver) == events[:1]
    assert due(service, webhook)[1:] == [None] * 5
    assert [one["attempts"] for one in deliveries(service, webhook)] == [1, 0, 0, 0, 0, 0]
    receiver.status = 200
    pass_time(service, 61)
    run_all(service)
    assert got(receiver) == [events[0], *events, later]
    assert set(statuses(service, webhook)) == {"delivered"}


def test_a_head_that_is_given_up_lets_the_others_go(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver, max_attempts=2)
    events = batch(service, 3)
    receiver.status = 500
    run_all(service)
    pass_time(service, 61)

    def mend() -> None:
        receiver.status = 500 if len(receiver.received) <= 2 else 200

    receiver.before = mend
    run_all(service)
    assert got(receiver) == [events[0], events[0], events[1], events[2]]
    assert statuses(service, webhook) == ["failed", "delivered", "delivered"]


def test_messages_in_any_order_do_not_change_it(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver)
    events = [service.event(data={"n": n})["id"] for n in range(4)]
    messages = service.messages()
    from functions.deliver import handler as deliver

    for message in reversed(messages):
        deliver.handler({"Records": [message]}, Context())
    run_all(service)
    assert got(receiver) == events


def test_another_invocation_waits_while_one_is_at_the_line(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    first, second = service.event()["id"], None
    (message,) = service.messages()
    taken = claim(dict(json.loads(message["body"])["deliveries"]), 60_000, Lane.FRESH, {})
    assert len(taken.claims) == 1
    second = service.event()["id"]
    run_all(service)
    assert got(receiver) == []
    assert due(service, webhook) == [pytest.approx(0, abs=30), None]
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET lease_expires_at = now() WHERE lease_expires_at > now()"
    )
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now() WHERE sweep_at < 'infinity'")
    dispatch.handler({}, Context())
    run_all(service)
    assert got(receiver) == [first, second]


def test_a_line_that_nobody_woke_is_found_by_dispatch(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    events = batch(service, 3)
    service.messages()
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = 'infinity'")
    assert dispatch.handler({}, Context())["lines"] == 1
    assert dispatch.handler({}, Context())["lines"] == 0
    run_all(service)
    assert got(receiver) == events
    assert set(statuses(service, webhook)) == {"delivered"}


def test_lines_of_paused_and_unordered_webhooks_are_left_alone(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver)
    service.webhook(url=receiver.url)
    batch(service, 3)
    service.messages()
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = 'infinity'")
    service.sql.run("UPDATE webhook.webhooks SET status = 'paused' WHERE ordering = 'strict'")
    assert dispatch.handler({}, Context())["lines"] == 0


@pytest.mark.parametrize("how", ["expunged", "gone"])
def test_what_is_behind_a_head_whose_payload_is_gone_goes_on(
    service: Service, receiver: Endpoint, how: str
) -> None:
    webhook = ordered(service, receiver)
    receiver.status = 500
    events = batch(service, 3)
    run_all(service)
    receiver.status = 200
    if how == "expunged":
        assert service.client("DELETE", f"/v1/events/{events[0]}/payload").status == 200
    else:
        service.sql.run("DELETE FROM webhook.webhook_events WHERE id = :id", id=events[0])
    pass_time(service, 61)
    run_all(service)
    assert got(receiver)[1:] == events[1:]
    assert statuses(service, webhook) == ["failed", "delivered", "delivered"]


def test_a_pause_keeps_the_order(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    events = batch(service, 5)
    run_all(service)
    assert got(receiver) == []
    service.client("POST", f"/v1/webhooks/{webhook['id']}/resume")
    run_all(service)
    assert got(receiver) == events


def test_an_open_circuit_holds_the_head_and_with_it_the_line(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    service.sql.run(
        "UPDATE webhook.webhook_health SET circuit = 'open', strikes = 10, hold_until = now() + interval '300 s'"
    )
    events = batch(service, 3)
    run_all(service)
    assert due(service, webhook) == [pytest.approx(300, abs=20), None, None]
    pass_time(service, 301)
    run_all(service)
    assert got(receiver) == events


def test_a_rate_limit_slows_a_line_and_does_not_break_it(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver, rate_limit={"requests": 2, "per_seconds": 600})
    events = batch(service, 5)
    run_all(service)
    assert got(receiver) == events[:2]
    pass_time(service, 301)
    run_all(service)
    assert got(receiver) == events[:3]
    pass_time(service, 10_000)
    run_all(service)
    pass_time(service, 10_000)
    run_all(service)
    assert got(receiver) == events


def test_unordered_webhooks_beside_it_are_not_held_up(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver)
    receiver.status = 500
    with endpoint() as free:
        other = service.webhook(url=free.url)
        batch(service, 5)
        run(service)
        assert statuses(service, other) == ["delivered"] * 5


def test_a_redriven_delivery_takes_its_old_place_at_the_head(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver, max_attempts=1)
    receiver.status = 500
    first = service.event()["id"]
    run_all(service)
    receiver.status = 200
    (letter,) = service.client("GET", "/v1/dead-letters").body["data"]
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    rest = batch(service, 3)
    run_all(service)
    assert service.client("POST", f"/v1/dead-letters/{letter['id']}/redrive").status == 200
    run_all(service)
    service.client("POST", f"/v1/webhooks/{webhook['id']}/resume")
    run_all(service)
    assert got(receiver) == [first, first, *rest]


def test_what_is_left_of_a_run_goes_back_in_line_when_the_time_is_up(service: Service, receiver: Endpoint) -> None:
    webhook = ordered(service, receiver)
    events = batch(service, 3)
    run(service, remaining_ms=5_000)
    assert got(receiver) == []
    assert statuses(service, webhook) == ["pending"] * 3
    run_all(service)
    assert got(receiver) == events


def test_only_the_head_has_a_message(service: Service, receiver: Endpoint) -> None:
    ordered(service, receiver)
    receiver.status = 500
    batch(service, 4)
    run_all(service)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET sweep_at = now(), scheduled_at = now() - interval '1 s'"
        " WHERE sweep_at < 'infinity'"
    )
    dispatch.handler({}, Context())
    assert len(named(service.messages() + service.messages("retry"))) == 1
