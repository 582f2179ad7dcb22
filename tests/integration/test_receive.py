"""`POST /in/{source_id}`: what is taken, what is refused, and that what is refused leaves nothing behind."""

import json
import time
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.adapters import database, vault
from functions.domain.ids import uuid7
from tests.integration.conftest import Client, Service
from tests.integration.sources_scene import github, post, rows, secret_of, source
from tests.unit.domain.senders.requests_of import stripe

BODY = b'{"ref":"refs/heads/main","n":1.10}'
NEW, KNOWN = 202, 200


def now() -> datetime:
    return datetime.now(UTC)


def event_of(service: Service, id: str) -> dict[str, Any]:
    return dict(service.client("GET", f"/v1/events/{id}").body)


def test_what_is_kept_of_a_request(service: Service) -> None:
    made = source(service, environment="live")
    answer = post(made["id"], BODY, {**github(BODY), "authorization": "Bearer x", "cookie": "a=b", "x-other": "1"})
    event = event_of(service, answer.body["id"])
    assert event["received"] == {
        "source_id": made["id"],
        "message_id": "72d3162e",
        "type": "push",
        "headers": {
            "content-type": "application/json",
            "user-agent": "GitHub-Hookshot/044aadd",
            "x-github-event": "push",
            "x-github-delivery": "72d3162e",
        },
    }
    assert (event["environment"], event["external_id"]) == ("live", f"{made['id']}/72d3162e")
    assert event["correlation_id"] == answer.headers["hookline-correlation-id"]
    assert event_of(service, service.event(id="of-a-caller")["id"])["received"] is None


def test_a_token_is_not_kept_whatever_its_header_is_called(service: Service) -> None:
    for name in ("Idempotency-Key", "User-Agent", "X-Token"):
        made = source(service, "token", verification={"in": "header", "name": name, "id_header": "X-Id"})
        shown = {name: secret_of(service, made), "x-id": "7"}
        event = event_of(service, post(made["id"], b"{}", shown).body["id"])
        assert event["received"]["headers"] == {"content-type": "application/json", "x-id": "7"}


def test_when_something_came_is_known_within_a_minute(service: Service) -> None:
    made = source(service)
    assert made["received_at"] is None
    post(made["id"], BODY, github(BODY, secret="wrong"))
    path = f"/v1/sources/{made['id']}"
    assert service.client("GET", path).body["received_at"] is None
    post(made["id"], BODY, github(BODY))
    first = service.client("GET", path)
    assert first.body["received_at"] is not None
    post(made["id"], b"[2]", github(b"[2]", delivery="2"))
    again = service.client("GET", path)
    assert again.body == first.body, "not within the same minute"
    assert again.headers["etag"] == '"1"'


def test_the_types_of_a_source(service: Service) -> None:
    made = source(service, event_types={"issues.*": "issue.changed", "push": "code.pushed", "*": "github.other"})
    for n, (event, body, type) in enumerate(
        (
            ("push", b"{}", "code.pushed"),
            ("issues", b'{"action":"opened"}', "issue.changed"),
            ("star", b'{"action":"created"}', "github.other"),
        )
    ):
        answer = post(made["id"], body, github(body, event, str(n)))
        assert event_of(service, answer.body["id"])["type"] == type


def test_a_source_of_an_application_makes_its_events(service: Service) -> None:
    acme, other = (service.application(uid=uid)["id"] for uid in ("acme", "other"))
    made = source(service, application_id="acme")
    id = post(made["id"], BODY, github(BODY)).body["id"]
    assert event_of(service, id)["application_id"] == acme
    assert service.key(application_id="acme")("GET", f"/v1/events/{id}").status == 200
    assert service.key(application_id="other")("GET", f"/v1/events/{id}").status == 404
    assert other
    service.client("DELETE", "/v1/applications/acme")
    assert post(made["id"], BODY, github(BODY, delivery="2")).status == 404


def test_base64_is_the_same_bytes(service: Service) -> None:
    made = source(service)
    assert post(made["id"], BODY, github(BODY), as_text=False).status == NEW
    assert post(made["id"], BODY, github(BODY)).status == KNOWN
    assert post(made["id"], b"\xff", github(b"\xff", delivery="2"), as_text=False).status == 422


