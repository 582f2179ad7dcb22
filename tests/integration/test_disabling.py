"""Disabling webhooks by itself: at 410 and after days of failures; and who else is at work meanwhile."""

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC
from typing import Any

import pytest
from sqlalchemy import Engine, create_engine, text

from functions.adapters import database
from functions.adapters.database import transaction
from functions.dispatch import handler as dispatch
from functions.dispatch.disabling import disable_failing
from functions.domain.disabling import disable
from functions.domain.operational import EXHAUSTED, Notice, Signal, notify
from functions.settings import settings
from tests.integration.conftest import Client, Context, Service
from tests.integration.levers_scene import ago, audited, delivery, failed, sent, waiting
from tests.integration.locks import while_waiting

ENOUGH = 20
HEALTH = """
UPDATE webhook.webhook_health SET failing_since = :since, last_failure_at = :last, last_success_at = :success,
  failure_count = 99, strikes = 99 WHERE webhook_id = :id
"""
TRIED = """
UPDATE webhook.webhook_deliveries SET last_attempt_at = :at, attempts = :attempts
WHERE id = ANY (CAST(:ids AS uuid[]))
"""
LOCK_DELIVERIES = text("""
SELECT id FROM webhook.webhook_deliveries WHERE id = ANY (CAST(:ids AS uuid[])) ORDER BY id FOR UPDATE
""")
LOCK_HEALTH = text("""
SELECT FROM webhook.webhook_health WHERE webhook_id = ANY (CAST(:ids AS uuid[])) ORDER BY webhook_id FOR UPDATE
""")
FAILED_AGAIN = text("""
UPDATE webhook.webhook_health SET failing_since = now() - interval '6 days', last_failure_at = now()
WHERE webhook_id = ANY (CAST(:ids AS uuid[]))
""")


def disabled(*webhooks: dict[str, Any], reason: str = "the endpoint answered 410 Gone") -> list[Notice]:
    with transaction() as connection:
        return disable(connection, [webhook["id"] for webhook in webhooks], reason)


def sweep(most: int = 100) -> int:
    return disable_failing(most).webhooks


def read(service: Service, webhook: dict[str, Any]) -> dict[str, Any]:
    answer = service.client("GET", f"/v1/webhooks/{webhook['id']}")
    assert answer.status == 200
    return dict(answer.body)


def status(service: Service, webhook: dict[str, Any]) -> str:
    return str(read(service, webhook)["status"])


def resume(service: Service, webhook: dict[str, Any]) -> None:
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/resume").status == 200


def fails(
    service: Service,
    webhook: dict[str, Any],
    *,
    since: str | None = None,
    last: str | None = None,
    success: str | None = None,
) -> None:
    """Its health says: nothing but failures for six days."""
    service.sql.run(
        HEALTH, id=webhook["id"], since=since or ago(days=6), last=last or ago(minutes=1), success=success
    )


def try_(service: Service, ids: list[str], *, at: str | None = None, attempts: int = 2) -> None:
    service.sql.run(TRIED, ids=ids, at=at or ago(hours=1), attempts=attempts)


@pytest.fixture
def failing(service: Service) -> dict[str, Any]:
    """A webhook that has failed for six days, with as many deliveries as it takes."""
    return failing_webhook(service)


def failing_webhook(service: Service, **values: Any) -> dict[str, Any]:
    webhook = service.webhook(**values)
    try_(service, failed(service, webhook, ENOUGH))
    fails(service, webhook)
    return webhook


def test_a_disabled_webhook_says_why_and_since_when(service: Service) -> None:
    webhook, other = service.webhook(), service.webhook()
    before = read(service, webhook)
    disabled(webhook)
    now = read(service, webhook)
    assert (now["status"], now["status_reason"]) == ("disabled", "the endpoint answered 410 Gone")
    assert now["status_changed_at"] == now["updated_at"] > before["updated_at"]
    assert now["updated_by"] is None
    answer = service.client("GET", f"/v1/webhooks/{webhook['id']}")
    assert answer.headers["etag"] == '"2"', "what was read before is not to be written back"
    assert status(service, other) == "active"


