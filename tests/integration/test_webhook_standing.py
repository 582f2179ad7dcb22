"""How a webhook stands: its circuit, what holds it, its line; and what a change of it makes of that."""

import threading
import time
from typing import Any

import pytest
from sqlalchemy import select

from functions.adapters.database import transaction
from functions.api.queries import webhook_standing
from functions.api.queries.waiting import waiting_for
from functions.domain import ordering
from functions.domain.jobs import BATCH
from functions.models import webhook_deliveries
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.conftest import Answer, Service
from tests.integration.levers_scene import delivery, held, job, sent, states, waiting, work
from tests.integration.locks import WAITING
from tests.integration.plans.explained import explained

STANDING = ("circuit", "held_until", "slow_until", "failing_since", "failure_count", "line")
WELL = {
    "circuit": {"state": "closed", "changed_at": None, "retry_at": None},
    "held_until": None,
    "slow_until": None,
    "failing_since": None,
    "failure_count": 0,
    "line": None,
}
MEMORY = """
SELECT strikes, circuit, hold_until IS NULL, slow_until IS NULL, rate_due_at IS NULL, line_until IS NULL
FROM webhook.webhook_health
"""
REMEMBERED, NO_RATE, CLEAN = (
    [7, "open", False, False, False, False],
    [7, "open", False, False, True, True],
    [0, "closed", True, True, True, True],
)
LEARNT = """
UPDATE webhook.webhook_health SET failure_count = 7, strikes = 7, failing_since = now(), circuit = 'open',
  circuit_openings = 1, circuit_changed_at = now(), hold_until = now() + interval '10 minutes',
  slow_until = now() + interval '1 minute', rate_due_at = now(), line_until = now()
"""


def read(service: Service, webhook: dict[str, Any]) -> Answer:
    answer = service.client("GET", f"/v1/webhooks/{webhook['id']}")
    assert answer.status == 200, answer.body
    return answer


def change(service: Service, webhook: dict[str, Any], **values: Any) -> Answer:
    answer = service.client("PATCH", f"/v1/webhooks/{webhook['id']}", values)
    assert answer.status == 200, answer.body
    return answer


def standing(body: dict[str, Any]) -> dict[str, Any]:
    return {name: body[name] for name in STANDING}


def learn(service: Service, **columns: str) -> None:
    """Each column of the health set to an SQL expression."""
    values = ", ".join(f"{name} = {value}" for name, value in columns.items())
    service.sql.run(f"UPDATE webhook.webhook_health SET {values}")


def at(service: Service, column: str) -> str:
    ((text,),) = service.sql.run(f"SELECT webhook.rfc3339({column}) FROM webhook.webhook_health")
    return str(text)


def test_a_webhook_that_is_well_says_so_wherever_it_is_shown(service: Service) -> None:
    webhook = service.webhook()
    (listed,) = service.client("GET", "/v1/webhooks").body["data"]
    changed = change(service, webhook, name="other")
    for body in (webhook, listed, read(service, webhook).body, changed.body):
        assert standing(body) == WELL


@pytest.mark.parametrize("state", ["open", "half_open"])
def test_a_circuit_that_is_not_closed_says_since_when_and_until_when(service: Service, state: str) -> None:
    webhook = service.webhook()
    learn(
        service,
        circuit=f"'{state}'",
        circuit_changed_at="now() - interval '1 minute'",
        hold_until="now() + interval '1 hour'",
        failing_since="now() - interval '1 day'",
        failure_count="12",
    )
    body = read(service, webhook).body
    assert body["circuit"] == {
        "state": state,
        "changed_at": at(service, "circuit_changed_at"),
        "retry_at": at(service, "hold_until"),
    }
    assert body["held_until"] is None, "one thing is said once"
    assert (body["failing_since"], body["failure_count"]) == (at(service, "failing_since"), 12)


def test_what_holds_or_slows_a_webhook_is_shown_while_it_does(service: Service) -> None:
    webhook = service.webhook()
    learn(service, hold_until="now() + interval '10 minutes'", slow_until="now() + interval '1 minute'")
    body = read(service, webhook).body
    assert (body["held_until"], body["slow_until"]) == (at(service, "hold_until"), at(service, "slow_until"))
    assert body["circuit"]["retry_at"] is None
    learn(service, hold_until="now() - interval '1 s'", slow_until="now() - interval '1 s'")
    assert standing(read(service, webhook).body) == WELL


def test_how_it_is_doing_is_no_new_version(service: Service) -> None:
    webhook = service.webhook()
    before = read(service, webhook)
    service.sql.run(LEARNT)
    after = read(service, webhook)
    assert after.headers["etag"] == before.headers["etag"]
    assert after.body["updated_at"] == before.body["updated_at"]
    assert after.body["circuit"]["state"] == "open"


