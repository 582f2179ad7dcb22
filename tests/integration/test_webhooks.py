"""Configuring webhooks."""

import json

import pytest

from functions.deliver import handler as deliver
from functions.domain.headers import HIDDEN
from tests.integration.conftest import Client, Context, Service
from tests.integration.webhooks_scene import WHOLE


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
    assert ({**read.body, "line": None}, read.headers["etag"]) == (made, '"1"')


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