def test_it_is_in_the_audit_log_as_done_by_hookline(service: Service) -> None:
    acme = service.application()
    webhook = service.webhook(name="orders", application_id=acme["id"])
    disabled(webhook)
    (entry,) = audited(service, "webhook.disabled")
    assert entry["actor"] == {"type": "hookline", "id": None}
    assert (entry["level"], entry["application_id"]) == ("warning", acme["id"])
    assert entry["resource"] == {"type": "webhook", "id": webhook["id"]}
    now = read(service, webhook)
    shown = ("id", "name", "url", "status", "status_reason", "status_changed_at")
    assert entry["after"] == {name: now[name] for name in shown}
    assert entry["before"] == {name: webhook[name] for name in shown}


def test_who_subscribed_is_told_with_the_same_correlation_id(service: Service) -> None:
    webhook, listener = service.webhook(), service.webhook(event_types=["hookline.*"])
    (notice,) = disabled(webhook)
    made = delivery(service, notice.delivery_id)
    assert (made["webhook_id"], made["event_type"]) == (listener["id"], "hookline.webhook.disabled")
    event = service.client("GET", f"/v1/events/{made['event_id']}").body
    assert event["data"]["reason"] == "the endpoint answered 410 Gone"
    assert event["data"]["disabled_at"] == read(service, webhook)["status_changed_at"]
    assert event["correlation_id"] == audited(service, "webhook.disabled")[0]["correlation_id"]


def test_disabling_again_changes_and_tells_nothing(service: Service) -> None:
    webhook = service.webhook()
    service.webhook(event_types=["hookline.*"])
    assert len(disabled(webhook)) == 1
    first = read(service, webhook)
    assert disabled(webhook, reason="another") == []
    assert read(service, webhook) == first
    assert len(audited(service, "webhook.disabled")) == 1


def test_a_paused_webhook_whose_endpoint_is_gone_is_disabled_and_a_deleted_one_is_not(service: Service) -> None:
    paused, deleted = service.webhook(), service.webhook()
    service.client("POST", f"/v1/webhooks/{paused['id']}/pause", {"reason": "maintenance"})
    service.client("DELETE", f"/v1/webhooks/{deleted['id']}")
    disabled(paused, deleted)
    assert status(service, paused) == "disabled"
    (entry,) = audited(service, "webhook.disabled")
    assert (entry["before"]["status"], entry["before"]["status_reason"]) == ("paused", "maintenance")
    assert service.sql.run("SELECT status FROM webhook.webhooks WHERE deleted_at IS NOT NULL") == [["active"]]


def test_several_are_disabled_at_once_and_each_is_told_of(service: Service) -> None:
    webhooks = [service.webhook() for _ in range(3)]
    service.webhook(event_types=["hookline.*"])
    assert len(disabled(*reversed(webhooks), webhooks[0])) == 3
    assert {status(service, webhook) for webhook in webhooks} == {"disabled"}
    assert disabled() == []


def test_a_reason_is_cut_to_what_a_webhook_keeps(service: Service) -> None:
    webhook = service.webhook()
    disabled(webhook, reason="x" * 1000)
    assert read(service, webhook)["status_reason"] == "x" * 255


def test_events_that_come_meanwhile_pass_it_by_and_unfinished_deliveries_wait(service: Service) -> None:
    webhook = service.webhook()
    service.event()
    disabled(webhook)
    assert service.event()["webhooks_matched"] == 0
    resume(service, webhook)
    assert status(service, webhook) == "active"
    assert service.event()["webhooks_matched"] == 1


def test_a_webhook_that_failed_for_days_is_disabled_by_dispatch(service: Service, failing: dict[str, Any]) -> None:
    well = service.webhook()
    listener = service.webhook(event_types=["hookline.webhook.disabled"])
    service.messages()
    counts = dispatch.handler({}, Context())
    assert counts["disabled"] == 1
    of_it = "SELECT failing_since FROM webhook.webhook_health WHERE webhook_id = :id"
    ((since,),) = service.sql.run(of_it, id=failing["id"])
    now = read(service, failing)
    assert now["status"] == "disabled"
    assert now["status_reason"] == f"failing since {since.astimezone(UTC):%Y-%m-%dT%H:%M:%SZ} without a success"
    assert (status(service, well), status(service, listener)) == ("active", "active")
    (of,) = sent(service, "delivery")
    assert delivery(service, of)["webhook_id"] == listener["id"], "its message goes out at once"
    assert dispatch.handler({}, Context())["disabled"] == 0