def test_one_bit_changed_is_refused_and_leaves_no_row(service: Service) -> None:
    service.webhook()
    made = source(service)
    before = rows(service)
    headers = github(BODY)
    for n in range(0, len(BODY) * 8, 7):
        changed = bytes(byte ^ (1 << n % 8) if at == n // 8 else byte for at, byte in enumerate(BODY))
        answer = post(made["id"], changed, headers, as_text=False)
        assert (answer.status, answer.body["error"]["message"]) == (401, "the signature is not valid")
    signature = headers["x-hub-signature-256"]
    for wrong in (signature[:-1], signature.upper(), signature.replace("sha256", "sha1"), ""):
        answer = post(made["id"], BODY, {**headers, "x-hub-signature-256": wrong})
        assert (answer.status, answer.body["error"]["code"]) == (401, "unauthorized")
    assert rows(service) == before


def test_only_a_living_source_is_posted_to(service: Service) -> None:
    made = source(service)
    path = f"/v1/sources/{made['id']}"
    answers = [post(id, BODY, github(BODY)) for id in (uuid7(), "none", "%00", made["id"][:-1])]
    service.client("PATCH", path, {"enabled": False})
    answers.append(post(made["id"], BODY, github(BODY)))
    service.client("PATCH", path, {"enabled": True})
    assert post(made["id"], BODY, github(BODY)).status == NEW
    assert service.client("DELETE", path).status == 204
    answers.append(post(made["id"], BODY, github(BODY)))
    for answer in answers:
        assert (answer.status, answer.body["error"]["code"]) == (404, "not_found")
        assert answer.body["error"]["message"] == "there is no such source"
        assert answer.body["error"]["request_id"]


def test_other_methods_are_told_what_there_is(service: Service) -> None:
    made = source(service)
    for method in ("GET", "PUT", "DELETE", "PATCH", "HEAD"):
        answer = post(made["id"], BODY, github(BODY), method=method)
        assert (answer.status, answer.headers["allow"]) == (405, "OPTIONS, POST")
        assert (answer.body == "") == (method == "HEAD")
    options = post(made["id"], b"", method="OPTIONS")
    assert (options.status, options.headers["allow"], options.body) == (204, "OPTIONS, POST", "")


def test_the_allow_list_and_the_limit(service: Service) -> None:
    made = source(service, ip_allowlist=["192.30.252.0/22", "2a0a:a440::/29"], max_body_bytes=len(BODY))
    before = rows(service)
    answer = post(made["id"], BODY, github(BODY))
    assert (answer.status, answer.body["error"]["code"]) == (403, "forbidden")
    larger = BODY + b" "
    for as_text in (True, False):
        answer = post(made["id"], larger, github(larger), address="192.30.252.7", as_text=as_text)
        assert (answer.status, answer.body["error"]["code"]) == (413, "payload_too_large")
    assert rows(service) == before
    assert post(made["id"], BODY, github(BODY), address="192.30.252.7").status == NEW
    assert post(made["id"], BODY, github(BODY), address="2a0a:a440::1").status == KNOWN


def test_what_is_verified_and_cannot_be_an_event(service: Service) -> None:
    made = source(service, max_body_bytes=1 << 20)
    before = rows(service)
    for body, status in (
        (b"not JSON", 422),
        (b'{"a":1,"a":2}', 422),
        (b'"\\u0000"', 422),
        (b"[" * 65 + b"]" * 65, 422),
        (json.dumps("x" * (256 << 10)).encode(), 413),
    ):
        answer = post(made["id"], body, github(body))
        assert answer.status == status, (body[:20], answer.body)
        assert answer.body["error"]["message"]
    assert rows(service) == before


def test_a_project_that_enforces_its_schemas(service: Service) -> None:
    service.admin("PATCH", f"/v1/projects/{service.project_id}", {"validation": "enforce"})
    service.client("POST", "/v1/event-types", {"name": "push", "schema": {"type": "object", "required": ["ref"]}})
    made = source(service)
    assert post(made["id"], BODY, github(BODY)).status == NEW
    answer = post(made["id"], b"{}", github(b"{}", delivery="2"))
    assert (answer.status, answer.body["error"]["code"]) == (422, "invalid_request")
    assert answer.body["error"]["details"]


def test_a_replay_is_refused_outside_the_window_and_known_within(service: Service) -> None:
    made = source(service, "stripe", secret="whsec_1234", replay_window_seconds=60)
    body = b'{"id":"evt_1","type":"charge.refunded"}'
    late = stripe(body, "whsec_1234", datetime.fromtimestamp(time.time() - 61, UTC))
    assert post(made["id"], body, dict(late.headers)).status == 401
    first, retry = (stripe(body, "whsec_1234", datetime.fromtimestamp(time.time() - age, UTC)) for age in (30, 0))
    assert post(made["id"], body, dict(first.headers)).status == NEW
    assert post(made["id"], body, dict(retry.headers)).status == KNOWN, "a retry is signed anew"


def test_the_same_id_of_two_sources_is_two_messages(service: Service, new_project: Any) -> None:
    ids = {post(source(service)["id"], BODY, github(BODY)).body["id"] for _ in range(2)}
    assert len(ids) == 2
    _, stranger = new_project()
    assert all(stranger("GET", f"/v1/events/{id}").status == 404 for id in ids)


def test_a_long_id_of_the_senders_is_known_again(service: Service) -> None:
    made = source(service)
    headers = github(BODY, delivery="d" * 1000)
    assert [post(made["id"], BODY, headers).status for _ in range(2)] == [NEW, KNOWN]
    other = github(BODY, delivery="d" * 999 + "e")
    assert post(made["id"], BODY, other).status == NEW


def test_rotated_secrets_are_taken_until_they_expire(service: Service) -> None:
    made = source(service)
    path = f"/v1/sources/{made['id']}/rotate-secret"
    new = service.client("POST", path, {"overlap_seconds": 600}).body["secret"]
    assert post(made["id"], BODY, github(BODY)).status == NEW
    assert post(made["id"], BODY, github(BODY, secret=new)).status == KNOWN
    service.sql.run("UPDATE webhook.source_expiring_secrets SET expires_at = now()")
    assert post(made["id"], BODY, github(BODY)).status == 401
    assert post(made["id"], BODY, github(BODY, secret=new)).status == KNOWN
    newer = service.client("POST", path, {"secret": "given-by-the-sender", "overlap_seconds": 0}).body["secret"]
    assert newer == "given-by-the-sender"
    assert post(made["id"], BODY, github(BODY, secret=new)).status == 401
    assert post(made["id"], BODY, github(BODY, secret=newer)).status == KNOWN


@pytest.mark.parametrize("away", ["database", "kms"])
def test_what_is_away_is_503_and_sent_again(service: Service, monkeypatch: pytest.MonkeyPatch, away: str) -> None:
    made = source(service)
    with monkeypatch.context() as patched:
        if away == "database":
            service.sql.run("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()")
            database.engine().dispose()
            patched.setattr(database.engine().dialect, "connect", _refuses)
        else:
            vault._plain_keys.clear()
            patched.setattr(vault, "_away_until", time.monotonic() + 60)
        answer = post(made["id"], BODY, github(BODY))
    assert (answer.status, answer.body["error"]["code"]) == (503, "unavailable")
    assert answer.headers["retry-after"]
    assert post(made["id"], BODY, github(BODY)).status == NEW


def _refuses(*_: Any, **__: Any) -> Any:
    raise database.engine().dialect.loaded_dbapi.InterfaceError("nobody listens")


def test_what_nobody_foresaw_is_500_without_internals(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    made = source(service)

    def breaks(*_: Any) -> Any:
        raise RuntimeError("the password is hunter2")

    monkeypatch.setattr("functions.receive.sources.note", breaks)
    before = rows(service)
    answer = post(made["id"], BODY, github(BODY))
    assert (answer.status, answer.body["error"]["code"]) == (500, "internal_error")
    assert "hunter2" not in json.dumps(answer.body)
    assert rows(service) == before, "one transaction"


def test_a_senders_correlation_id_is_the_events(service: Service) -> None:
    made = source(service)
    answer = post(made["id"], BODY, {**github(BODY), "hookline-correlation-id": "build-7"})
    assert answer.headers["hookline-correlation-id"] == "build-7"
    assert event_of(service, answer.body["id"])["correlation_id"] == "build-7"


def test_nobody_needs_a_key_to_post_and_nobody_gets_one(service: Service) -> None:
    """The path belongs to the receive function alone: the API knows nothing below it."""
    assert Client()("POST", f"/in/{source(service)['id']}", {}).status == 404
