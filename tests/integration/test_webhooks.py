"""Configuring webhooks."""

import json
from typing import Any

import pytest

from functions.adapters.database import engine
from functions.api.caller import Caller
from functions.api.queries import webhooks as queries
from functions.api.queries.webhooks import Filter
from functions.deliver import handler as deliver
from functions.domain.headers import HIDDEN
from tests.integration.conftest import Client, Context, Service
from tests.integration.locks import while_waiting


def test_a_webhook_has_its_defaults_and_reads_back(service: Service) -> None:
    made = service.webhook()
    assert made["status"] == "active"
    assert (made["timeout_seconds"], made["max_attempts"]) == (15, 6)
    assert [one["event_type"] for one in made["subscriptions"]] == ["*"]
    assert made["created_by"] == made["updated_by"]
    assert service.client("GET", f"/v1/webhooks/{made['id']}").body == made
    assert service.client("GET", "/v1/webhooks").body == {"data": [made], "next_cursor": None}


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": 1},
        {"url": "ftp://example.com"},
        {"url": "http://user:pass@127.0.0.1/"},
        {"url": "http://10.0.0.1/"},
        {"url": "http://example.com/" + "x" * 2048},
        {"url": "http://127.0.0.1:99999/"},
        {"url": "http://127.0.0.1:port/"},
        {"url": "http:/127.0.0.1:9/"},
        {"url": "http:127.0.0.1:9/"},
        {"event_types": []},
        {"event_types": ["a*"]},
        {"event_types": ["a", "a"]},
        {"event_types": "*"},
        {"event_types": [f"t.{n}" for n in range(101)]},
        {"timeout_seconds": 0},
        {"timeout_seconds": 31},
        {"timeout_seconds": "5"},
        {"timeout_seconds": 1.5},
        {"timeout_seconds": True},
        {"max_attempts": 0},
        {"max_attempts": 21},
        {"secret": "whsec_short"},
        {"secret": "whsk_" + "A" * 44},
        {"signing_algorithm": "rsa"},
        {"unknown": 1},
        {"status": "paused"},
    ],
)
def test_bad_values_are_422_and_name_the_field(service: Service, values: dict) -> None:
    answer = service.client("POST", "/v1/webhooks", {"name": "n", "url": "http://127.0.0.1:9/", **values})
    assert answer.status == 422
    (field,) = values
    assert answer.body["error"]["details"][0]["path"].startswith(field)
    assert service.client("GET", "/v1/webhooks").body["data"] == []


