"""Who may do what: keys, scopes, projects that never see each other."""

from collections.abc import Callable

import pytest

from functions.authorizer import handler as authorizer
from tests.integration.conftest import Client, Context, Service

NewProject = Callable[..., tuple[str, Client]]

OPERATIONS = [
    ("POST", "/v1/events", "events:write"),
    ("POST", "/v1/events/batch", "events:write"),
    ("GET", "/v1/events", "events:read"),
    ("GET", "/v1/events/{event}", "events:read"),
    ("GET", "/v1/events/{event}/deliveries", "deliveries:read"),
    ("GET", "/v1/deliveries", "deliveries:read"),
    ("GET", "/v1/deliveries/{delivery}", "deliveries:read"),
    ("GET", "/v1/deliveries/{delivery}/attempts", "deliveries:read"),
    ("POST", "/v1/applications", "webhooks:write"),
    ("GET", "/v1/applications", "webhooks:read"),
    ("GET", "/v1/applications/{application}", "webhooks:read"),
    ("PATCH", "/v1/applications/{application}", "webhooks:write"),
    ("DELETE", "/v1/applications/{application}", "webhooks:write"),
    ("GET", "/v1/audit-log", "audit:read"),
    ("POST", "/v1/webhooks", "webhooks:write"),
    ("GET", "/v1/webhooks", "webhooks:read"),
    ("GET", "/v1/webhooks/{webhook}", "webhooks:read"),
    ("PATCH", "/v1/webhooks/{webhook}", "webhooks:write"),
    ("GET", "/v1/webhooks/{webhook}/secret", "webhooks:write"),
    ("POST", "/v1/webhooks/{webhook}/subscriptions", "webhooks:write"),
    ("GET", "/v1/webhooks/{webhook}/subscriptions", "webhooks:read"),
    ("DELETE", "/v1/webhooks/{webhook}/subscriptions/{subscription}", "webhooks:write"),
    ("DELETE", "/v1/webhooks/{webhook}", "webhooks:write"),
]
BODIES = {
    "/v1/events": {"type": "a", "data": 1},
    "/v1/events/batch": {"events": [{"type": "a", "data": 1}]},
    "/v1/applications": {"name": "n"},
    "/v1/applications/{application}": {"name": "n"},
    "/v1/webhooks": {"name": "n", "url": "http://127.0.0.1:9/"},
    "/v1/webhooks/{webhook}": {"name": "n"},
    "/v1/webhooks/{webhook}/subscriptions": {"event_type": "z"},
}


def body(method: str, path: str) -> dict | None:
    return BODIES.get(path) if method in {"POST", "PATCH"} else None


@pytest.fixture
def things(service: Service) -> dict[str, str]:
    """The ids of one of each thing in the first project."""
    webhook = service.webhook()
    event = service.event()
    (delivery,) = service.client("GET", "/v1/deliveries").body["data"]
    return {
        "application": service.application()["id"],
        "webhook": webhook["id"],
        "subscription": webhook["subscriptions"][0]["id"],
        "event": event["id"],
        "delivery": delivery["id"],
    }


def test_each_operation_takes_its_scope_and_no_other(service: Service, things: dict[str, str]) -> None:
    scopes = sorted({scope for _, _, scope in OPERATIONS})
    path = f"/v1/projects/{service.project_id}/api-keys"
    for method, template, needed in OPERATIONS:
        others = [scope for scope in scopes if scope != needed]
        key = service.admin("POST", path, {"name": "k", "scopes": others}).body["key"]
        refused = Client(key)(method, template.format(**things), body(method, template))
        assert refused.status == 403, (method, template)
        assert needed in refused.body["error"]["message"]
        key = service.admin("POST", path, {"name": "k", "scopes": [needed]}).body["key"]
        allowed = Client(key)(method, template.format(**things), body(method, template))
        assert 200 <= allowed.status < 300, (method, template, allowed.body)


def test_another_project_finds_nothing(things: dict[str, str], new_project: NewProject) -> None:
    _, stranger = new_project()
    for method, template, _ in OPERATIONS:
        answer = stranger(method, template.format(**things), body(method, template))
        if "{" in template:  # names a thing of the first project
            assert answer.status == 404, (method, template)
        elif method == "GET":
            assert not {one["id"] for one in answer.body["data"]} & set(things.values())


def test_a_strangers_filters_find_nothing(things: dict[str, str], new_project: NewProject) -> None:
    _, stranger = new_project()
    for query in (f"webhook_id={things['webhook']}", f"event_id={things['event']}"):
        assert stranger("GET", f"/v1/deliveries?{query}").body["data"] == []


