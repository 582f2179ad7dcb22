"""`/v1/sources`: who may post what, as it is configured and shown."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from functions.adapters import vault
from functions.domain.ids import uuid7
from tests.integration.conftest import Client, Service
from tests.integration.sources_scene import secret_of, source

WHOLE: dict[str, Any] = {
    "kind": "generic_hmac",
    "name": "shop",
    "description": "orders",
    "environment": "live",
    "enabled": False,
    "secret": "hush-hush-hush",
    "verification": {
        "header": "X-Shop-Signature",
        "algorithm": "sha512",
        "encoding": "base64",
        "prefix": "v1=",
        "timestamp_header": "X-Shop-Time",
        "signed": "{id}.{timestamp}.{body}",
        "id_header": "X-Shop-Delivery",
        "type_header": "X-Shop-Topic",
        "type_field": "topic",
    },
    "event_types": {"orders/create": "order.created", "*": "shop.other"},
    "ip_allowlist": ["198.51.100.7", "10.1.2.3/8"],
    "max_body_bytes": 1000,
    "replay_window_seconds": 60,
}
CHANGEDETECTION: dict[str, Any] = {
    "rescrape": {"enabled": True, "concurrency": 5, "formats": ["markdown", "html"]},
    "credentials": {"api_key": "fc-secret-1234"},
}
NewProject = Callable[..., tuple[str, Client]]


def test_a_source_is_shown_as_it_was_made(service: Service) -> None:
    answer = service.client("POST", "/v1/sources", WHOLE, headers={"host": "api.example.com"})
    assert answer.status == 201
    made = answer.body
    given = {name: value for name, value in WHOLE.items() if name != "secret"}
    shown = given | {"ip_allowlist": ["198.51.100.7/32", "10.0.0.0/8"]}
    assert {name: made[name] for name in given} == shown
    assert made["url"] == f"https://api.example.com/in/{made['id']}"
    assert (made["application_id"], made["rescrape"], made["has_credentials"]) == (None, None, False)
    assert made["received_at"] is None
    read = service.client("GET", f"/v1/sources/{made['id']}", headers={"host": "api.example.com"})
    assert (read.body, read.headers["etag"]) == (made, answer.headers["etag"])
    assert secret_of(service, made) == "hush-hush-hush"


def test_what_a_source_has_unless_it_is_told(service: Service) -> None:
    made = source(service, "generic_hmac", verification={"header": "x-signature"})
    assert made["verification"] == {
        "header": "x-signature",
        "algorithm": "sha256",
        "encoding": "hex",
        "prefix": "",
        "signed": "{body}",
        "type_field": "type",
    }
    assert (made["enabled"], made["event_types"], made["ip_allowlist"]) == (True, {}, None)
    assert (made["max_body_bytes"], made["replay_window_seconds"]) == (262_144, 300)
    assert source(service)["verification"] == {}
    assert source(service, "changedetection")["max_body_bytes"] == 5 << 20


def test_secrets_are_made_where_the_sender_takes_ours(service: Service) -> None:
    assert secret_of(service, source(service, "standard_webhooks")).startswith("whsec_")
    tokens = [secret_of(service, source(service, "changedetection")) for _ in range(2)]
    assert len(set(tokens)) == 2
    refused = service.client("POST", "/v1/sources", {"kind": "firecrawl", "name": "n"})
    assert refused.status == 422
    assert refused.body["error"]["details"][0]["path"] == "secret"
    assert secret_of(service, source(service, "firecrawl", secret="fc-webhook-secret")) == "fc-webhook-secret"


def test_what_rescrapes_need_is_kept_and_the_credentials_are_never_shown(service: Service) -> None:
    answer = service.client("POST", "/v1/sources", {"kind": "changedetection", "name": "n", **CHANGEDETECTION})
    assert answer.status == 201, answer.body
    made = answer.body
    assert made["has_credentials"] is True
    assert made["rescrape"] == {
        "enabled": True,
        "api_url": "https://api.firecrawl.dev",
        "concurrency": 5,
        "max_attempts": 3,
        "formats": ["markdown", "html"],
    }
    path = f"/v1/sources/{made['id']}"
    key, stored = _key(service), service.sql.run("SELECT credentials FROM webhook.sources")[0][0]
    bound_to = vault.source_credentials_of(service.project_id, made["id"])
    assert json.loads(vault.decrypt(key, bound_to, stored)) == {"api_key": "fc-secret-1234"}
    changed = service.client("PATCH", path, {"credentials": {"api_key": "fc-other"}, "rescrape": None}).body
    assert (changed["has_credentials"], changed["rescrape"]) == (True, None)
    assert service.client("PATCH", path, {"credentials": None}).body["has_credentials"] is False
    told = json.dumps([service.client("GET", at).body for at in ("/v1/audit-log", "/v1/sources", path)])
    assert not any(key in told for key in ("fc-secret-1234", "fc-other"))  # `fc-` is in some UUIDs
    assert service.sql.run("SELECT count(*) FROM webhook.sources WHERE rescrape IS NULL") == [[1]]


def test_secrets_at_rest_are_of_this_source_and_no_other(service: Service) -> None:
    made, other = (source(service, "token", verification={"in": "query", "name": "t"}) for _ in range(2))
    assert service.sql.run(
        "SELECT count(*) FROM webhook.sources WHERE position(CAST(:s AS bytea) IN secret) > 0",
        s=secret_of(service, made).encode(),
    ) == [[0]]
    service.sql.run(
        "UPDATE webhook.sources SET secret = (SELECT secret FROM webhook.sources WHERE id = :a) WHERE id = :b",
        a=made["id"],
        b=other["id"],
    )
    assert service.client("GET", f"/v1/sources/{other['id']}/secret").status == 500


def _key(service: Service) -> Any:
    [[data_key]] = service.sql.run("SELECT data_key FROM webhook.projects WHERE id = :id", id=service.project_id)
    return vault.cipher(data_key, service.project_id)


HMAC = {"header": "x-s"}
TOKEN = {"in": "header", "name": "x-t"}


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"kind": "gitlab"}, "kind"),
    ({"kind": "github", "verification": HMAC}, "verification"),
    ({"kind": "generic_hmac"}, "verification"),
    ({"kind": "generic_hmac", "verification": None}, "verification"),
    ({"kind": "generic_hmac", "verification": TOKEN}, "verification"),
    ({"kind": "generic_hmac", "verification": 5}, "verification"),
    ({"kind": "generic_hmac", "verification": {}}, "verification.header"),
    ({"kind": "generic_hmac", "verification": {"header": "a b"}}, "verification.header"),
    ({"kind": "generic_hmac", "verification": HMAC | {"algorithm": "md5"}}, "verification.algorithm"),
    ({"kind": "generic_hmac", "verification": HMAC | {"signed": "{timestamp}"}}, "verification.signed"),
    ({"kind": "generic_hmac", "verification": HMAC | {"signed": "{body}{body}"}}, "verification.signed"),
    ({"kind": "generic_hmac", "verification": HMAC | {"signed": "{id}.{body}"}}, "verification.signed"),
    (
        {"kind": "generic_hmac", "verification": HMAC | {"timestamp_header": "x-t"}},
        "verification.timestamp_header",
    ),
    ({"kind": "generic_hmac", "verification": HMAC | {"id_header": "X-S"}}, "verification.header"),
    (
        {"kind": "generic_hmac", "verification": HMAC | {"id_header": "Authorization"}},
        "verification.id_header",
    ),
    (
        {"kind": "generic_hmac", "verification": HMAC | {"type_header": "x-api-key"}},
        "verification.type_header",
    ),
    ({"kind": "generic_hmac", "verification": HMAC | {"other": 1}}, "verification.other"),
    ({"kind": "token", "verification": HMAC}, "verification"),
    ({"kind": "token", "verification": {"in": "body"}}, "verification.in"),
    ({"kind": "token", "verification": {"in": "header"}}, "verification.name"),
    ({"kind": "token", "verification": {"in": "basic"}}, "verification.username"),
    ({"kind": "token", "verification": TOKEN | {"username": "u"}}, "verification.username"),
    ({"kind": "token", "verification": TOKEN | {"id_header": "X-T"}}, "verification.name"),
    ({"kind": "token", "verification": TOKEN | {"type_header": "x-t"}}, "verification.name"),
    ({"kind": "token", "verification": {"in": "query", "name": "t", "prefix": "x"}}, "verification.prefix"),
    ({"secret": "short"}, "secret"),
    ({"secret": "with a\nline"}, "secret"),
    ({"kind": "standard_webhooks", "secret": "not-of-that-form"}, "secret"),
    ({"event_types": {"push": "hookline.push"}}, "event_types.push"),
    ({"event_types": {"push": "a b"}}, "event_types.push"),
    ({"event_types": {"a*": "b"}}, "event_types.a*"),
    ({"event_types": {"": "b"}}, "event_types."),
    ({"event_types": {f"t{n}": "a" for n in range(101)}}, "event_types"),
    ({"ip_allowlist": []}, "ip_allowlist"),
    ({"ip_allowlist": ["300.1.1.1"]}, "ip_allowlist.0"),
    ({"max_body_bytes": 0}, "max_body_bytes"),
    ({"max_body_bytes": (5 << 20) + 1}, "max_body_bytes"),
    ({"replay_window_seconds": 86_401}, "replay_window_seconds"),
    ({"rescrape": {}}, "rescrape"),
    ({"credentials": {"api_key": "x"}}, "credentials"),
    ({"kind": "changedetection", "rescrape": {"api_url": "ftp://x"}}, "rescrape.api_url"),
    ({"kind": "changedetection", "rescrape": {"formats": ["pdf"]}}, "rescrape.formats.0"),
    ({"kind": "changedetection", "rescrape": {"concurrency": 0}}, "rescrape.concurrency"),
    ({"application_id": "nobody"}, "application_id"),
    ({"name": ""}, "name"),
    ({"description": "\x00"}, "description"),
    ({"id": "x"}, "id"),
]


def test_what_cannot_be_a_source(service: Service) -> None:
    for given, path in WRONG:
        answer = service.client("POST", "/v1/sources", {"kind": "github", "name": "n"} | given)
        assert answer.status == 422, (given, answer.body)
        assert path in [detail["path"] for detail in answer.body["error"]["details"]], (given, answer.body)
    assert service.sql.run("SELECT count(*) FROM webhook.sources") == [[0]]


def test_a_change_replaces_what_it_names(service: Service) -> None:
    made = service.client("POST", "/v1/sources", WHOLE).body
    path = f"/v1/sources/{made['id']}"
    for given, shown in (
        ({"name": "other", "enabled": True}, {}),
        ({"description": None, "environment": None, "ip_allowlist": None}, {}),
        ({"event_types": None}, {"event_types": {}}),
        (
            {"verification": {"header": "x-s"}},
            {"verification": {**source(service, "generic_hmac", verification={"header": "x-s"})["verification"]}},
        ),
        ({"max_body_bytes": 5, "replay_window_seconds": 9}, {}),
    ):
        before = service.client("GET", path)
        answer = service.client("PATCH", path, given, headers={"if-match": before.headers["etag"]})
        assert answer.status == 200, answer.body
        changed = {name for name, value in answer.body.items() if value != before.body[name]}
        assert changed == {*given, "updated_at"}
        assert {name: answer.body[name] for name in given} == given | shown
        assert answer.headers["etag"] != before.headers["etag"]
        assert service.client("PATCH", path, given, headers={"if-match": before.headers["etag"]}).status == 412


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        ("github", {}),
        ("github", {"kind": "stripe"}),
        ("github", {"secret": "another-secret"}),
        ("github", {"name": None}),
        ("github", {"enabled": None}),
        ("github", {"verification": None}),
        ("github", {"verification": HMAC}),
        ("github", {"rescrape": {}}),
        ("github", {"credentials": {"api_key": "k"}}),
        ("github", {"max_body_bytes": None}),
    ],
)
def test_what_cannot_be_changed(service: Service, kind: str, given: dict[str, Any]) -> None:
    made = source(service, kind)
    answer = service.client("PATCH", f"/v1/sources/{made['id']}", given)
    assert answer.status == 422, answer.body
    assert service.client("GET", f"/v1/sources/{made['id']}").body == made


def test_the_list_newest_first_by_kind_and_application(service: Service) -> None:
    service.application(uid="acme")
    ids = [source(service, kind, **more)["id"] for kind, more in (("github", {}), ("stripe", {}), ("github", {}))]
    ids.append(source(service, application_id="acme")["id"])

    def listed(query: str = "", client: Client = service.client) -> list[str]:
        return [one["id"] for one in client("GET", f"/v1/sources{query}").body["data"]]

    newest = ids[::-1]
    assert listed() == newest
    assert listed("?kind=github") == [newest[0], newest[1], newest[3]]
    assert listed("?application_id=acme") == [newest[0]]
    assert listed(client=service.key(application_id="acme")) == [newest[0]]
    first = service.client("GET", "/v1/sources?limit=3").body
    assert [one["id"] for one in first["data"]] == newest[:3]
    assert listed(f"?limit=3&cursor={first['next_cursor']}") == newest[3:]
    service.client("DELETE", f"/v1/sources/{newest[0]}")
    assert listed() == newest[1:]
    assert service.client("GET", "/v1/sources?kind=gitlab").status == 422


def test_scopes(service: Service) -> None:
    made = source(service)
    reader, writer = service.key("sources:read"), service.key("sources:write")
    path = f"/v1/sources/{made['id']}"
    for method, at, body, scope in (
        ("GET", "/v1/sources", None, reader),
        ("GET", path, None, reader),
        ("GET", f"{path}/secret", None, writer),
        ("POST", "/v1/sources", {"kind": "github", "name": "n"}, writer),
        ("PATCH", path, {"name": "n"}, writer),
        ("POST", f"{path}/rotate-secret", {}, writer),
        ("DELETE", path, None, writer),
    ):
        other = writer if scope is reader else reader
        assert other(method, at, body).status == 403, (method, at)
        assert scope(method, at, body).status < 300, (method, at)


def test_a_bound_key_makes_and_sees_its_applications_sources_only(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    others = [source(service)["id"], source(service, application_id=service.application(uid="b")["id"])["id"]]
    bound = service.key(application_id="acme")
    made = bound("POST", "/v1/sources", {"kind": "github", "name": "n"}).body
    assert made["application_id"] == acme
    assert bound("POST", "/v1/sources", {"kind": "github", "name": "n", "application_id": "b"}).status == 404
    for id in others:
        for method, at, body in (
            ("GET", "", None),
            ("PATCH", "", {"name": "x"}),
            ("DELETE", "", None),
            ("GET", "/secret", None),
            ("POST", "/rotate-secret", {}),
        ):
            assert bound(method, f"/v1/sources/{id}{at}", body).status == 404


def test_an_application_takes_its_sources_along(service: Service) -> None:
    service.application(uid="acme")
    made, other = source(service, application_id="acme"), source(service)
    service.client("POST", f"/v1/sources/{made['id']}/rotate-secret", {})
    assert service.client("DELETE", "/v1/applications/acme").status == 204
    assert service.client("GET", f"/v1/sources/{made['id']}").status == 404
    assert service.client("GET", f"/v1/sources/{other['id']}").status == 200
    [entry] = service.client("GET", "/v1/audit-log?event=source.deleted").body["data"]
    assert (entry["resource"]["id"], entry["before"]["name"]) == (made["id"], "github")
    assert service.sql.run("SELECT count(*) FROM webhook.source_expiring_secrets") == [[0]]


def test_a_deleted_source_has_no_secrets_any_more(service: Service) -> None:
    made = service.client("POST", "/v1/sources", {"kind": "changedetection", "name": "n", **CHANGEDETECTION}).body
    path = f"/v1/sources/{made['id']}"
    service.client("POST", f"{path}/rotate-secret", {})
    etag = service.client("GET", path).headers["etag"]
    assert service.client("DELETE", path, headers={"if-match": '"77"'}).status == 412
    assert service.client("DELETE", path, headers={"if-match": etag}).status == 204
    [[secret, credentials]] = service.sql.run("SELECT secret, credentials FROM webhook.sources")
    assert (bytes(secret), credentials) == (b"", None)
    assert service.sql.run("SELECT count(*) FROM webhook.source_expiring_secrets") == [[0]]
    for method, at in (("GET", ""), ("DELETE", ""), ("GET", "/secret")):
        assert service.client(method, path + at).status == 404
    assert service.client("GET", f"/v1/sources/{uuid7()}").status == 404


def test_an_idempotency_key_makes_one_source(service: Service) -> None:
    body, headers = {"kind": "token", "name": "n", "verification": TOKEN}, {"idempotency-key": "k-1"}
    first, again = (service.client("POST", "/v1/sources", body, headers=headers) for _ in range(2))
    assert (first.status, first.body) == (again.status, again.body)
    assert again.headers["idempotency-replayed"] == "true"
    path, headers = f"/v1/sources/{first.body['id']}/rotate-secret", {"idempotency-key": "k-2"}
    one, two = (service.client("POST", path, {}, headers=headers).body for _ in range(2))
    assert one["secret"] == two["secret"]
    assert len(two["expiring"]) == 1
    kept = service.sql.run("SELECT response_body FROM webhook.idempotency_keys")
    assert one["secret"] not in str(kept)


def test_rotation_keeps_few_alive_and_takes_back_what_is_given(service: Service) -> None:
    made = source(service, secret="secret-number-0")
    path = f"/v1/sources/{made['id']}/rotate-secret"
    for n in range(1, 5):
        answer = service.client("POST", path, {"secret": f"secret-number-{n}"})
        assert [one["secret"] for one in answer.body["expiring"]] == [f"secret-number-{i}" for i in range(n)][::-1]
    assert service.client("POST", path, {}).status == 409
    same = service.client("POST", path, {"secret": "secret-number-4"})
    assert (same.status, same.body["error"]["details"][0]["path"]) == (422, "secret")
    back = service.client("POST", path, {"secret": "secret-number-0"}).body
    assert back["secret"] == "secret-number-0"
    assert [one["secret"] for one in back["expiring"]] == [f"secret-number-{n}" for n in (4, 3, 2, 1)]
    alone = service.client("POST", path, {"overlap_seconds": 0}).body
    assert alone["expiring"] == []
    for kind, given in (("standard_webhooks", "no-such-form"), ("firecrawl", None)):
        one = source(service, kind, **({"secret": "fc-hook-secret"} if kind == "firecrawl" else {}))
        body = {"secret": given} if given else {}
        assert service.client("POST", f"/v1/sources/{one['id']}/rotate-secret", body).status == 422