WRONG = [  # for a creation and for a change alike: (field, value, path)
    ("description", "x" * 4097, "description"),
    ("environment", "", "environment"),
    ("environment", "a b", "environment"),
    ("environment", "x" * 65, "environment"),
    ("headers", [], "headers"),
    ("headers", {"x": 1}, "headers.x"),
    ("headers", {"x": None}, "headers.x"),
    ("headers", {"x": ""}, "headers.x"),
    ("headers", {"x": "a\r\nhost: evil"}, "headers.x"),
    ("headers", {"x": "ü"}, "headers.x"),
    ("headers", {"x": "y" * 1025}, "headers.x"),
    ("headers", {"x y": "z"}, "headers.x y"),
    ("headers", {"": "z"}, "headers."),
    ("headers", {"x" * 129: "z"}, "headers." + "x" * 129),
    ("headers", {"Host": "evil"}, "headers.Host"),
    ("headers", {"CONTENT-length": "1"}, "headers.CONTENT-length"),
    ("headers", {"Transfer-Encoding": "chunked"}, "headers.Transfer-Encoding"),
    ("headers", {"Webhook-Signature": "v1,x"}, "headers.Webhook-Signature"),
    ("headers", {"hookline-attempt": "1"}, "headers.hookline-attempt"),
    ("headers", {"User-Agent": "x"}, "headers.User-Agent"),
    ("headers", {"Proxy-Authorization": "x"}, "headers.Proxy-Authorization"),
    ("headers", {"x-a": "1", "X-A": "2"}, "headers.X-A"),
    ("headers", {"x-tenant": HIDDEN}, "headers.x-tenant"),
    ("headers", {f"x-{n}": "1" for n in range(21)}, "headers"),
    ("auth", "none", "auth"),
    ("auth", {}, "auth"),
    ("auth", {"type": "digest"}, "auth"),
    ("auth", {"type": []}, "auth"),
    ("auth", {"type": "none", "token": "t"}, "auth.token"),
    ("auth", {"type": "bearer"}, "auth.token"),
    ("auth", {"type": "bearer", "token": ""}, "auth.token"),
    ("auth", {"type": "bearer", "token": "a b"}, "auth.token"),
    ("auth", {"type": "bearer", "token": "x" * 4097}, "auth.token"),
    ("auth", {"type": "basic", "username": "a:b", "password": "p"}, "auth.username"),
    ("auth", {"type": "basic", "username": "a", "password": "p\n"}, "auth.password"),
    ("auth", {"type": "basic", "username": "a"}, "auth.password"),
    ("timeout_seconds", 31, "timeout_seconds"),
    ("max_attempts", 0, "max_attempts"),
    ("retry_strategy", None, "retry_strategy"),
    ("retry_strategy", "linear", "retry_strategy"),
    ("retry_strategy", {"kind": "quadratic"}, "retry_strategy"),
    ("retry_strategy", {"kind": "fixed", "step_seconds": 1}, "retry_strategy.step_seconds"),
    ("retry_strategy", {"kind": "fixed", "delay_seconds": 0}, "retry_strategy.delay_seconds"),
    ("retry_strategy", {"kind": "fixed", "delay_seconds": 604_801}, "retry_strategy.delay_seconds"),
    ("retry_strategy", {"kind": "exponential", "factor": 0.5}, "retry_strategy.factor"),
    ("retry_strategy", {"kind": "exponential", "factor": True}, "retry_strategy.factor"),
    ("retry_strategy", {"kind": "exponential", "jitter": "yes"}, "retry_strategy.jitter"),
    ("retry_strategy", {"kind": "custom"}, "retry_strategy.delays_seconds"),
    ("retry_strategy", {"kind": "custom", "delays_seconds": []}, "retry_strategy.delays_seconds"),
    ("retry_strategy", {"kind": "custom", "delays_seconds": [1, 0]}, "retry_strategy.delays_seconds.1"),
    ("retry_strategy", {"kind": "custom", "delays_seconds": [1] * 21}, "retry_strategy.delays_seconds"),
    ("ip_allowlist", [], "ip_allowlist"),
    ("ip_allowlist", "10.0.0.0/8", "ip_allowlist"),
    ("ip_allowlist", ["10.0.0.0/8", "example.com"], "ip_allowlist.1"),
    ("ip_allowlist", ["10.0.0.0/8"] * 51, "ip_allowlist"),
    ("rate_limit", {"requests": 1}, "rate_limit.per_seconds"),
    ("rate_limit", {"requests": 0, "per_seconds": 1}, "rate_limit.requests"),
    ("rate_limit", {"requests": 1, "per_seconds": 10**30}, "rate_limit.per_seconds"),
    ("ordering", "loose", "ordering"),
]


def test_what_is_wrong_is_named_by_its_path(service: Service) -> None:
    made = service.webhook()
    for field, value, path in WRONG:
        new = {"name": "n", "url": "http://127.0.0.1:9/", field: value}
        created = service.client("POST", "/v1/webhooks", new)
        changed = service.client("PATCH", f"/v1/webhooks/{made['id']}", {field: value})
        for answer in (created, changed):
            assert answer.status == 422, (field, value)
            assert [one["path"] for one in answer.body["error"]["details"]] == [path]
    assert service.client("GET", "/v1/webhooks").body["data"] == [made]