@pytest.mark.parametrize("key", ["", "x", "hl_abcdefghijkl_" + "a" * 40, "the-admin-ke", "the-admin-key\u00e9"])
def test_a_bad_key_is_401_in_the_one_error_shape(service: Service, key: str) -> None:
    for path in ("/v1/webhooks", "/v1/projects", "/v1/nothing"):
        answer = Client(key)("GET", path)
        assert answer.status == 401
        assert answer.body["error"]["code"] == "unauthorized"


def test_a_right_prefix_with_a_wrong_secret_is_401(service: Service) -> None:
    key = service.client.key
    assert Client(key[:-1] + ("a" if key[-1] != "a" else "b"))("GET", "/v1/webhooks").status == 401


def test_without_the_authorizer_nobody_is_let_in() -> None:
    from functions.api import handler as api

    context = {"requestId": "r", "stage": "$default", "http": {"method": "GET", "path": "/v1/webhooks"}}
    event = {"version": "2.0", "rawPath": "/v1/webhooks", "headers": {}, "requestContext": context}
    assert api.handler(event, Context())["statusCode"] == 401


def test_the_authorizer_knows_only_bearer(service: Service) -> None:
    basic = authorizer.handler({"headers": {"authorization": f"Basic {service.client.key}"}}, Context())
    assert basic["context"]["project_id"] == ""
    lower = authorizer.handler({"headers": {"authorization": f"bearer {service.client.key}"}}, Context())
    assert lower["context"]["project_id"] == service.project_id


def test_the_authorizer_tells_what_a_key_is_bound_to(service: Service) -> None:
    id = service.application(uid="acme")["id"]
    bound = service.key("events:write", application_id="acme")
    context = authorizer.handler({"headers": {"authorization": f"Bearer {bound.key}"}}, Context())["context"]
    assert (context["application_id"], context["scopes"], context["admin"]) == (id, "events:write", "false")
    unbound = authorizer.handler({"headers": {"authorization": f"Bearer {service.client.key}"}}, Context())
    assert unbound["context"]["application_id"] == ""
    assert all(isinstance(value, str) for value in {**context, **unbound["context"]}.values())


def test_revoked_and_expired_keys_are_401(service: Service) -> None:
    path = f"/v1/projects/{service.project_id}/api-keys"
    revoked = service.admin("POST", path, {"name": "k", "scopes": ["*"]}).body
    assert service.admin("DELETE", f"{path}/{revoked['id']}").status == 204
    assert Client(revoked["key"])("GET", "/v1/webhooks").status == 401
    past = {"name": "k", "scopes": ["*"], "expires_at": "2020-01-01T00:00:00Z"}
    assert service.admin("POST", path, past).status == 422
    expired = service.admin("POST", path, past | {"expires_at": "2100-01-01T00:00:00Z"}).body
    assert Client(expired["key"])("GET", "/v1/webhooks").status == 200
    service.sql.run("UPDATE webhook.api_keys SET expires_at = now() WHERE id = :id", id=expired["id"])
    assert Client(expired["key"])("GET", "/v1/webhooks").status == 401


def test_the_admin_key_is_for_projects_and_a_projects_key_is_not(service: Service) -> None:
    assert service.admin("GET", "/v1/webhooks").status == 403
    assert service.client("GET", "/v1/projects").status == 403
    assert service.client("POST", "/v1/projects", {"name": "x"}).status == 403
    read = service.admin("GET", f"/v1/projects/{service.project_id}")
    assert read.body["name"] == "tests"


def test_a_key_is_shown_once_and_stored_as_a_hash(service: Service) -> None:
    path = f"/v1/projects/{service.project_id}/api-keys"
    made = service.admin("POST", path, {"name": "k", "scopes": ["*"]}, headers={"idempotency-key": "one"}).body
    again = service.admin("POST", path, {"name": "k", "scopes": ["*"]}, headers={"idempotency-key": "one"}).body
    assert again == {**made, "key": None}
    listed = service.admin("GET", path).body["data"]
    assert all("key" not in one for one in listed)
    tables = service.sql.run("SELECT tablename FROM pg_tables WHERE schemaname = 'webhook'")
    secret = made["key"].rpartition("_")[2]
    for (table,) in tables:
        ((found,),) = service.sql.run(f"SELECT count(*) FROM webhook.{table} t WHERE t::text LIKE '%{secret}%'")
        assert found == 0, table


@pytest.mark.parametrize("scopes", [[], ["nonsense"], ["*", "*"], "*", [1]])
def test_bad_scopes_are_422(service: Service, scopes: object) -> None:
    path = f"/v1/projects/{service.project_id}/api-keys"
    assert service.admin("POST", path, {"name": "k", "scopes": scopes}).status == 422


def test_an_unknown_project_is_404(service: Service) -> None:
    for id in ("x", "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"):
        assert service.admin("GET", f"/v1/projects/{id}").status == 404
        assert service.admin("POST", f"/v1/projects/{id}/api-keys", {"name": "k", "scopes": ["*"]}).status == 404
