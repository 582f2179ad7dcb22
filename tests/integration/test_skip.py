"""Giving up a delivery by hand: what stands in line behind it is not kept waiting."""

import threading
from typing import Any

import pytest

from functions.dispatch import handler as dispatch
from tests.integration.conftest import Answer, Client, Context, Service
from tests.integration.levers_scene import (
    audited,
    bound_client,
    delivery,
    failed,
    held,
    run,
    sent,
    start,
    states,
    tokens,
    waiting,
    work,
)
from tests.integration.locks import while_waiting

TRIED = """
UPDATE webhook.webhook_deliveries SET last_error_code = 'http_status', last_response_status = 503,
  last_error_message = 'the endpoint answered 503', last_attempt_at = now() WHERE id = :id
"""
CLAIMED = """
UPDATE webhook.webhook_deliveries SET status = 'delivering', token = token + 1,
  lease_expires_at = now() + CAST(:seconds AS integer) * interval '1 s', sweep_at = now() + interval '90 s'
WHERE id = :id
"""


def skip(service: Service, id: str, body: Any = None, *, client: Client | None = None, **options: Any) -> Answer:
    return (client or service.client)("POST", f"/v1/deliveries/{id}/skip", body, **options)


def letters(service: Service, id: str) -> list[dict[str, Any]]:
    return list(service.client("GET", f"/v1/dead-letters?delivery_id={id}").body["data"])


def sweeps(service: Service) -> list[str]:
    """When dispatch looks at each delivery, in their order: `never`, `line` or `soon`."""
    rows = service.sql.run("""
        SELECT CASE WHEN sweep_at IS NULL THEN 'never' WHEN sweep_at = 'infinity' THEN 'line' ELSE 'soon' END
        FROM webhook.webhook_deliveries ORDER BY id""")
    return [word for (word,) in rows]


def test_a_delivery_that_waits_for_a_retry_is_given_up_with_what_it_met_kept(service: Service) -> None:
    (id,) = waiting(service, service.webhook())
    service.sql.run(TRIED, id=id)
    answer = skip(service, id, {"notes": "the order was cancelled"})
    assert answer.status == 200
    assert answer.body == delivery(service, id)
    assert (answer.body["status"], answer.body["scheduled_at"]) == ("failed", None)
    assert answer.body["last_error"] == {"code": "skipped", "message": "given up by hand"}
    (letter,) = letters(service, id)
    key_id = service.client("GET", "/v1/whoami").body["key_id"]
    assert letter.pop("resolved_at") is not None
    assert {name: letter[name] for name in ("reason", "status", "notes", "resolved_by", "attempts")} == {
        "reason": "skipped",
        "status": "discarded",
        "notes": "the order was cancelled",
        "resolved_by": key_id,
        "attempts": 2,
    }
    assert letter["last_error"] == {"code": "http_status", "message": "the endpoint answered 503"}
    assert letter["last_response_status"] == 503
    (entry,) = audited(service, "delivery.skipped")
    assert (entry["before"]["status"], entry["after"]["status"], entry["level"]) == (
        "pending",
        "failed",
        "warning",
    )
    ((failed_at,),) = service.sql.run("SELECT failed_at FROM webhook.webhook_deliveries")
    assert failed_at is not None


def test_a_message_that_was_on_its_way_is_stale_and_no_message_of_the_dead_letter_is_sent(
    service: Service,
) -> None:
    service.webhook()
    service.event()
    (id,) = sent(service, "delivery")
    skip(service, id)
    service.sql.run("UPDATE webhook.webhook_dlq SET created_at = created_at - interval '1 day'")
    assert dispatch.handler({}, Context())["dead_letters"] == 0
    assert (tokens(service, [id]), states(service)) == ({2}, {"failed": 1})
    assert [service.messages(queue) for queue in ("delivery", "retry")] == [[], []]


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_what_is_held_back_and_was_never_tried_can_be_given_up(service: Service, status: str) -> None:
    webhook = service.webhook()
    (id,) = held(service, webhook)
    service.sql.run("UPDATE webhook.webhook_deliveries SET attempts = 0")
    service.sql.run("UPDATE webhook.webhooks SET status = :status", status=status)
    assert skip(service, id).body["status"] == "failed"
    (letter,) = letters(service, id)
    assert (letter["reason"], letter["status"], letter["last_error"]) == ("skipped", "discarded", None)