WHOLE: dict[str, Any] = {
    "name": "orders",
    "url": "http://127.0.0.1:9/hook",
    "event_types": ["invoice.*", "order.paid"],
    "filter": {"amount": {"gt": 100}},
    "description": "all of it",
    "environment": "production",
    "headers": {"X-Tenant": "acme", "X-Api-Key": "k-123", "x-thing": "Bearer b-456"},
    "auth": {"type": "basic", "username": "hookline", "password": "p-789"},
    "timeout_seconds": 5,
    "max_attempts": 3,
    "retry_strategy": {"kind": "linear", "step_seconds": 30},
    "ip_allowlist": ["10.1.2.3/8", "192.0.2.1", "10.0.0.0/8"],
    "rate_limit": {"requests": 100, "per_seconds": 60},
    "ordering": "strict",
    "signing_algorithm": "ed25519",
}
SHOWN = {
    "description": "all of it",
    "environment": "production",
    "headers": {"X-Tenant": "acme", "X-Api-Key": HIDDEN, "x-thing": HIDDEN},
    "auth": {"type": "basic"},
    "timeout_seconds": 5,
    "max_attempts": 3,
    "retry_strategy": {"kind": "linear", "step_seconds": 30, "max_seconds": 86_400, "jitter": False},
    "ip_allowlist": ["10.0.0.0/8", "192.0.2.1/32"],
    "rate_limit": {"requests": 100, "per_seconds": 60},
    "ordering": "strict",
    "signing_algorithm": "ed25519",
    "application_id": None,
    "status": "active",
    "status_reason": None,
}


def test_a_webhook_with_all_of_it_reads_back_without_its_credentials(service: Service) -> None:
    answer = service.client("POST", "/v1/webhooks", WHOLE)
    assert answer.status == 201
    assert answer.headers["etag"] == '"1"'
    made = answer.body
    assert {name: made[name] for name in SHOWN} == SHOWN
    assert made["status_changed_at"] == made["created_at"]
    assert {one["event_type"] for one in made["subscriptions"]} == {"invoice.*", "order.paid"}
    assert all(one["filter"] == {"amount": {"gt": 100}} for one in made["subscriptions"])
    read = service.client("GET", f"/v1/webhooks/{made['id']}")
    assert (read.body, read.headers["etag"]) == (made, '"1"')


def test_the_scheme_of_a_url_is_stored_in_lower_case(service: Service) -> None:
    made = service.webhook(url="HTTP://127.0.0.1:9/Hook")
    assert made["url"] == "http://127.0.0.1:9/Hook"
    path = f"/v1/webhooks/{made['id']}"
    assert service.client("PATCH", path, {"url": "Http://127.0.0.1:9/"}).body["url"] == "http://127.0.0.1:9/"


def test_a_filter_applies_to_each_first_subscription(service: Service) -> None:
    service.webhook(event_types=["a.*", "b"], filter={"n": {"gt": 1}})
    matched = [
        service.event(type=type, data={"n": n})["webhooks_matched"] for type in ("a.x", "b") for n in (1, 2)
    ]
    assert matched == [0, 1, 0, 1]
    wrong = {"name": "n", "url": "http://127.0.0.1:9/", "filter": {"n": {"gt": []}}}
    refused = service.client("POST", "/v1/webhooks", wrong)
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "filter.n.gt")


def test_nothing_that_authenticates_is_stored_in_clear_or_shown(service: Service) -> None:
    made = service.client("POST", "/v1/webhooks", WHOLE, headers={"idempotency-key": "once"}).body
    path = f"/v1/webhooks/{made['id']}"
    service.client("PATCH", path, {"auth": {"type": "bearer", "token": "t-000"}})
    shown = json.dumps([service.client("GET", one).body for one in (path, "/v1/webhooks", "/v1/audit-log")])
    tables = service.sql.run(
        "SELECT relname FROM pg_class WHERE relnamespace = 'webhook'::regnamespace AND relkind = 'r'"
    )
    stored = "".join(str(service.sql.run(f'SELECT t::text FROM webhook."{table}" t')) for (table,) in tables)
    for secret in ("k-123", "b-456", "p-789", "t-000"):
        assert secret not in shown
        assert secret not in stored
        assert secret.encode().hex() not in stored


