"""The rate limit: a token bucket, and a line for what it has no token for (D9)."""

from itertools import pairwise

import pytest

from tests.integration.conftest import Service
from tests.integration.endpoint import Endpoint, endpoint
from tests.integration.engine_scene import batch, deliveries, due, health, pass_time, run, run_all, statuses


def limited(service: Service, receiver: Endpoint, requests: int, per_seconds: int) -> dict:
    limit = {"requests": requests, "per_seconds": per_seconds}
    return service.webhook(url=receiver.url, rate_limit=limit)


@pytest.mark.parametrize(("requests", "per_seconds"), [(1, 10), (3, 1), (6, 1), (7, 60), (20, 3600)])
def test_as_many_go_at_once_as_the_bucket_holds_and_the_others_one_by_one(
    service: Service, receiver: Endpoint, requests: int, per_seconds: int
) -> None:
    webhook = limited(service, receiver, requests, per_seconds)
    batch(service, requests + 5)
    run(service)
    assert len(receiver.received) == requests
    every = per_seconds / requests
    waits = due(service, webhook)
    assert waits[0] == pytest.approx(every, abs=20)
    steps = [later - sooner for sooner, later in pairwise(waits)]
    assert steps == pytest.approx([every] * 4, abs=0.002)
    assert [one["attempts"] for one in deliveries(service, webhook)] == [1] * requests + [0] * 5


def test_the_oldest_go_first(service: Service, receiver: Endpoint) -> None:
    limited(service, receiver, 2, 600)
    events = batch(service, 6)
    run_all(service)
    assert {one.headers["webhook-id"] for one in receiver.received} == set(events[:2])
    for _ in range(4):
        pass_time(service, 300.01)
        run_all(service)
    assert [one.headers["webhook-id"] for one in receiver.received[2:]] == events[2:]


def test_all_arrive_at_the_rate(service: Service, receiver: Endpoint) -> None:
    webhook = limited(service, receiver, 5, 500)
    batch(service, 25)
    run_all(service)
    received = [len(receiver.received)]
    for _ in range(4):
        pass_time(service, 500.01)
        run_all(service)
        received.append(len(receiver.received))
    assert received == [5, 10, 15, 20, 25]
    assert statuses(service, webhook) == ["delivered"] * 25
    assert [one["attempts"] for one in deliveries(service, webhook)] == [1] * 25


def test_what_is_new_stands_behind_those_that_wait(service: Service, receiver: Endpoint) -> None:
    webhook = limited(service, receiver, 2, 20)
    batch(service, 4)
    run_all(service)
    service.sql.run(
        "UPDATE webhook.webhook_health SET rate_due_at = now(), line_until = now() + interval '50 s'"
    )  # there is room again, and the line is still there
    late = service.event()["id"]
    run_all(service)
    assert late not in {one.headers["webhook-id"] for one in receiver.received}
    assert due(service, webhook)[-1] == pytest.approx(50, abs=20)


def test_what_the_bucket_holds_comes_back_with_time_and_no_more_than_it_holds(
    service: Service, receiver: Endpoint
) -> None:
    webhook = limited(service, receiver, 4, 400)
    batch(service, 4)
    run_all(service)
    assert health(service, webhook)["rate"] == pytest.approx(400, abs=20)
    pass_time(service, 200)
    batch(service, 4)
    run_all(service)
    assert len(receiver.received) == 6
    pass_time(service, 100_000)
    run_all(service)
    batch(service, 8)
    run_all(service)
    assert len(receiver.received) == 8 + 2


def test_a_limit_of_one_webhook_is_no_other_s(service: Service, receiver: Endpoint) -> None:
    limited(service, receiver, 1, 3600)
    with endpoint() as free:
        other = service.webhook(url=free.url)
        batch(service, 30)
        run(service)
        assert statuses(service, other) == ["delivered"] * 30
    assert len(receiver.received) == 1


def test_nothing_waits_for_longer_than_an_hour_without_being_looked_at(
    service: Service, receiver: Endpoint
) -> None:
    webhook = limited(service, receiver, 1, 3600)
    batch(service, 5)
    run_all(service)
    assert max(due(service, webhook)) <= 3600
    for _ in range(4):
        pass_time(service, 3601)
        run_all(service)
    assert statuses(service, webhook) == ["delivered"] * 5


def test_a_limit_that_was_taken_away_lets_everything_go(service: Service, receiver: Endpoint) -> None:
    webhook = limited(service, receiver, 1, 60)
    batch(service, 5)
    run_all(service)
    assert service.client("PATCH", f"/v1/webhooks/{webhook['id']}", {"rate_limit": None}).status == 200
    pass_time(service, 3600)
    run_all(service)
    assert statuses(service, webhook) == ["delivered"] * 5
