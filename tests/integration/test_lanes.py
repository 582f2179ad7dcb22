"""Slow and hanging endpoints: others do not wait for them (P6)."""

import json
import threading
import time
from collections.abc import Iterator

import pytest

from functions.deliver.claims import Lane, claim
from functions.settings import settings
from tests.integration.conftest import Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.engine_scene import batch, deliveries, due, health, named, run, run_all, statuses


@pytest.fixture
def other() -> Iterator[Endpoint]:
    with endpoint() as here:
        yield here


def slow(service: Service, webhook: dict, *, strikes: int = 0) -> None:
    service.sql.run(
        "UPDATE webhook.webhook_health SET slow_until = now() + interval '1 hour', strikes = :strikes"
        " WHERE webhook_id = CAST(:id AS uuid)",
        id=webhook["id"],
        strikes=strikes,
    )


def until(condition: object, seconds: float = 30) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:  # type: ignore[operator]
        time.sleep(0.02)
    return bool(condition())  # type: ignore[operator]


@pytest.mark.parametrize(
    "change",
    [
        "slow_until = now() + interval '1 hour'",
        "hold_until = now() + interval '1 hour'",
        "circuit = 'open', hold_until = now() - interval '1 s'",
        "circuit = 'half_open', hold_until = now() - interval '1 s'",
    ],
)
def test_what_goes_to_an_unhealthy_webhook_takes_the_other_lane_untouched(
    service: Service, receiver: Endpoint, change: str
) -> None:
    webhook = service.webhook(url=receiver.url)
    service.sql.run(f"UPDATE webhook.webhook_health SET {change}")
    service.event()
    before = service.sql.run("SELECT token, sweep_at, xmin::text FROM webhook.webhook_deliveries")
    run(service)
    assert receiver.received == []
    assert service.sql.run("SELECT token, sweep_at, xmin::text FROM webhook.webhook_deliveries") == before
    assert named(service.messages("retry")) == [one["id"] for one in deliveries(service, webhook)]


def test_a_slow_answer_makes_the_webhook_slow_and_a_fast_one_does_not(
    service: Service, receiver: Endpoint, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    run(service)
    assert health(service, webhook)["slow_until"] is None
    monkeypatch.setenv("SLOW_AFTER_MS", "1")
    settings.cache_clear()
    receiver.before = lambda: time.sleep(0.05)
    service.event()
    run(service)
    assert health(service, webhook)["slow"] == pytest.approx(60, abs=20)
    shown = service.client("GET", f"/v1/webhooks/{webhook['id']}").body
    assert shown["slow_until"]
    assert shown["circuit"]["state"] == "closed"


@pytest.mark.parametrize(("strikes", "share"), [(0, 32), (1, 4)])
def test_a_slow_webhook_has_its_share_of_an_invocation(
    service: Service, receiver: Endpoint, strikes: int, share: int
) -> None:
    webhook = service.webhook(url=receiver.url)
    slow(service, webhook, strikes=strikes)
    batch(service, 40)
    run(service)
    tokens = dict(pair for one in service.messages("retry") for pair in json.loads(one["body"])["deliveries"])
    taken = claim(tokens, 60_000, Lane.RETRY, {webhook["id"]: 2})
    assert len(taken.claims) == share - 2
    assert len(taken.held) == 40 - (share - 2)
    assert [one["attempts"] for one in deliveries(service, webhook)] == [0] * 40
    waits = due(service, webhook)[share - 2 :]
    assert waits == sorted(waits)
    assert len(set(waits)) == len(waits)


def test_a_webhook_that_does_not_answer_is_slow_before_its_timeout(
    service: Service, receiver: Endpoint, other: Endpoint
) -> None:
    hanging, healthy = service.webhook(url=receiver.url), service.webhook(url=other.url)
    marked: list[bool] = []
    first = threading.Lock()

    def hang() -> None:
        if first.acquire(blocking=False):
            marked.append(until(lambda: health(service, hanging)["slow_until"] is not None))

    receiver.before = hang
    batch(service, 40)
    run(service)
    assert marked == [True]
    assert statuses(service, healthy) == ["delivered"] * 40
    assert health(service, healthy)["slow_until"] is None


def test_while_an_endpoint_hangs_others_are_delivered_to_by_the_same_invocation(
    service: Service, receiver: Endpoint, other: Endpoint
) -> None:
    service.webhook(url=receiver.url, event_types=["slow.one"])
    healthy = service.webhook(url=other.url, event_types=["fast.one"])
    in_time: list[bool] = []

    def hang() -> None:
        service.event(type="fast.one")
        in_time.append(until(lambda: len(other.received) == 1))

    receiver.before = hang
    service.event(type="slow.one")
    run(service)
    assert in_time == [True]
    assert statuses(service, healthy) == ["delivered"]
    assert service.messages() == [], "what was taken in is off the queue"


def test_a_foreign_message_that_is_taken_in_goes_back_for_the_redrive_policy(
    service: Service, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url)
    url = settings().delivery_queue_url

    def hang() -> None:
        service.sqs.send_message(QueueUrl=url, MessageBody="not ours")
        attributes = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        dlq = url + "-dlq"

        def is_dead() -> bool:
            found = service.sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=attributes)["Attributes"]
            return found["ApproximateNumberOfMessages"] == "1"

        until(is_dead, 10)

    receiver.before = hang
    service.event()
    run(service)
    assert [one["body"] for one in service.messages()] in (["not ours"], [])


def test_what_an_invocation_cannot_begin_any_more_goes_to_another(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    service.event()
    run(service, remaining_ms=5_000)
    assert receiver.received == []
    run_all(service)
    (delivery,) = deliveries(service, webhook)
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 1)
