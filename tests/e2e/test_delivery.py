"""What the product is for, on the whole running service: nothing accepted is lost."""

from collections.abc import Iterator

import boto3
import pytest

from tests.e2e.scene import Scene, scene
from tests.e2e.service import Service

MANY = 10_000


@pytest.fixture
def here(service: Service) -> Iterator[Scene]:
    with scene(service) as made:
        yield made


def reconcile(here: Scene, sent: list[str]) -> int:
    """Every event at every webhook: delivered in the database, an attempt beside it, taken by the receiver.

    Returns how often the one that came most often came.
    """
    assert len(set(sent)) == len(sent)
    states = here.rows(
        "SELECT status, count(*), count(DISTINCT (event_id, webhook_id)) FROM webhook.webhook_deliveries"
        " WHERE event_type = :type GROUP BY status"
    )
    assert states == [["delivered", 3 * len(sent), 3 * len(sent)]]
    ((without,),) = here.rows(
        "SELECT count(*) FROM webhook.webhook_deliveries d WHERE event_type = :type AND NOT EXISTS ("
        " SELECT FROM webhook.webhook_delivery_attempts a WHERE a.delivery_id = d.id AND a.response_status = 200)"
    )
    assert without == 0
    taken = here.accepted()
    for name, events in taken.items():
        assert set(events) == set(sent), name
    assert here.bad_signatures() == 0
    return max(count for events in taken.values() for count in events.values())


@pytest.mark.timeout(300)
def test_ten_thousand_events_to_three_webhooks_each(service: Service, here: Scene) -> None:
    sent: list[str] = []
    for start in range(0, MANY, 500):
        sent += here.send(here.batch(range(start, start + 500)))
    here.finish(240)
    assert reconcile(here, sent) == 1
    listed = here.request("GET", f"/v1/deliveries?event_id={sent[0]}").json()["data"]
    assert [one["status"] for one in listed] == ["delivered"] * 3


@pytest.mark.timeout(120)
def test_another_projects_dead_webhook_on_all_events_gets_none_and_holds_none_up(
    service: Service, here: Scene
) -> None:
    body = {"name": "nobody listens", "url": "http://127.0.0.1:9/", "event_types": ["*"]}
    dead = service.request("POST", "/v1/webhooks", json=body).json()
    try:
        sent = here.send(here.batch(range(100)))
        here.finish(30)
        assert reconcile(here, sent) == 1
    finally:
        service.request("DELETE", f"/v1/webhooks/{dead['id']}").raise_for_status()


@pytest.mark.timeout(120)
def test_a_failed_delivery_is_retried_within_seconds(service: Service, here: Scene) -> None:
    failing = next(iter(here.webhooks))
    here.change(failing, mode="always-fail")
    (event,) = here.send(here.batch(range(1)))
    service.wait_until(lambda: here.request("GET", _deliveries(here, failing)).json()["data"][0]["attempts"] == 1)
    here.change(failing, mode="ok")
    here.finish(60)
    (delivery,) = here.request("GET", _deliveries(here, failing)).json()["data"]
    assert (delivery["status"], delivery["attempts"]) == ("delivered", 2)
    attempts = here.request("GET", f"/v1/deliveries/{delivery['id']}/attempts").json()["data"]
    assert [one["attempt_number"] for one in attempts] == [2, 1]
    assert [one["response_status"] for one in attempts] == [200, 503]
    assert {one["request_headers"]["webhook-id"] for one in attempts} == {event}


@pytest.mark.timeout(120)
def test_a_dead_letter_reaches_the_dlq_and_is_delivered_when_redriven_as_from_the_console(
    service: Service,
) -> None:
    with scene(service, max_attempts=1) as here:
        for name in here.webhooks:
            here.change(name, mode="always-fail")
        sqs = boto3.client(
            "sqs",
            endpoint_url=service["sqs_url"],
            region_name="eu-central-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        dlq = service["queues"]["hookline-dev-retry-dlq"]

        def waiting() -> int:
            names = ["ApproximateNumberOfMessages"]
            found = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=names)["Attributes"]
            return int(found["ApproximateNumberOfMessages"])

        before = waiting()
        sent = here.send(here.batch(range(1)))
        service.wait_until(lambda: _dead(here) == [["pending", 3]] and waiting() - before >= 3)
        for name in here.webhooks:
            here.change(name, mode="ok")
        arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
        sqs.start_message_move_task(SourceArn=arn)
        service.wait_until(lambda: here.unfinished() == 0 and _dead(here) == [["resolved", 3]])
        service.wait_until(lambda: all(set(taken) == set(sent) for taken in here.accepted().values()))


def _dead(here: Scene) -> list[list[object]]:
    return here.rows(
        "SELECT l.status, count(*) FROM webhook.webhook_dlq l JOIN webhook.webhook_deliveries d"
        " ON d.id = l.delivery_id WHERE d.event_type = :type GROUP BY l.status"
    )


def _deliveries(here: Scene, name: str) -> str:
    return f"/v1/deliveries?webhook_id={here.webhooks[name]}"