def test_a_key_that_is_created_with_authorization_of_its_own_takes_no_auth(service: Service) -> None:
    body = {"name": "n", "url": "http://127.0.0.1:9/", "headers": {"Authorization": "Token t"}}
    made = service.client("POST", "/v1/webhooks", body).body
    assert made["headers"] == {"Authorization": HIDDEN}
    bearer = {"auth": {"type": "bearer", "token": "t"}}
    both = service.client("POST", "/v1/webhooks", {**body, **bearer})
    assert both.body["error"]["details"][0]["path"] == "headers.Authorization"
    path = f"/v1/webhooks/{made['id']}"
    later = service.client("PATCH", path, bearer)
    assert (later.status, later.body["error"]["details"][0]["path"]) == (422, "auth")
    exchanged = service.client("PATCH", path, {**bearer, "headers": None})
    assert (exchanged.body["auth"], exchanged.body["headers"]) == ({"type": "bearer"}, {})
    back = service.client("PATCH", path, {"headers": {"authorization": "x"}})
    assert (back.status, back.body["error"]["details"][0]["path"]) == (422, "headers.authorization")


# Field by field: what a change makes of it, and what `null` does (REFUSED: 422).
REFUSED = object()
CHANGES = [
    ("name", "new", "new", REFUSED),
    ("url", "http://127.0.0.1:9/new", "http://127.0.0.1:9/new", REFUSED),
    ("description", "new", "new", None),
    ("environment", "staging", "staging", None),
    ("headers", {"x-new": "1"}, {"x-new": "1"}, {}),
    ("auth", {"type": "bearer", "token": "t"}, {"type": "bearer"}, {"type": "none"}),
    ("timeout_seconds", 7, 7, REFUSED),
    ("max_attempts", 7, 7, REFUSED),
    (
        *("retry_strategy", {"kind": "custom", "delays_seconds": [1, 2]}),
        *({"kind": "custom", "delays_seconds": [1, 2], "jitter": False}, REFUSED),
    ),
    ("ip_allowlist", ["192.0.2.0/24"], ["192.0.2.0/24"], None),
    ("rate_limit", {"requests": 1, "per_seconds": 2}, {"requests": 1, "per_seconds": 2}, None),
    ("ordering", "none", "none", REFUSED),
]


@pytest.mark.parametrize(("field", "value", "shown", "cleared"), CHANGES)
def test_a_patch_changes_the_field_it_names_and_null_clears_what_may_be_empty(
    service: Service, field: str, value: Any, shown: Any, cleared: Any
) -> None:
    made = service.client("POST", "/v1/webhooks", WHOLE).body
    path = f"/v1/webhooks/{made['id']}"
    changed = service.client("PATCH", path, {field: value})
    assert changed.status == 200
    assert changed.body == {**made, field: shown, "updated_at": changed.body["updated_at"]}
    assert changed.body["updated_at"] > made["updated_at"]
    assert changed.headers["etag"] == '"2"'
    emptied = service.client("PATCH", path, {field: None})
    if cleared is REFUSED:
        assert (emptied.status, emptied.body["error"]["details"][0]["path"]) == (422, field)
        assert service.client("GET", path).body == changed.body
    else:
        assert emptied.body == {**changed.body, field: cleared, "updated_at": emptied.body["updated_at"]}


def test_every_field_of_a_change_is_in_the_table() -> None:
    from functions.api.schemas.webhooks import WebhookPatch

    assert [field for field, *_ in CHANGES] == list(WebhookPatch.model_fields)


