"""Disabling a webhook by hand: events pass it by, what was unfinished waits, resuming goes on with it."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tests.integration.conftest import Answer, Service
from tests.integration.levers_scene import ago, audited, delivery, held, run, sent, start, waiting, work


def disable(service: Service, webhook: dict[str, Any], body: Any = None, **options: Any) -> Answer:
    return service.client("POST", f"/v1/webhooks/{webhook['id']}/disable", body, **options)


def resume(service: Service, webhook: dict[str, Any], **options: Any) -> Answer:
    return service.client("POST", f"/v1/webhooks/{webhook['id']}/resume", **options)


def test_a_webhook_is_disabled_with_a_reason_a_time_and_a_version(service: Service) -> None:
    webhook = service.webhook()
    first = disable(service, webhook, {"reason": "the customer left"})
    assert (first.status, first.body["status"], first.body["status_reason"]) == (
        200,
        "disabled",
        "the customer left",
    )
    assert first.body["status_changed_at"] > webhook["created_at"]
    assert first.headers["etag"] == '"2"'
    for again in (disable(service, webhook), disable(service, webhook, {"reason": "the customer left"})):
        assert (again.status, again.body, again.headers["etag"]) == (200, first.body, '"2"')
    other = disable(service, webhook, {"reason": "for good"})
    assert (other.body["status_reason"], other.headers["etag"]) == ("for good", '"3"')
    entries = audited(service, "webhook.disabled")
    assert [one["after"]["status_reason"] for one in entries] == ["for good", "the customer left"]
    assert {(one["level"], one["actor"]["type"]) for one in entries} == {("warning", "api_key")}


def test_events_pass_it_by_and_are_fetched_when_it_is_back(service: Service) -> None:
    webhook = service.webhook()
    since = ago(minutes=5)
    disable(service, webhook)
    assert service.event()["webhooks_matched"] == 0
    assert resume(service, webhook).body["released"] == 0
    start(service, f"/v1/webhooks/{webhook['id']}/replay-missing", {"since": since})
    work(service)
    assert len(service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}").body["data"]) == 1


def test_what_was_unfinished_waits_and_goes_on_with_the_attempts_it_has_left(service: Service) -> None:
    webhook = service.webhook(max_attempts=4)
    service.event()
    disable(service, webhook)
    run(service)
    ((id, attempts, sweep_at),) = service.sql.run(
        "SELECT id, attempts, CAST(sweep_at AS text) FROM webhook.webhook_deliveries"
    )
    assert (attempts, sweep_at) == (0, "infinity")
    assert delivery(service, str(id))["waiting_for"] == "webhook_resumed"
    answer = resume(service, webhook)
    assert (answer.body["status"], answer.body["released"]) == ("active", 1)
    assert set(sent(service)) == {str(id)}
    assert delivery(service, str(id))["max_attempts"] == 4


def test_a_paused_webhook_can_be_disabled_and_a_disabled_one_not_paused(service: Service) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}"
    service.client("POST", f"{path}/pause", {"reason": "maintenance"})
    assert (disable(service, webhook).body["status"], disable(service, webhook).body["status_reason"]) == (
        "disabled",
        None,
    )
    refused = service.client("POST", f"{path}/pause")
    assert (refused.status, refused.body["error"]["code"]) == (409, "conflict")


def test_who_subscribed_to_it_is_told_once_and_the_webhook_itself_is_not(service: Service) -> None:
    webhook = service.webhook(name="orders", event_types=["*", "hookline.*"])
    listener = service.webhook(name="ops", event_types=["hookline.webhook.*"])
    service.webhook(name="everything", event_types=["*"])
    disable(service, webhook, {"reason": "the customer left"}, headers={"hookline-correlation-id": "by-hand"})
    disable(service, webhook, {"reason": "for good"})
    told = service.client("GET", "/v1/deliveries").body["data"]
    assert [(one["webhook_id"], one["event_type"]) for one in told] == [
        (listener["id"], "hookline.webhook.disabled")
    ]
    assert set(sent(service, "delivery")) == {told[0]["id"]}
    event = service.client("GET", f"/v1/events/{told[0]['event_id']}").body
    assert (event["data"]["webhook_id"], event["data"]["webhook_name"]) == (webhook["id"], "orders")
    assert (event["data"]["reason"], event["correlation_id"]) == ("the customer left", "by-hand")


def test_a_stale_if_match_and_a_bad_reason_change_nothing(service: Service) -> None:
    webhook = service.webhook()
    assert disable(service, webhook, headers={"if-match": '"7"'}).status == 412
    for reason in ("", "x" * 256, 1, "nul\x00"):
        assert disable(service, webhook, {"reason": reason}).status == 422
    assert service.client("GET", f"/v1/webhooks/{webhook['id']}").body["status"] == "active"


def test_a_repeated_disabling_is_answered_as_the_first_and_told_once(service: Service) -> None:
    webhook = service.webhook()
    service.webhook(event_types=["hookline.webhook.disabled"])
    first, again = (disable(service, webhook, {}, headers={"idempotency-key": "d"}) for _ in range(2))
    assert (again.body, again.headers["etag"]) == (first.body, first.headers["etag"])
    assert len(audited(service, "webhook.disabled")) == 1
    assert len(service.messages("delivery")) == 1


def test_it_takes_the_scope_and_reaches_the_callers_own_only(service: Service, new_project: Any) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}/disable"
    _, stranger = new_project()
    assert stranger("POST", path).status == 404
    assert service.key(application_id=service.application()["id"])("POST", path).status == 404
    assert service.key("webhooks:read", "deliveries:write")("POST", path).status == 403
    assert disable(service, {"id": "no-id"}).status == 404


@pytest.mark.parametrize("status", ["paused", "disabled"])
def test_of_a_strict_webhook_that_is_resumed_the_head_of_the_line_is_due_and_no_more(
    service: Service, status: str
) -> None:
    webhook = service.webhook(ordering="strict")
    line = held(service, webhook, 700)
    service.sql.run("UPDATE webhook.webhooks SET status = :status", status=status)
    answer = resume(service, webhook)
    assert (answer.body["released"], answer.body["job_id"]) == (1, None)
    assert sent(service) == {line[0]: 1}
    again = resume(service, webhook)
    assert again.body["released"] == 0, "its head is on its way"


def test_of_a_strict_webhook_whose_head_waits_for_a_retry_nothing_else_is_due(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    waiting(service, webhook)
    held(service, webhook, 2)
    disable(service, webhook)
    assert resume(service, webhook).body["released"] == 0
    assert sent(service) == {}


LEARNT = """
UPDATE webhook.webhook_health SET failure_count = 12, strikes = 12, failing_since = now() - interval '2 days',
  circuit = 'open', circuit_changed_at = now() - interval '1 hour', circuit_openings = 3,
  hold_until = now() + interval '10 minutes', slow_until = now() + interval '1 minute',
  rate_due_at = now() + interval '1 minute', line_until = now() + interval '1 minute',
  last_failure_at = now(), last_success_at = now() - interval '3 days'
