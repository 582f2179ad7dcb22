"""Configuring webhooks and their subscriptions."""

import pytest

from tests.integration.conftest import Service

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


def test_a_webhook_has_its_defaults_and_reads_back(service: Service) -> None:
    made = service.webhook()
    assert made["status"] == "active"
    assert (made["timeout_seconds"], made["max_attempts"]) == (15, 6)
    assert [one["event_type"] for one in made["subscriptions"]] == ["*"]
    assert made["created_by"] == made["updated_by"]
    assert service.client("GET", f"/v1/webhooks/{made['id']}").body == made
    assert service.client("GET", "/v1/webhooks").body == {"data": [made], "next_cursor": None}


def test_a_given_secret_is_kept_and_no_secret_is_stored_in_clear(service: Service) -> None:
    given = service.webhook(secret=SECRET)
    made = service.webhook()
    read = [service.client("GET", f"/v1/webhooks/{one['id']}/secret").body for one in (given, made)]
    assert read[0] == {"secret": SECRET, "expiring": []}
    assert read[1]["secret"].startswith("whsec_")
    assert read[1]["secret"] != SECRET
    assert "secret" not in given
    import base64

    raw = base64.b64decode(SECRET.removeprefix("whsec_"))
    ((stored,),) = service.sql.run("SELECT signing_secret FROM webhook.webhooks WHERE id = :id", id=given["id"])
    assert raw not in stored


def test_a_secret_copied_to_another_webhook_is_of_no_use(service: Service) -> None:
    one, other = service.webhook(), service.webhook()
    service.sql.run(
        "UPDATE webhook.webhooks SET signing_secret = (SELECT signing_secret FROM webhook.webhooks WHERE id = :a)"
        " WHERE id = :b",
        a=one["id"],
        b=other["id"],
    )
    assert service.client("GET", f"/v1/webhooks/{other['id']}/secret").status == 500
    assert service.client("GET", f"/v1/webhooks/{one['id']}/secret").status == 200


def test_a_patch_changes_what_it_names_and_null_clears_a_description(service: Service) -> None:
    made = service.webhook(description="first", timeout_seconds=5)
    path = f"/v1/webhooks/{made['id']}"
    changed = service.client("PATCH", path, {"max_attempts": 3}).body
    assert changed == {**made, "max_attempts": 3, "updated_at": changed["updated_at"]}
    assert changed["updated_at"] > made["updated_at"]
    assert service.client("PATCH", path, {"description": None}).body["description"] is None
    assert service.client("PATCH", path, {"name": None}).status == 422
    assert service.client("PATCH", path, {}).status == 422
    assert service.client("PATCH", path, {"id": made["id"]}).status == 422


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
        {"unknown": 1},
    ],
)
def test_bad_values_are_422_and_name_the_field(service: Service, values: dict) -> None:
    answer = service.client("POST", "/v1/webhooks", {"name": "n", "url": "http://127.0.0.1:9/", **values})
    assert answer.status == 422
    (field,) = values
    assert answer.body["error"]["details"][0]["path"].startswith(field)
    assert service.client("GET", "/v1/webhooks").body["data"] == []


def test_subscriptions_come_and_go(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    path = f"/v1/webhooks/{webhook['id']}/subscriptions"
    made = service.client("POST", path, {"event_type": "b.*"})
    assert made.status == 201
    assert set(made.body) == {"id", "event_type", "enabled", "created_at"}
    assert service.client("POST", path, {"event_type": "b.*"}).status == 409
    assert [one["event_type"] for one in service.client("GET", path).body["data"]] == ["b.*", "a"]
    assert service.client("DELETE", f"{path}/{made.body['id']}").status == 204
    assert service.client("DELETE", f"{path}/{made.body['id']}").status == 404
    assert service.event(type="b.c")["webhooks_matched"] == 0


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
    ((secret,),) = service.sql.run("SELECT signing_secret FROM webhook.webhooks")
    assert bytes(secret) == b""


def test_webhooks_page(service: Service) -> None:
    ids = [service.webhook()["id"] for _ in range(5)]
    first = service.client("GET", "/v1/webhooks?limit=3").body
    second = service.client("GET", f"/v1/webhooks?limit=3&cursor={first['next_cursor']}").body
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_creating_twice_with_an_idempotency_key_makes_one(service: Service) -> None:
    body = {"name": "n", "url": "http://127.0.0.1:9/"}
    first, again = (
        service.client("POST", "/v1/webhooks", body, headers={"idempotency-key": "w"}) for _ in range(2)
    )
    assert first.body == again.body
    assert len(service.client("GET", "/v1/webhooks").body["data"]) == 1