def test_a_strict_webhook_shows_its_line_where_it_alone_is_read(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    assert webhook["line"] is None
    assert read(service, webhook).body["line"] == {"head": None, "waiting": 0, "since": None}
    (head,) = waiting(service, webhook)
    held(service, webhook, 3)
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET last_error_code = 'timeout', last_error_message = 'too late'"
        " WHERE id = :id",
        id=head,
    )
    line = read(service, webhook).body["line"]
    shown = delivery(service, head)
    assert line == {
        "head": {
            "delivery_id": head,
            "event_id": shown["event_id"],
            "status": "pending",
            "attempts": 2,
            "scheduled_at": shown["scheduled_at"],
            "last_error": {"code": "timeout", "message": "too late"},
        },
        "waiting": 3,
        "since": shown["created_at"],
    }
    (listed,) = service.client("GET", "/v1/webhooks").body["data"]
    assert (listed["line"], change(service, webhook, name="n").body["line"]) == (None, None)
    unordered = service.webhook(name="unordered")
    waiting(service, unordered)
    assert read(service, unordered).body["line"] is None


def test_a_long_line_is_counted_up_to_a_bound_and_read_along_its_own_index(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    webhook, busy = service.webhook(ordering="strict"), service.webhook(name="busy")
    held(service, busy, 8_000)
    line = held(service, webhook, 5_000)
    service.sql.run("ANALYZE")
    monkeypatch.setattr(webhook_standing, "MOST_WAITING", 100)
    with transaction() as connection, explained() as runs:
        found = webhook_standing.line(connection, webhook["id"])
    assert (str(found["head"]["delivery_id"]), found["waiting"]) == (line[0], 100)
    assert max(run.pages for run in runs) < 150, "the others' are on twice as many"
    with transaction() as connection, explained() as runs:
        newest = select(waiting_for(webhook_deliveries)).where(webhook_deliveries.c.id.in_(line[-100:]))
        assert set(connection.execute(newest).scalars()) == {"line"}
    assert runs[-1].pages < 15 * 100, "a few look-ups for each"


MENDED = [
    {"url": "http://127.0.0.1:9/other"},
    {"auth": {"type": "bearer", "token": "t"}},
    {"headers": {"x-tenant": "other"}},
    {"timeout_seconds": 3},
    {"ip_allowlist": ["198.51.100.0/24"]},
]
NOT_MENDED = [
    {"name": "other", "max_attempts": 3, "environment": "live", "ordering": "strict"},
    {"url": "http://127.0.0.1:9/hook", "timeout_seconds": 15, "auth": None, "ip_allowlist": None},
    {"auth": {"type": "none"}, "headers": {"x-tenant": "acme", "x-api-key": "********"}},
]


@pytest.mark.parametrize("values", MENDED, ids=lambda values: next(iter(values)))
def test_another_way_to_the_endpoint_forgets_how_the_old_one_did(service: Service, values: dict[str, Any]) -> None:
    webhook = service.webhook(headers={"x-tenant": "acme", "x-api-key": "k"})
    service.sql.run(LEARNT)
    body = change(service, webhook, **values).body
    assert service.sql.run(MEMORY) == [CLEAN]
    assert (body["circuit"]["state"], body["failure_count"]) == ("closed", 0)


@pytest.mark.parametrize("values", NOT_MENDED, ids=["elsewhere", "the-same", "the-same-as-shown"])
def test_what_mends_nothing_forgets_nothing(service: Service, values: dict[str, Any]) -> None:
    webhook = service.webhook(headers={"x-tenant": "acme", "x-api-key": "k"})
    service.sql.run(LEARNT)
    change(service, webhook, **values)
    assert service.sql.run(MEMORY) == [REMEMBERED]


def test_another_rate_limit_begins_with_a_full_bucket(service: Service) -> None:
    webhook = service.webhook(rate_limit={"requests": 5, "per_seconds": 1})
    service.sql.run(LEARNT)
    change(service, webhook, rate_limit={"requests": 5, "per_seconds": 1})
    assert service.sql.run(MEMORY) == [REMEMBERED]
    change(service, webhook, rate_limit={"requests": 6, "per_seconds": 1})
    assert service.sql.run(MEMORY) == [NO_RATE]
    service.sql.run(LEARNT)
    change(service, webhook, rate_limit=None)
    assert service.sql.run(MEMORY) == [NO_RATE]


@pytest.mark.parametrize(
    ("limit", "path"),
    [
        ({"requests": 0, "per_seconds": 1}, "rate_limit.requests"),
        ({"requests": 1_000_001, "per_seconds": 1}, "rate_limit.requests"),
        ({"requests": 1, "per_seconds": 0}, "rate_limit.per_seconds"),
        ({"requests": 1, "per_seconds": 3_601}, "rate_limit.per_seconds"),
        ({"requests": 1}, "rate_limit.per_seconds"),
    ],
    ids=["none", "too-many", "no-time", "too-long", "half"],
)
def test_a_rate_limit_has_bounds(service: Service, limit: dict[str, int], path: str) -> None:
    answer = service.client(
        "POST", "/v1/webhooks", {"name": "n", "url": "http://127.0.0.1:9/", "rate_limit": limit}
    )
    assert (answer.status, [one["path"] for one in answer.body["error"]["details"]]) == (422, [path])
    for fits in ({"requests": 1, "per_seconds": 3_600}, {"requests": 1_000_000, "per_seconds": 1}):
        assert service.webhook(rate_limit=fits)["rate_limit"] == fits


def test_what_stood_in_line_is_due_when_the_order_is_given_up(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    (head,) = waiting(service, webhook)
    line = held(service, webhook, BATCH + 5)
    change(service, webhook, ordering="none", name="n")
    assert set(sent(service)) == set(line[:BATCH])
    [started] = service.client("GET", "/v1/jobs").body["data"]
    assert (started["kind"], started["total"]) == ("release", 5)
    work(service)
    assert set(sent(service)) == set(line[BATCH:])
    assert job(service, started["id"])["changed"] == 5
    assert delivery(service, head)["waiting_for"] == "retry", "it keeps its time"


def test_the_line_of_a_paused_webhook_waits_on_for_the_resume(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    line = held(service, webhook, 3)
    service.client("POST", f"/v1/webhooks/{webhook['id']}/pause")
    change(service, webhook, ordering="none")
    assert sent(service) == {}
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/resume").body["released"] == 3
    assert set(sent(service)) == set(line)


def test_a_stale_change_gives_nothing_back_and_forgets_nothing(service: Service) -> None:
    webhook = service.webhook(ordering="strict")
    held(service, webhook, 2)
    service.sql.run(LEARNT)
    body = {"ordering": "none", "url": "http://127.0.0.1:9/other"}
    path = f"/v1/webhooks/{webhook['id']}"
    assert service.client("PATCH", path, body, headers={"if-match": '"9"'}).status == 412
    assert sent(service) == {}
    assert service.sql.run(MEMORY) == [REMEMBERED]


def test_what_is_unfinished_when_a_webhook_becomes_strict_is_its_line(service: Service) -> None:
    webhook = service.webhook()
    ids = waiting(service, webhook, 3)
    change(service, webhook, ordering="strict")
    assert [delivery(service, id)["waiting_for"] for id in ids] == ["retry", "line", "line"]
    assert read(service, webhook).body["line"]["head"]["delivery_id"] == ids[0]
    refused = service.client("POST", f"/v1/deliveries/{held(service, webhook)[0]}/retry")
    assert refused.status == 409
    assert "in line behind an earlier delivery" in refused.body["error"]["message"]


@pytest.mark.parametrize("how", ["skip", "order"])
def test_who_claims_from_the_line_meanwhile_and_who_changes_it_do_not_wait_for_each_other(
    service: Service, databases: Databases, how: str
) -> None:
    """A claimer holds the line's health and then takes deliveries; here it does so while the other waits."""
    webhook = service.webhook(ordering="strict")
    head, behind = held(service, webhook, 2)
    answers: list[Answer] = []
    calls = {
        "skip": lambda: service.client("POST", f"/v1/deliveries/{head}/skip"),
        "order": lambda: change(service, webhook, ordering="none"),
    }
    with databases.connect(settings().database.url) as claimer:
        claimer.run("BEGIN")
        claimer.run(str(ordering.LOCK.text), webhooks=[webhook["id"]])
        other = threading.Thread(target=lambda: answers.append(calls[how]()))
        other.start()
        end = time.monotonic() + 10
        while service.sql.run(WAITING) == [[0]]:
            assert time.monotonic() < end, "it does not wait for the line"
            time.sleep(0.01)
        claimer.run("SET LOCAL lock_timeout = '5s'")
        for id in (head, behind):
            claimer.run("UPDATE webhook.webhook_deliveries SET token = token + 1 WHERE id = :id", id=id)
        claimer.run("COMMIT")
        other.join(20)
    assert [answer.status for answer in answers] == [200]
    assert states(service) == ({"failed": 1, "pending": 1} if how == "skip" else {"pending": 2})


def test_forgetting_locks_no_other_webhook(service: Service) -> None:
    mine, other = service.webhook(), service.webhook(name="other")
    service.sql.run("BEGIN")
    service.sql.run("SELECT 1 FROM webhook.webhook_health WHERE webhook_id = :id FOR UPDATE", id=other["id"])
    with transaction() as connection:
        webhook_standing.forget(connection, mine["id"])
    service.sql.run("ROLLBACK")
    assert read(service, mine).body["circuit"]["state"] == "closed"