"""
MEMORY = """
SELECT failure_count, strikes, failing_since, circuit, circuit_openings, hold_until, slow_until, rate_due_at,
  line_until FROM webhook.webhook_health
"""
CLEAN = [0, 0, None, "closed", 0, None, None, None, None]


@pytest.mark.parametrize("status", ["active", "paused", "disabled"])
def test_resuming_forgets_what_was_learnt_of_the_endpoint(service: Service, status: str) -> None:
    webhook = service.webhook()
    service.sql.run(LEARNT)
    service.sql.run("UPDATE webhook.webhooks SET status = :status", status=status)
    before = datetime.now(UTC) - timedelta(seconds=30)
    answer = resume(service, webhook)
    assert service.sql.run(MEMORY) == [CLEAN]
    circuit = answer.body["circuit"]
    assert (circuit["state"], circuit["retry_at"]) == ("closed", None)
    assert datetime.fromisoformat(circuit["changed_at"]) > before, "that is when it was closed"
    assert None not in (answer.body["last_failure_at"], answer.body["last_success_at"]), "that stays"
    (entry,) = audited(service, "webhook.resumed")
    assert (entry["before"]["circuit"]["state"], entry["after"]["circuit"]["state"]) == ("open", "closed")
    version = '"1"' if status == "active" else '"2"'
    assert answer.headers["etag"] == version, "how it is doing is no configuration"


def test_resuming_what_is_active_and_well_changes_nothing(service: Service) -> None:
    webhook = service.webhook()
    assert resume(service, webhook).body["circuit"] == {"state": "closed", "changed_at": None, "retry_at": None}
    assert audited(service, "webhook.resumed") == []