def test_what_a_change_does_not_take(service: Service) -> None:
    made = service.webhook()
    path = f"/v1/webhooks/{made['id']}"
    for body in (
        *({}, {"id": made["id"]}, {"application_id": None}, {"status": "paused"}, {"event_types": ["*"]}),
        *({"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}, {"signing_algorithm": "hmac"}),
    ):
        assert service.client("PATCH", path, body).status == 422, body
    read = service.client("GET", path)
    assert (read.body, read.headers["etag"]) == (made, '"1"')


def test_a_hidden_header_keeps_its_value_when_its_mask_is_sent_back(service: Service) -> None:
    made = service.webhook(headers={"X-Api-Key": "k", "X-Tenant": "acme"})
    path = f"/v1/webhooks/{made['id']}"
    kept = service.client("PATCH", path, {"headers": {**made["headers"], "X-Tenant": "umbrella"}}).body
    assert kept["headers"] == {"X-Api-Key": HIDDEN, "X-Tenant": "umbrella"}
    refused = service.client("PATCH", path, {"headers": {"X-Tenant": HIDDEN}})
    assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "headers.X-Tenant")
    assert service.client("PATCH", path, {"headers": {"x-other": "1"}}).body["headers"] == {"x-other": "1"}
    gone = service.client("PATCH", path, {"headers": {"X-Api-Key": HIDDEN}})
    assert gone.status == 422, "its value went when the header did"


def test_credentials_that_cannot_be_read_are_mended_by_giving_all_anew(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"}, auth={"type": "bearer", "token": "t"})
    service.sql.run("UPDATE webhook.webhooks SET credentials = 'spoilt by hand, whatever it was'")
    path = f"/v1/webhooks/{made['id']}"
    assert service.client("PATCH", path, {"auth": {"type": "bearer", "token": "new"}}).status == 500
    mended = service.client(
        "PATCH", path, {"auth": {"type": "bearer", "token": "new"}, "headers": {"x-api-key": "k"}}
    )
    assert mended.status == 200
    kept = service.client("PATCH", path, {"headers": mended.body["headers"]})
    assert kept.body["headers"] == {"x-api-key": HIDDEN}


def test_a_change_is_made_to_the_version_that_was_read_or_not_at_all(service: Service) -> None:
    made = service.webhook()
    path = f"/v1/webhooks/{made['id']}"
    assert service.client("PATCH", path, {"name": "two"}, headers={"if-match": '"1"'}).headers["etag"] == '"2"'
    for method, body in (("PATCH", {"name": "three"}), ("DELETE", None)):
        stale = service.client(method, path, body, headers={"if-match": '"1"'})
        assert (stale.status, stale.body["error"]["code"]) == (412, "precondition_failed")
        assert service.client(method, path, body, headers={"if-match": "2"}).status == 400
    assert service.client("GET", path).body["name"] == "two"
    assert service.client("PATCH", path, {"name": "three"}, headers={"if-match": "*"}).status == 200
    assert service.client("DELETE", path, headers={"if-match": '"3"'}).status == 204


def test_a_change_that_waits_for_another_sees_what_that_did(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    another = "UPDATE webhook.webhooks SET version = version + 1 WHERE id = :id"
    kept = {"headers": {"x-api-key": HIDDEN}}
    stale = while_waiting(
        service,
        another,
        lambda: service.client("PATCH", path, kept, headers={"if-match": '"1"'}),
        id=made["id"],
    )
    assert stale.status == 412
    late = while_waiting(service, another, lambda: service.client("PATCH", path, kept), id=made["id"])
    assert (late.status, late.headers["etag"]) == (200, '"4"')


def test_a_change_that_waits_for_the_webhooks_end_finds_it_gone(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    end = "UPDATE webhook.webhooks SET deleted_at = now(), credentials = NULL WHERE id = :id"
    kept = {"headers": {"x-api-key": HIDDEN}}
    late = while_waiting(service, end, lambda: service.client("PATCH", path, kept), id=made["id"])
    assert late.status == 404


def test_events_are_accepted_while_a_webhook_is_being_changed(service: Service) -> None:
    webhook = service.webhook()
    service.sql.run("BEGIN")
    service.sql.run("UPDATE webhook.webhooks SET name = 'another' WHERE id = :id", id=webhook["id"])
    assert service.event()["webhooks_matched"] == 1
    service.sql.run("COMMIT")


def test_changes_are_in_the_audit_log(service: Service) -> None:
    made = service.webhook(headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{made['id']}"
    changed = service.client("PATCH", path, {"name": "new"}).body
    service.client("DELETE", path)
    rows = service.sql.run(
        "SELECT event, level, before, after FROM webhook.audit_log WHERE resource_id = :id ORDER BY id",
        id=made["id"],
    )
    assert [row[:2] for row in rows] == [
        ["webhook.created", "info"],
        ["webhook.updated", "info"],
        ["webhook.deleted", "warning"],
    ]
    assert rows[0][2:] == [None, made]
    assert rows[1][2:] == [made, changed]
    assert rows[2][2:] == [changed, None]


def test_a_webhook_has_at_most_a_hundred_subscriptions(service: Service) -> None:
    webhook = service.webhook(event_types=[f"t.{n}" for n in range(100)])
    path = f"/v1/webhooks/{webhook['id']}/subscriptions"
    assert service.client("POST", path, {"event_type": "one.more"}).status == 422


def test_a_deleted_webhook_is_gone_but_its_deliveries_stay(service: Service) -> None:
    webhook = service.webhook()
    service.event()
    path = f"/v1/webhooks/{webhook['id']}"
    assert service.client("DELETE", path).status == 204
    assert service.client("DELETE", path).status == 404
    for method, rest in (
        ("GET", ""),
        ("PATCH", ""),
        ("GET", "/secret"),
        ("GET", "/subscriptions"),
        ("POST", "/subscriptions"),
    ):
        body = {"name": "n"} if method == "PATCH" else {"event_type": "z"} if method == "POST" else None
        assert service.client(method, path + rest, body).status == 404
    assert service.client("GET", "/v1/webhooks").body["data"] == []
    (delivery,) = service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}").body["data"]
    assert delivery["webhook_id"] == webhook["id"]


def test_a_deleted_webhook_keeps_no_secret_and_no_subscription(service: Service) -> None:
    webhook = service.webhook(auth={"type": "bearer", "token": "t"}, headers={"x-api-key": "k"})
    path = f"/v1/webhooks/{webhook['id']}"
    assert service.client("POST", f"{path}/rotate-secret", {}).status == 200
    assert service.client("DELETE", path).status == 204
    ((secret, credentials),) = service.sql.run("SELECT signing_secret, credentials FROM webhook.webhooks")
    assert (bytes(secret), credentials) == (b"", None)
    for table in ("webhook_expiring_secrets", "webhook_subscriptions"):
        assert service.sql.run(f"SELECT count(*) FROM webhook.{table}") == [[0]]


def test_deliveries_that_are_held_end_when_their_webhook_is_deleted(service: Service) -> None:
    webhook = service.webhook()
    path = f"/v1/webhooks/{webhook['id']}"
    service.event()
    assert service.client("POST", f"{path}/pause", {}).status == 200
    deliver.handler({"Records": service.messages()}, Context())
    assert service.sql.run("SELECT sweep_at = 'infinity' FROM webhook.webhook_deliveries") == [[True]]
    assert service.client("DELETE", path).status == 204
    deliver.handler({"Records": service.messages("retry")}, Context())
    (delivery,) = service.client("GET", "/v1/deliveries").body["data"]
    assert (delivery["status"], delivery["last_error"]["code"]) == ("failed", "webhook_deleted")


def test_webhooks_page(service: Service) -> None:
    ids = [service.webhook()["id"] for _ in range(5)]
    first = service.client("GET", "/v1/webhooks?limit=3").body
    second = service.client("GET", f"/v1/webhooks?limit=3&cursor={first['next_cursor']}").body
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_lists_are_narrowed_to_what_people_ask_for(service: Service) -> None:
    application = service.client("POST", "/v1/applications", {"name": "Acme", "uid": "acme"}).body["id"]
    orders = service.webhook(name="Orders of ACME", application_id="acme", event_types=["order.*"])["id"]
    url = "http://127.0.0.1:9/Invoices_all"
    invoices = service.webhook(name="x", url=url, environment="staging", event_types=["invoice.paid"])["id"]
    all = service.webhook(name="y", description="50% of everything")["id"]
    service.client("POST", f"/v1/webhooks/{all}/pause", {})
    for query, expected in {
        "status=paused": [all],
        "status=active": [invoices, orders],
        "application_id=acme": [orders],
        f"application_id={application}": [orders],
        "environment=staging": [invoices],
        "event_type=order.paid": [all, orders],
        "event_type=order.*": [orders],
        "event_type=invoice.paid": [all, invoices],
        "event_type=*": [all],
        "event_type=other": [all],
        "search=acme": [orders],
        "search=invoices_": [invoices],
        "search=50%": [all],
        "search=%": [all],
        "search=nothing": [],
        "created_before=2020-01-01T00:00:00Z": [],
        "created_after=2020-01-01T00:00:00Z": [all, invoices, orders],
        "environment=staging&status=paused": [],
    }.items():
        answer = service.client("GET", f"/v1/webhooks?{query}")
        assert answer.status == 200, (query, answer.body)
        assert [one["id"] for one in answer.body["data"]] == expected, query


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=broken", "status"),
        ("application_id=nobody", "application_id"),
        ("environment=a%20b", "environment"),
        ("event_type=a*", "event_type"),
        ("search=\x00", "search"),
        (f"search={'x' * 256}", "search"),
    ],
)
def test_a_filter_that_cannot_be_is_422(service: Service, query: str, path: str) -> None:
    answer = service.client("GET", f"/v1/webhooks?{query}")
    assert (answer.status, [one["path"] for one in answer.body["error"]["details"]]) == (422, [path])


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(status="paused"),
        Filter(environment="production", search="w1"),
        Filter(event_type="invoice.paid"),
        Filter(application_id="01a1fe72-ea55-79f8-866d-8ca332142423"),
    ],
)
def test_among_many_webhooks_a_list_reads_its_own_projects_only(service: Service, wanted: Filter) -> None:
    service.sql.run("INSERT INTO webhook.projects (name, data_key) SELECT 'p', 'x' FROM generate_series(1, 100)")
    service.sql.run(
        "INSERT INTO webhook.webhooks (project_id, name, url, signing_secret)"
        " SELECT p.id, 'w' || n, 'https://example.com/', 'x' FROM webhook.projects p, generate_series(1, 500) n"
    )
    service.sql.run("INSERT INTO webhook.webhook_health (webhook_id) SELECT id FROM webhook.webhooks")
    service.sql.run(
        "INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type)"
        " SELECT project_id, id, 'invoice.*' FROM webhook.webhooks"
    )
    service.sql.run("ANALYZE")
    caller = Caller(False, service.project_id, "", "", frozenset(), "", "", "")
    statement = queries.selected(caller, wanted, limit=50, cursor="")
    written = str(statement.compile(dialect=engine().dialect, compile_kwargs={"literal_binds": True}))
    plan = "\n".join(line for (line,) in service.sql.run(f"EXPLAIN {written}"))
    assert "webhooks_by_project" in plan or "webhooks_by_application" in plan, plan
    assert "Seq Scan" not in plan, plan