def test_nineteen_deliveries_do_not_disable_and_the_twentieth_does(service: Service) -> None:
    webhook = service.webhook()
    fails(service, webhook)
    try_(service, failed(service, webhook, 12))
    try_(service, waiting(service, webhook, 7))
    waiting_untried = waiting(service, webhook, 5)
    try_(service, waiting_untried, attempts=0)
    before = failed(service, webhook, 5)
    try_(service, before, at=ago(days=7))
    try_(service, failed(service, webhook, 5, type="hookline.test"))
    assert sweep() == 0
    try_(service, waiting_untried[:1], attempts=1)
    assert sweep() == 1


def test_many_that_failed_before_do_not_hide_those_that_fail_now(service: Service) -> None:
    webhook = service.webhook()
    fails(service, webhook)
    try_(service, failed(service, webhook, 1500), at=ago(days=7))
    try_(service, failed(service, webhook, 10))
    try_(service, waiting(service, webhook, 10))
    try_(service, waiting(service, webhook, 1500), attempts=0)
    assert sweep() == 1


@pytest.mark.parametrize(
    ("health", "why"),
    [
        ({"since": ago(days=4, hours=23)}, "not for long enough"),
        ({"last": ago(days=1, hours=1)}, "its failures span less: since then nothing was sent to it"),
        ({"success": ago(days=1)}, "it succeeded in between"),
    ],
    ids=["too short", "nothing was sent", "a success"],
)
def test_one_that_has_not_failed_for_five_days_on_end_stays(
    service: Service, failing: dict[str, Any], health: dict[str, str], why: str
) -> None:
    fails(service, failing, **health)
    assert sweep() == 0, why
    fails(service, failing, success=ago(days=7))
    assert sweep() == 1


