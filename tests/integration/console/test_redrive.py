"""Dead letters on their way through real queues, redriven as the console does it: what becomes of each message.

The outcomes are those of the table in docs/dead-letters.md.
"""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.deliver import handler as deliver
from functions.domain.jobs import MAX_ATTEMPTS
from tests.integration.conftest import Context, Service
from tests.integration.console.scene import (
    Queues,
    dead,
    letter,
    mend,
)
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import delivery, states


def test_a_redriven_dead_letter_is_delivered_and_resolves_itself(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    _, of = dead(service, queues, receiver)
    mend(receiver)
    assert queues.retry.redrive() == 1
    queues.run()
    now = delivery(service, of)
    assert (now["status"], now["attempts"], now["max_attempts"]) == ("delivered", 2, 2)
    one = letter(service)
    assert (one["status"], one["resolved_by"], one["notes"]) == ("resolved", "queue", "redriven from the queue")
    assert len(receiver.received) == 1
    assert queues.retry.dead() == []


def test_one_that_fails_again_is_a_new_dead_letter_with_a_message_of_its_own(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    _, of = dead(service, queues, receiver)
    (first,) = queues.retry.dead()
    queues.retry.redrive()
    queues.run()
    (second,) = queues.retry.dead()
    assert json.loads(first)["dead"] != json.loads(second)["dead"]
    statuses = [one["status"] for one in service.client("GET", "/v1/dead-letters").body["data"]]
    assert statuses == ["pending", "resolved"]
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert delivery(service, of)["status"] == "delivered"


def test_many_are_redriven_at_once(service: Service, queues: Queues, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    for n in range(25):
        service.event(data={"n": n})
    queues.run()
    assert len(queues.retry.dead()) == 25
    mend(receiver)
    assert queues.retry.redrive() == 25
    queues.run()
    assert states(service) == {"delivered": 25}
    assert sorted(json.loads(got.body)["n"] for got in receiver.received) == list(range(25))


def test_a_stray_duplicate_of_a_dying_message_dies_too(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    """SQS may hand out a message twice, under the same id: before it is in the dead-letter queue, and after."""
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    (stray,) = queues.retry.invoke()
    queues.run()
    mend(receiver)
    for _ in range(2):
        answer = deliver.handler({"Records": [stray, stray]}, Context())
        assert {one["itemIdentifier"] for one in answer["batchItemFailures"]} == {stray["messageId"]}
    assert (letter(service)["status"], states(service), receiver.received) == ("pending", {"failed": 1}, [])
    queues.retry.redrive()
    queues.run()
    assert states(service) == {"delivered": 1}


def test_a_stray_duplicate_of_a_redriven_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    dead(service, queues, receiver)
    mend(receiver)
    queues.retry.redrive()
    (redriven,) = queues.retry.invoke()
    queues.run()
    assert deliver.handler({"Records": [redriven]}, Context()) == {"batchItemFailures": []}
    queues.run()
    assert len(receiver.received) == 1


def test_a_second_redrive_of_the_same_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    """The function dies each time before it acknowledges, so the redriven message goes to the queue once more."""
    _, of = dead(service, queues, receiver)
    (body,) = queues.retry.dead()
    mend(receiver)
    queues.retry.redrive()
    while queues.retry.invoke(unacknowledged=body):
        pass
    assert queues.retry.dead() == [body]
    assert (letter(service)["status"], delivery(service, of)["status"]) == ("resolved", "delivered")
    queues.retry.redrive()
    queues.run()
    assert queues.retry.dead() == []
    assert (delivery(service, of)["attempts"], len(receiver.received)) == (2, 1)


@pytest.mark.parametrize(("how", "left"), [("discard", "failed"), ("redrive", "delivered")])
def test_after_it_was_resolved_by_api_its_message_does_nothing(
    service: Service, queues: Queues, receiver: Endpoint, how: str, left: str
) -> None:
    dead(service, queues, receiver)
    mend(receiver)
    resolved = service.client("POST", f"/v1/dead-letters/{letter(service)['id']}/{how}").body
    queues.run()
    assert states(service) == {left: 1}
    before = len(receiver.received)
    assert queues.retry.redrive() == 1, "the message is still there, and stale"
    queues.run()
    assert queues.retry.dead() == []
    assert (letter(service), states(service), len(receiver.received)) == (resolved, {left: 1}, before)


def test_one_that_is_redriven_by_api_while_it_is_dying_never_reaches_the_queue(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    service.webhook(url=receiver.url, max_attempts=1)
    service.event()
    queues.delivery.invoke()
    queues.retry.invoke()
    mend(receiver)
    service.client("POST", f"/v1/dead-letters/{letter(service)['id']}/redrive")
    queues.run()
    assert (states(service), queues.retry.dead()) == ({"delivered": 1}, [])


def delete_webhook(service: Service, webhook: dict[str, Any], _of: str) -> None:
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204


def expunge(service: Service, _webhook: dict[str, Any], of: str) -> None:
    assert service.client("DELETE", f"/v1/events/{delivery(service, of)['event_id']}/payload").status == 200


def forget_delivery(service: Service, _webhook: dict[str, Any], of: str) -> None:
    service.sql.run("DELETE FROM webhook.webhook_deliveries WHERE id = :id", id=of)


def forget_event(service: Service, _webhook: dict[str, Any], _of: str) -> None:
    service.sql.run("DELETE FROM webhook.webhook_events")


def use_up(service: Service, _webhook: dict[str, Any], _of: str) -> None:
    service.sql.run(
        f"UPDATE webhook.webhook_deliveries SET attempts = {MAX_ATTEMPTS}, max_attempts = {MAX_ATTEMPTS}"
    )


@pytest.mark.parametrize(
    ("lose", "why"),
    [
        (delete_webhook, "its webhook was deleted"),
        (expunge, "its payload was expunged"),
        (forget_delivery, "it is no longer kept"),
        (forget_event, "it is no longer kept"),
        (use_up, "its attempts cannot be counted any further"),
    ],
    ids=["deleted", "expunged", "delivery gone", "event gone", "used up"],
)
def test_where_nothing_is_left_to_try_a_redrive_gives_it_up_and_says_why(
    service: Service,
    queues: Queues,
    receiver: Endpoint,
    lose: Callable[[Service, dict[str, Any], str], None],
    why: str,
) -> None:
    webhook, of = dead(service, queues, receiver)
    lose(service, webhook, of)
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    one = letter(service)
    assert (one["status"], one["resolved_by"]) == ("discarded", "queue")
    assert one["notes"] == f"redriven from the queue, but {why}"
    assert queues.retry.dead() == []
    assert receiver.received == []
    assert states(service) == ({} if lose is forget_delivery else {"failed": 1})


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_while_its_webhook_is_stopped_it_waits_for_the_webhook(
    service: Service, queues: Queues, receiver: Endpoint, status: str
) -> None:
    webhook, of = dead(service, queues, receiver)
    how = {"paused": "pause", "disabled": "disable"}[status]
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/{how}").status == 200
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert (letter(service)["status"], states(service), receiver.received) == ("resolved", {"pending": 1}, [])
    assert queues.retry.dead() == []
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/resume").status == 200
    queues.run()
    assert delivery(service, of)["status"] == "delivered"


def test_one_of_an_endpoint_that_is_gone_waits_until_its_webhook_is_resumed(
    service: Service, queues: Queues, receiver: Endpoint
) -> None:
    receiver.status = 410
    webhook, of = dead(service, queues, receiver)
    assert letter(service)["reason"] == "endpoint_gone"
    mend(receiver)
    queues.retry.redrive()
    queues.run()
    assert (delivery(service, of)["status"], receiver.received) == ("pending", [])
    service.client("POST", f"/v1/webhooks/{webhook['id']}/resume")
    queues.run()
    assert delivery(service, of)["status"] == "delivered"