def test_a_key_bound_to_an_application_binds_what_it_makes_and_sees_no_more(service: Service) -> None:
    made = [service.client("POST", "/v1/applications", {"name": uid, "uid": uid}).body for uid in ("a", "b")]
    wanted = {"name": "k", "scopes": ["*"], "application_id": "a"}
    key = service.admin("POST", f"/v1/projects/{service.project_id}/api-keys", wanted).body["key"]
    bound = Client(key)
    whole, other = service.webhook(), service.webhook(application_id="b")
    body = {"name": "n", "url": "http://127.0.0.1:9/"}
    mine = [bound("POST", "/v1/webhooks", {**body, **of}).body for of in ({}, {"application_id": "a"})]
    assert [one["application_id"] for one in mine] == [made[0]["id"]] * 2
    assert bound("POST", "/v1/webhooks", {**body, "application_id": "b"}).status == 404
    assert bound("GET", "/v1/webhooks").body["data"] == mine[::-1]
    for hidden in (whole, other):
        path = f"/v1/webhooks/{hidden['id']}"
        for method, rest, given in (
            *(("GET", "", None), ("PATCH", "", {"name": "mine"}), ("DELETE", "", None)),
            *(("GET", "/secret", None), ("POST", "/rotate-secret", {})),
        ):
            assert bound(method, path + rest, given).status == 404
    assert service.client("POST", "/v1/webhooks", {**body, "application_id": "nobody"}).status == 422


def test_creating_twice_with_an_idempotency_key_makes_one(service: Service) -> None:
    body = {"name": "n", "url": "http://127.0.0.1:9/"}
    first, again = (
        service.client("POST", "/v1/webhooks", body, headers={"idempotency-key": "w"}) for _ in range(2)
    )
    assert first.body == again.body
    assert len(service.client("GET", "/v1/webhooks").body["data"]) == 1