def test_what_counts_as_sustained_is_a_setting(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = service.webhook()
    try_(service, failed(service, webhook, 3))
    fails(service, webhook, since=ago(days=1, minutes=5))
    monkeypatch.setenv("DISABLE_AFTER_DAYS", "1")
    monkeypatch.setenv("DISABLE_AFTER_DELIVERIES", "3")
    settings.cache_clear()
    assert sweep() == 1


def test_paused_disabled_and_deleted_webhooks_are_left_as_they_are(service: Service) -> None:
    paused, deleted, gone = (failing_webhook(service) for _ in range(3))
    service.client("POST", f"/v1/webhooks/{paused['id']}/pause")
    service.client("DELETE", f"/v1/webhooks/{deleted['id']}")
    disabled(gone)
    assert sweep() == 0
    assert status(service, paused) == "paused"
    assert read(service, gone)["status_reason"] == "the endpoint answered 410 Gone"


def test_one_that_is_resumed_has_five_days_again(service: Service, failing: dict[str, Any]) -> None:
    assert sweep() == 1
    resume(service, failing)
    assert read(service, failing)["status_reason"] is None
    assert sweep() == 0
    fails(service, failing, since=ago(days=5, minutes=1))
    assert sweep() == 1


def test_more_than_a_batch_is_disabled_batch_by_batch(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhooks = [failing_webhook(service) for _ in range(5)]
    monkeypatch.setattr(dispatch, "DISABLED_AT_ONCE", 2)
    assert dispatch.handler({}, Context())["disabled"] == 5
    assert {status(service, webhook) for webhook in webhooks} == {"disabled"}


def test_without_time_left_nothing_is_disabled(service: Service, failing: dict[str, Any]) -> None:
    assert dispatch.handler({}, Context(remaining_ms=4_000))["disabled"] == 0
    assert status(service, failing) == "active"


def test_a_success_that_is_being_recorded_meanwhile_saves_it(service: Service, failing: dict[str, Any]) -> None:
    recorded = (
        "UPDATE webhook.webhook_health SET failing_since = NULL, last_success_at = now() WHERE webhook_id = :id"
    )
    assert while_waiting(service, recorded, sweep, id=failing["id"]) == 0
    assert status(service, failing) == "active"


def test_somebody_who_pauses_it_meanwhile_is_respected(service: Service, failing: dict[str, Any]) -> None:
    paused = "UPDATE webhook.webhooks SET status = 'paused' WHERE id = :id"
    assert while_waiting(service, paused, sweep, id=failing["id"]) == 0
    assert status(service, failing) == "paused"


def test_deleting_its_application_meanwhile_is_waited_for(service: Service) -> None:
    acme = service.application()
    webhook = failing_webhook(service, application_id=acme["id"])
    service.webhook(event_types=["hookline.*"])
    held = "SELECT FROM webhook.applications WHERE id = :id FOR UPDATE"
    assert while_waiting(service, held, sweep, id=acme["id"]) == 1
    assert status(service, webhook) == "disabled"


def test_accepting_events_does_not_wait_for_a_webhook_that_is_being_disabled(
    service: Service, failing: dict[str, Any]
) -> None:
    service.sql.run("BEGIN")
    service.sql.run("SELECT FROM webhook.webhooks WHERE id = :id FOR NO KEY UPDATE", id=failing["id"])
    try:
        assert service.event()["webhooks_matched"] == 1
    finally:
        service.sql.run("ROLLBACK")


class OnePerThread:
    """An engine for each thread, where a function's process has one connection."""

    def __init__(self) -> None:
        self.own = threading.local()
        self.made: list[Engine] = []

    def __call__(self) -> Engine:
        if not hasattr(self.own, "engine"):
            self.own.engine = create_engine(database.database_url())
            self.made.append(self.own.engine)
        return self.own.engine  # type: ignore[no-any-return]


def record_failures(webhooks: list[str], deliveries: list[str], gone: list[str]) -> None:
    """As the delivery function records that some endpoints answered 410, and all failed."""
    with transaction() as connection:
        disable(connection, gone, "the endpoint answered 410 Gone")
        connection.execute(LOCK_DELIVERIES, {"ids": deliveries})
        connection.execute(LOCK_HEALTH, {"ids": webhooks})
        connection.execute(FAILED_AGAIN, {"ids": webhooks})
        notify(connection, [Signal(EXHAUSTED, webhook, deliveries[0]) for webhook in webhooks])


def resume_all(webhooks: list[str], client: Client) -> None:
    for id in webhooks:
        assert client("POST", f"/v1/webhooks/{id}/resume").status == 200


def test_sweeping_recording_and_resuming_at_once_never_deadlock(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    acme = service.application()
    values = {"application_id": acme["id"], "event_types": ["*", "hookline.*"]}
    ids = sorted(failing_webhook(service, **values)["id"] for _ in range(3))
    rows = service.sql.run("SELECT CAST(id AS text) FROM webhook.webhook_deliveries ORDER BY id LIMIT 30")
    deliveries = [id for (id,) in rows]
    engines = OnePerThread()
    with monkeypatch.context() as patched, ThreadPoolExecutor(5) as threads:
        patched.setattr(database, "engine", engines)
        work = [
            *(threads.submit(repeat, record_failures, ids, deliveries, gone) for gone in (ids, ids[1:])),
            *(threads.submit(repeat, sweep) for _ in range(2)),
            threads.submit(repeat, resume_all, ids, service.client),
        ]
        for one in work:
            one.result(60)
    for engine in engines.made:
        engine.dispose()
    done = {row["actor"]["type"] for row in audited(service, "webhook.disabled")}
    assert done == {"hookline"}
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_events WHERE type LIKE 'hookline.%'") > [[0]]


def repeat(work: Callable[..., Any], *given: Any) -> None:
    """Nothing is tried again: a deadlock is an error."""
    for _ in range(15):
        work(*given)
