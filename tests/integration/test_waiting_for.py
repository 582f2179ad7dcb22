"""What a delivery waits for: a word that is true of its row, its webhook and how that stands."""

from typing import Any

import pytest

from tests.integration.conftest import Service
from tests.integration.levers_scene import delivery, failed, held, waiting

NEVER_TRIED = "UPDATE webhook.webhook_deliveries SET attempts = 0"
DUE = "UPDATE webhook.webhook_deliveries SET scheduled_at = now(), sweep_at = now() + interval '90 s'"
SOON = "UPDATE webhook.webhook_deliveries SET scheduled_at = now() + interval '1 minute'"
HEALTH = "UPDATE webhook.webhook_health SET "
OPEN = HEALTH + "circuit = 'open', hold_until = now() + interval '10 minutes'"
PROBED = HEALTH + "circuit = 'half_open', hold_until = now() + interval '20 s'"
OPEN_SOON_OVER = HEALTH + "circuit = 'open', hold_until = now() + interval '1 s'"
OPEN_AND_OVER = HEALTH + "circuit = 'open', hold_until = now() - interval '1 s'"
RETRY_AFTER = HEALTH + "hold_until = now() + interval '10 minutes'"
LIMITED = "UPDATE webhook.webhooks SET rate_limit_requests = 1, rate_limit_per_seconds = 60"
EMPTY_BUCKET = HEALTH + "rate_due_at = now() + interval '1 minute'"
SLOW = HEALTH + "slow_until = now() + interval '1 minute'"

CASES: list[tuple[str, list[str], str | None]] = [  # of one whose retry comes in an hour
    ("its retry", [], "retry"),
    ("its retry, the circuit open for less", [OPEN_SOON_OVER], "retry"),
    ("its retry, due before the circuit is tried", [OPEN, SOON], "webhook_circuit"),
    ("its turn", [DUE], None),
    ("its first attempt, the circuit open", [NEVER_TRIED, OPEN], "webhook_circuit"),
    ("its first attempt, behind the probe", [NEVER_TRIED, SOON, PROBED], "webhook_circuit"),
    ("its first attempt, soon to be the probe", [NEVER_TRIED, SOON, OPEN_AND_OVER], "webhook_circuit"),
    ("what is due, the circuit open", [DUE, OPEN], "webhook_circuit"),
    ("what is due, the endpoint asked to wait", [DUE, RETRY_AFTER], "webhook_held"),
    ("its first attempt, no room in the bucket", [NEVER_TRIED, SOON, LIMITED, EMPTY_BUCKET], "rate_limit"),
    ("its first attempt, few at a time", [NEVER_TRIED, SOON, SLOW], "webhook_slow"),
    ("its first attempt, later for no reason of the webhook's", [NEVER_TRIED, SOON], None),
    ("a webhook that is paused", ["UPDATE webhook.webhooks SET status = 'paused'"], "webhook_resumed"),
    ("a webhook that is disabled", ["UPDATE webhook.webhooks SET status = 'disabled'", OPEN], "webhook_resumed"),
    ("a webhook that was deleted", ["UPDATE webhook.webhooks SET deleted_at = now()"], None),
]


@pytest.mark.parametrize(("statements", "word"), [case[1:] for case in CASES], ids=[case[0] for case in CASES])
def test_it_says_what_keeps_it(service: Service, statements: list[str], word: str | None) -> None:
    (id,) = waiting(service, service.webhook())
    for statement in statements:
        service.sql.run(statement)
    assert delivery(service, id)["waiting_for"] == word
    (listed,) = service.client("GET", "/v1/deliveries").body["data"]
    assert listed["waiting_for"] == word, "a list says the same"


def test_what_is_finished_or_under_way_waits_for_nothing(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run(OPEN)
    (gone,) = failed(service, webhook)
    (under_way,) = waiting(service, webhook)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET status = 'delivering', lease_expires_at = now() WHERE id = :id",
        id=under_way,
    )
    assert [delivery(service, id)["waiting_for"] for id in (gone, under_way)] == [None, None]


def test_behind_another_of_a_strict_webhook_it_stands_in_line_whatever_its_own_time(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    ids = [*waiting(service, webhook, 2), *held(service, webhook, 2)]
    assert words(service, ids) == ["retry", "line", "line", "line"]
    service.sql.run(OPEN)
    service.sql.run(DUE + " WHERE id = :id", id=ids[0])
    assert words(service, ids) == ["webhook_circuit", "line", "line", "line"]
    unordered = service.webhook(name="unordered")
    assert words(service, waiting(service, unordered, 2)) == ["retry", "retry"]


def test_the_head_of_a_line_that_nobody_has_woken_yet_waits_for_its_turn(service: Service) -> None:
    ids = held(service, service.webhook(ordering="strict"), 2)
    assert words(service, ids) == [None, "line"]


def test_filters_by_status_hold_for_what_stands_in_line(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    ids = [*waiting(service, webhook), *held(service, webhook, 2)]
    for query in ("status=pending", f"webhook_id={webhook['id']}&status=pending", "has_error=false"):
        listed = service.client("GET", f"/v1/deliveries?{query}").body["data"]
        assert [one["id"] for one in listed] == ids[::-1]
    for status in ("delivering", "delivered", "failed"):
        assert service.client("GET", f"/v1/deliveries?status={status}").body["data"] == []


def words(service: Service, ids: list[str]) -> list[Any]:
    return [delivery(service, id)["waiting_for"] for id in ids]