def test_the_next_in_line_is_due_now_and_only_that_one(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    (head,) = waiting(service, webhook)
    line = held(service, webhook, 3)
    other = service.webhook(ordering="strict", name="another")
    (stuck,) = waiting(service, other)
    (behind,) = held(service, other)
    skip(service, head)
    assert sent(service) == {line[0]: 1}
    assert sweeps(service) == ["never", "soon", "line", "line", "soon", "line"]
    skip(service, line[0])
    assert sent(service) == {line[1]: 1}
    assert delivery(service, behind)["waiting_for"] == "line"
    assert delivery(service, stuck)["status"] == "pending"


def test_giving_up_one_in_the_middle_of_the_line_wakes_nobody(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    waiting(service, webhook)
    line = held(service, webhook, 2)
    assert skip(service, line[0]).status == 200
    assert sent(service) == {}
    assert sweeps(service) == ["soon", "never", "line"]


@pytest.mark.parametrize("change", ["status = 'paused'", "status = 'disabled'", "ordering = 'none'"])
def test_the_line_of_a_webhook_that_gets_nothing_now_is_not_woken(service: Service, change: str) -> None:
    webhook = service.webhook(ordering="strict")
    (head,) = waiting(service, webhook)
    held(service, webhook)
    service.sql.run(f"UPDATE webhook.webhooks SET {change}")
    assert skip(service, head).status == 200
    assert sweeps(service) == ["never", "line"]


def test_what_is_over_or_under_way_is_409_and_says_why(service: Service) -> None:
    webhook = service.webhook()
    (id,) = failed(service, webhook)
    said = skip(service, id).body["error"]["message"]
    assert said == "it has failed already; its dead letter, if it left one, may be discarded"
    (id,) = waiting(service, webhook)
    service.sql.run(CLAIMED, id=id, seconds=60)
    refused = skip(service, id)
    assert (refused.status, refused.body["error"]["message"]) == (
        409,
        "it is being delivered, try again in a moment",
    )
    service.sql.run("""
        UPDATE webhook.webhook_deliveries SET status = 'delivered', delivered_at = now(), sweep_at = NULL,
          scheduled_at = NULL, lease_expires_at = NULL WHERE status = 'delivering'""")
    refused = skip(service, id)
    assert (refused.status, refused.body["error"]["message"]) == (
        409,
        "it was delivered: there is nothing to give up",
    )
    assert audited(service, "delivery.skipped") == []


def test_one_whose_lease_has_ended_is_given_up_and_what_its_claimer_records_is_stale(service: Service) -> None:
    (id,) = waiting(service, service.webhook())
    service.sql.run(CLAIMED, id=id, seconds=-1)
    assert skip(service, id).body["status"] == "failed"
    assert tokens(service, [id]) == {3}


def test_one_that_is_being_claimed_is_looked_at_again_after_the_claim(service: Service) -> None:
    (id,) = waiting(service, service.webhook())
    refused = while_waiting(service, CLAIMED, lambda: skip(service, id), id=id, seconds=60)
    assert refused.status == 409


def test_two_who_give_up_the_same_do_it_once(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    (head,) = waiting(service, webhook)
    line = held(service, webhook, 2)
    answers: list[Answer] = []
    threads = [threading.Thread(target=lambda: answers.append(skip(service, head))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(answer.status for answer in answers) == [200, 409, 409, 409]
    assert sent(service) == {line[0]: 1}
    assert len(letters(service, head)) == 1


def test_an_idempotency_key_gives_up_and_wakes_once(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    (head,) = waiting(service, webhook)
    held(service, webhook, 2)
    first, again = (skip(service, head, {}, headers={"idempotency-key": "k"}) for _ in range(2))
    assert (first.status, again.body, again.headers["idempotency-replayed"]) == (200, first.body, "true")
    assert len(service.messages("retry")) == 1


def test_recovering_leaves_out_what_was_given_up_and_a_retry_of_it_does_not(service: Service) -> None:
    webhook = service.webhook()
    skipped, gone = waiting(service, webhook), failed(service, webhook)
    skip(service, skipped[0])
    ((since,),) = service.sql.run("SELECT webhook.rfc3339(now() - interval '5 minutes')")
    assert start(service, f"/v1/webhooks/{webhook['id']}/recover", {"since": since})["total"] == 1
    work(service)
    assert set(sent(service)) == set(gone)
    assert service.client("POST", f"/v1/deliveries/{skipped[0]}/retry").body["status"] == "pending"


def test_a_test_event_that_is_given_up_leaves_no_dead_letter(service: Service) -> None:
    webhook = service.webhook()
    id = service.client("POST", f"/v1/webhooks/{webhook['id']}/test").body["delivery_id"]
    assert skip(service, id).body["status"] == "failed"
    assert letters(service, id) == []
    run(service)
    assert service.client("GET", f"/v1/deliveries/{id}/attempts").body["data"] == []


@pytest.mark.parametrize("body", [{"notes": "x" * 4097}, {"notes": 1}, {"note": "x"}, {"notes": "nul\x00"}])
def test_notes_are_a_text_of_4096_characters_at_most(service: Service, body: dict[str, Any]) -> None:
    (id,) = waiting(service, service.webhook())
    assert skip(service, id, body).status == 422
    assert states(service) == {"pending": 1}


def test_it_takes_the_scope_and_reaches_the_callers_own_only(service: Service, new_project: Any) -> None:
    application, bound = bound_client(service)
    (id,) = waiting(service, service.webhook())
    (own,) = waiting(service, service.webhook(application_id=application))
    _, stranger = new_project()
    assert skip(service, id, client=service.key("deliveries:read")).status == 403
    for client in (stranger, bound):
        assert skip(service, id, client=client).status == 404
    assert skip(service, "no-id").status == 404
    assert states(service) == {"pending": 2}
    assert skip(service, own, client=bound).status == 200
