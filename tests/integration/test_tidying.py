"""The jobs that forget what is over: answers to old requests, rotated secrets, dead letters."""

import pytest

from functions.maintain import dead_letters, expired_secrets, idempotency_keys
from functions.settings import settings
from tests.integration.conftest import Service
from tests.integration.levers_scene import dead_letter_of, failed
from tests.integration.locks import while_waiting
from tests.integration.maintain_scene import run_job

KEYS = (
    "INSERT INTO webhook.idempotency_keys"
    " (owner_id, key, request_hash, response_status, response_body, created_at)"
    " SELECT uuidv7(), 'k' || n, decode(repeat('00', 32), 'hex'), 200, repeat('x', 300),"
    " now() - CASE WHEN n % 2 = 0 THEN interval '23 hours' ELSE interval '25 hours' END"
    " FROM generate_series(1, 3000) AS n"
)


def count(service: Service, table: str) -> int:
    return int(service.sql.run(f"SELECT count(*) FROM webhook.{table}")[0][0])


def letter(service: Service, id: str) -> dict:
    return dict(service.client("GET", f"/v1/dead-letters/{id}").body)


def test_answers_are_kept_for_a_day_and_the_key_is_free_then(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_keys, "PAGES", 7)  # of some 200
    service.sql.run(KEYS)
    assert run_job("idempotency_keys") == {"deleted": 1500}
    assert service.sql.run("SELECT count(*) FROM webhook.idempotency_keys WHERE key ~ '[13579]$'") == [[0]]
    assert run_job("idempotency_keys") == {"deleted": 0}
    event = {"type": "a.b", "data": 1}
    first = service.client("POST", "/v1/events", event, headers={"idempotency-key": "mine"}).body
    run_job("idempotency_keys", days=0.99)
    assert service.client("POST", "/v1/events", event, headers={"idempotency-key": "mine"}).body == first
    run_job("idempotency_keys", days=1.01)
    assert service.client("POST", "/v1/events", event, headers={"idempotency-key": "mine"}).body != first


def test_a_key_that_is_taken_anew_this_moment_stays(service: Service) -> None:
    service.sql.run(KEYS)
    service.sql.run("BEGIN")
    service.sql.run("UPDATE webhook.idempotency_keys SET created_at = now() WHERE key = 'k1'")
    assert run_job("idempotency_keys") == {"deleted": 1499}
    service.sql.run("COMMIT")
    assert service.sql.run("SELECT count(*) FROM webhook.idempotency_keys WHERE key = 'k1'") == [[1]]


def test_without_time_nothing_is_done_and_the_next_run_does_it(service: Service) -> None:
    service.sql.run(KEYS)
    assert run_job("idempotency_keys", seconds=0) == {"deleted": 0}
    assert run_job("expired_secrets", seconds=0) == {"deleted": 0}
    assert run_job("dead_letters", days=100, seconds=0) == {"deleted": 0, "discarded": 0}
    assert run_job("idempotency_keys") == {"deleted": 1500}


def test_secrets_go_when_they_sign_no_more(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(expired_secrets, "BATCH", 2)
    webhook = service.webhook()
    for seconds in (60, 60, 60, 86_400 * 2):
        path = f"/v1/webhooks/{webhook['id']}/rotate-secret"
        assert service.client("POST", path, {"overlap_seconds": seconds}).status == 200
    assert run_job("expired_secrets") == {"deleted": 0}
    assert run_job("expired_secrets", days=1) == {"deleted": 3}
    assert count(service, "webhook_expiring_secrets") == 1


def test_what_was_dealt_with_is_forgotten_after_a_week_and_what_is_pending_stays(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dead_letters, "BATCH", 2)
    deliveries = failed(service, service.webhook(), 6)
    letters = [dead_letter_of(service, one) for one in deliveries]
    for one in letters[:3]:
        service.client("POST", f"/v1/dead-letters/{one}/discard")
    service.client("POST", f"/v1/dead-letters/{letters[3]}/redrive")
    assert run_job("dead_letters", days=6.9) == {"deleted": 0, "discarded": 0}
    assert run_job("dead_letters", days=7.1) == {"deleted": 4, "discarded": 0}
    left = service.client("GET", "/v1/dead-letters").body["data"]
    assert [(one["id"], one["status"]) for one in left] == [(id, "pending") for id in reversed(letters[4:])]


def test_what_nobody_dealt_with_for_long_is_discarded_and_says_so(service: Service) -> None:
    (delivery,) = failed(service, service.webhook())
    id = dead_letter_of(service, delivery)
    assert run_job("dead_letters", days=89.9) == {"deleted": 0, "discarded": 0}
    assert run_job("dead_letters", days=90.1) == {"deleted": 0, "discarded": 1}
    found = letter(service, id)
    assert (found["status"], found["resolved_by"]) == ("discarded", "hookline")
    assert found["notes"] == "nobody dealt with it for 90 days"
    assert service.client("GET", f"/v1/deliveries/{delivery}").body["status"] == "failed"
    assert run_job("dead_letters", days=90.1) == {"deleted": 1, "discarded": 0}


def test_the_times_are_settings(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETENTION_PENDING_DEAD_LETTERS_DAYS", "3")
    monkeypatch.setenv("RETENTION_RESOLVED_DEAD_LETTERS_DAYS", "1")
    settings.cache_clear()
    failed(service, service.webhook())
    assert run_job("dead_letters", days=4) == {"deleted": 0, "discarded": 1}
    assert run_job("dead_letters", days=0.9) == {"deleted": 0, "discarded": 0}
    assert run_job("dead_letters", days=1.1) == {"deleted": 1, "discarded": 0}


def test_a_dead_letter_that_is_redriven_this_moment_is_not_discarded(service: Service) -> None:
    (delivery,) = failed(service, service.webhook())
    redriven = (
        "UPDATE webhook.webhook_dlq SET status = 'resolved', resolved_at = now(), resolved_by = 'somebody'"
        " WHERE status = 'pending'"
    )
    counts = while_waiting(service, redriven, lambda: run_job("dead_letters", days=91))
    assert counts == {"deleted": 0, "discarded": 0}
    assert letter(service, dead_letter_of(service, delivery))["resolved_by"] == "somebody"
