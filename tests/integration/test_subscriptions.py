"""Subscriptions of a webhook: their patterns and filters, and that they are part of its configuration."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Answer, Client, Service

NewProject = Callable[..., tuple[str, Client]]
NOBODY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"
FILTER = {"amount": {"gt": 100, "lte": 1e6}, "customer.country": {"in": ["DE", "FR"]}, "not": {"test": True}}


def path_of(webhook: dict[str, Any], subscription: dict[str, Any] | None = None) -> str:
    path = f"/v1/webhooks/{webhook['id']}/subscriptions"
    return path if subscription is None else f"{path}/{subscription['id']}"


def subscribed(service: Service, webhook: dict[str, Any], **values: Any) -> Answer:
    return service.client("POST", path_of(webhook), {"event_type": "invoice.*", **values})


def version(service: Service, webhook: dict[str, Any]) -> str:
    return service.client("GET", f"/v1/webhooks/{webhook['id']}").headers["etag"]


def audited(service: Service) -> list[tuple[str, str, Any, Any]]:
    rows = service.client("GET", "/v1/audit-log?resource_type=subscription").body["data"]
    return [(row["event"], row["level"], row["before"], row["after"]) for row in rows]


def test_a_subscription_reads_back_as_it_was_made(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    made = subscribed(service, webhook, filter=FILTER)
    assert made.status == 201
    assert set(made.body) == {"id", "event_type", "filter", "enabled", "created_at"}
    assert (made.body["filter"], made.body["enabled"]) == (FILTER, True)
    assert service.client("GET", path_of(webhook, made.body)).body == made.body
    assert service.client("GET", path_of(webhook)).body["data"][0] == made.body
    assert service.client("GET", f"/v1/webhooks/{webhook['id']}").body["subscriptions"][1] == made.body


def test_no_filter_and_null_are_the_same(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    assert subscribed(service, webhook, filter=None).body["filter"] is None
    assert subscribed(service, webhook).status == 409


def test_a_filter_is_stored_compiled_beside_what_was_written(service: Service) -> None:
    subscribed(service, service.webhook(event_types=["a"]), filter={"n": {"gt": 2}})
    asked = """SELECT count(*) FILTER (WHERE CAST('{"n": 3}' AS jsonb) @@ filter_path),
      count(*) FILTER (WHERE CAST('{"n": 2}' AS jsonb) @@ filter_path) FROM webhook.webhook_subscriptions"""
    assert service.sql.run(asked) == [[1, 0]]


@pytest.mark.parametrize(
    ("filter", "path"),
    [
        ({}, "filter"),
        ([], "filter"),
        ("amount > 5", "filter"),
        (5, "filter"),
        ({"amount": {"gt": True}}, "filter.amount.gt"),
        ({"customer.amount": {"gt": None}}, "filter.customer.amount.gt"),
        ({"customer": {"amount": {"in": 5}}}, "filter.customer.amount.in"),
        ({"or": [{"a": 1}, {"b": {"exists": 1}}]}, "filter.or.1.b.exists"),
        ({"a": {"gt": 1, "b": 2}}, "filter.a.b"),
        ({"a": {"$gt": 1}}, "filter.a.$gt"),
        ({"a": {"startsWith": "x"}}, "filter.a.startsWith"),
        ({"a..b": 1}, "filter.a..b"),
        ({"a": "x" * 1025}, "filter.a"),
        ({"a": {"in": list(range(201))}}, "filter.a.in"),
        ({"a": {"contains": "x" * 257}}, "filter.a.contains"),
        ({"or": [{f"f{n}": n} for n in range(101)]}, "filter.or"),
        ({f"f{n}": n for n in range(101)}, "filter"),
        ({f"f{n}": "x" * 1000 for n in range(17)}, "filter"),
        ({"a": {"any": {"in": list(range(51))}}}, "filter"),
    ],
)
def test_a_bad_filter_is_422_at_its_path_wherever_it_is_sent(service: Service, filter: Any, path: str) -> None:
    webhook = service.webhook(event_types=["a"])
    (subscription,) = webhook["subscriptions"]
    answers = [
        subscribed(service, webhook, filter=filter),
        service.client("PATCH", path_of(webhook, subscription), {"filter": filter}),
        service.client("POST", "/v1/webhooks", {"name": "n", "url": webhook["url"], "filter": filter}),
        service.client("POST", "/v1/subscriptions/test", {"data": {}, "filter": filter}),
    ]
    assert [answer.status for answer in answers] == [422] * 4
    assert {answer.body["error"]["details"][0]["path"] for answer in answers} == {path}
    assert service.client("GET", path_of(webhook)).body["data"] == [subscription]


@pytest.mark.parametrize("raw", ['"\\u0000"', '"\\ud800"', "1e400", "NaN", "1e131071", '{"a": 1, "a": 2}'])
def test_values_that_no_event_can_have_are_refused_before_they_are_a_filter(service: Service, raw: str) -> None:
    webhook = service.webhook(event_types=["a"])
    body = f'{{"event_type": "b", "filter": {{"a": {{"eq": {raw}}}}}}}'
    assert service.client("POST", path_of(webhook), raw=body).status in {400, 422}


@pytest.mark.parametrize(
    "values",
    [{"event_type": "a*"}, {"event_type": None}, {"event_type": 1}, {"enabled": None}, {"enabled": 1}, {"x": 1}],
)
def test_bad_values_are_422_and_name_the_field(service: Service, values: dict[str, Any]) -> None:
    webhook = service.webhook(event_types=["a"])
    made, changed = (
        subscribed(service, webhook, **values),
        service.client("PATCH", path_of(webhook, webhook["subscriptions"][0]), values),
    )
    assert (made.status, changed.status) == (422, 422)
    assert [made.body["error"]["details"][0]["path"]] == list(values)


def test_the_same_pattern_may_be_subscribed_with_other_filters_but_not_with_an_equal_one(service: Service) -> None:
    webhook = service.webhook(event_types=["invoice.*"])
    assert subscribed(service, webhook).status == 409
    assert subscribed(service, webhook, filter={"a": 1, "b": 2}).status == 201
    assert subscribed(service, webhook, filter={"b": 2, "a": 1.0}).status == 409
    other = subscribed(service, webhook, filter={"a": 2}).body
    assert service.client("PATCH", path_of(webhook, other), {"filter": {"a": 1, "b": 2}}).status == 409
    assert service.client("PATCH", path_of(webhook, other), {"filter": None}).status == 409
    assert service.client("PATCH", path_of(webhook, other), {"filter": {"a": 2}}).status == 200
    assert service.client("GET", path_of(webhook, other)).body == other


def test_a_patch_changes_what_it_names_and_null_clears_the_filter(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    made = subscribed(service, webhook, filter=FILTER).body
    path = path_of(webhook, made)
    assert service.client("PATCH", path, {"enabled": False}).body == {**made, "enabled": False}
    assert service.client("PATCH", path, {"event_type": "b"}).body == {**made, "enabled": False, "event_type": "b"}
    changed = service.client("PATCH", path, {"enabled": True, "filter": {"c": 1}, "event_type": "invoice.*"})
    assert changed.body == {**made, "filter": {"c": 1}}
    assert service.client("PATCH", path, {"filter": None}).body == {**made, "filter": None}
    assert service.client("PATCH", path, {}).status == 422
    assert service.client("GET", path).body == {**made, "filter": None}


def test_every_write_gives_the_webhook_a_new_version_and_is_audited(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    before = version(service, webhook)
    made = subscribed(service, webhook, filter={"a": 1})
    path = path_of(webhook, made.body)
    changed = service.client("PATCH", path, {"filter": {"a": 2}})
    assert len({before, made.headers["etag"], changed.headers["etag"]}) == 3
    assert service.client("GET", path).headers["etag"] == changed.headers["etag"] == version(service, webhook)
    assert service.client("DELETE", path).status == 204
    assert version(service, webhook) not in {before, made.headers["etag"], changed.headers["etag"]}
    shown = [{**answer.body, "webhook_id": webhook["id"]} for answer in (made, changed)]
    assert audited(service) == [
        ("subscription.deleted", "warning", shown[1], None),
        ("subscription.updated", "info", shown[0], shown[1]),
        ("subscription.created", "info", None, shown[0]),
    ]
    webhook_now = service.client("GET", f"/v1/webhooks/{webhook['id']}").body
    assert webhook_now["updated_at"] > webhook["updated_at"]


def test_if_match_is_the_webhooks_version(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    made = subscribed(service, webhook)
    path, current = path_of(webhook, made.body), made.headers["etag"]
    for method, body in (("PATCH", {"enabled": False}), ("DELETE", None)):
        assert service.client(method, path, body, headers={"if-match": '"99"'}).status == 412
    assert service.client("GET", path).body == made.body
    changed = service.client("PATCH", path, {"enabled": False}, headers={"if-match": current})
    assert changed.status == 200
    assert service.client("DELETE", path, headers={"if-match": current}).status == 412
    assert service.client("DELETE", path, headers={"if-match": changed.headers["etag"]}).status == 204


def test_a_webhook_has_at_most_a_hundred(service: Service) -> None:
    webhook = service.webhook(event_types=[f"t.{n}" for n in range(100)])
    refused = subscribed(service, webhook)
    assert refused.status == 422
    assert "at most 100" in refused.body["error"]["message"]
    assert service.client("DELETE", path_of(webhook, webhook["subscriptions"][0])).status == 204
    assert subscribed(service, webhook).status == 201


def test_two_at_once_do_not_make_a_hundred_and_one(service: Service) -> None:
    webhook = service.webhook(event_types=[f"t.{n}" for n in range(99)])
    answers: list[Answer] = []
    waiting = threading.Thread(target=lambda: answers.append(subscribed(service, webhook)))
    service.sql.run("BEGIN")
    service.sql.run("SELECT FROM webhook.webhooks WHERE id = :id FOR NO KEY UPDATE", id=webhook["id"])
    waiting.start()
    waiting.join(timeout=1)
    assert waiting.is_alive()
    service.sql.run(
        "INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type) VALUES (:p, :w, 'z')",
        p=service.project_id,
        w=webhook["id"],
    )
    service.sql.run("COMMIT")
    waiting.join(timeout=30)
    assert [answer.status for answer in answers] == [422]


def test_a_repeated_creation_is_one_and_answers_alike(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    first, again = (
        service.client("POST", path_of(webhook), {"event_type": "b"}, headers={"idempotency-key": "s"})
        for _ in range(2)
    )
    assert (first.status, first.body, first.headers["etag"]) == (again.status, again.body, again.headers["etag"])
    assert len(service.client("GET", path_of(webhook)).body["data"]) == 2


def test_subscriptions_page(service: Service) -> None:
    webhook = service.webhook(event_types=[f"t.{n}" for n in range(5)])
    first = service.client("GET", f"{path_of(webhook)}?limit=3").body
    second = service.client("GET", f"{path_of(webhook)}?limit=3&cursor={first['next_cursor']}").body
    ids = [one["id"] for one in first["data"] + second["data"]]
    assert ids == sorted((one["id"] for one in webhook["subscriptions"]), reverse=True)
    assert second["next_cursor"] is None


def test_what_is_another_projects_or_applications_is_not_there(service: Service, new_project: NewProject) -> None:
    acme, other = (service.application(uid=uid) for uid in ("acme", "other"))
    webhook = service.webhook(event_types=["a"], application_id=acme["id"])
    path, one = path_of(webhook), path_of(webhook, webhook["subscriptions"][0])
    strangers = [new_project()[1], service.key(application_id=other["id"])]
    for client in strangers:
        for method, where, body in (
            ("GET", path, None),
            ("POST", path, {"event_type": "b"}),
            ("GET", one, None),
            ("PATCH", one, {"enabled": False}),
            ("DELETE", one, None),
        ):
            assert client(method, where, body).status == 404
    own = service.key(application_id=acme["id"])
    assert own("PATCH", one, {"enabled": False}).body["enabled"] is False
    assert own("DELETE", one).status == 204


def test_a_subscription_is_found_only_under_its_own_webhook(service: Service) -> None:
    one, other = service.webhook(event_types=["a"]), service.webhook(event_types=["b"])
    for path in (path_of(other, one["subscriptions"][0]), path_of(one, {"id": NOBODY}), path_of(one, {"id": "x"})):
        assert service.client("GET", path).status == 404
        assert service.client("PATCH", path, {"enabled": False}).status == 404
        assert service.client("DELETE", path).status == 404
    assert service.client("GET", path_of({"id": NOBODY})).status == 404


def test_reading_and_writing_take_their_scopes(service: Service) -> None:
    webhook = service.webhook(event_types=["a"])
    path, one = path_of(webhook), path_of(webhook, webhook["subscriptions"][0])
    reader = service.key("webhooks:read")
    assert (reader("GET", path).status, reader("GET", one).status) == (200, 200)
    writes = (("POST", path, {"event_type": "b"}), ("PATCH", one, {"enabled": False}), ("DELETE", one, None))
    assert [reader(*write).status for write in writes] == [403, 403, 403]


@pytest.mark.parametrize("pattern", ["hookline.*", "hookline.webhook.*", "hookline.webhook.disabled"])
def test_what_hookline_tells_of_itself_may_be_subscribed_to(service: Service, pattern: str) -> None:
    webhook = service.webhook(event_types=[pattern])
    assert [one["event_type"] for one in webhook["subscriptions"]] == [pattern]
    other = service.webhook(name="other", event_types=["invoice.paid"])
    path = f"/v1/webhooks/{other['id']}/subscriptions"
    assert service.client("POST", path, {"event_type": pattern}).status == 201


@pytest.mark.parametrize("type", ["hookline.webhook.disabled", "hookline.webhook", "hookline.of.mine"])
def test_nobody_else_sends_events_under_its_names(service: Service, type: str) -> None:
    service.webhook(event_types=["hookline.*"])
    event = {"type": type, "data": {}}
    for path, body, at in (
        ("/v1/events", event, "type"),
        ("/v1/events/batch", {"events": [{"type": "a", "data": 1}, event]}, "events.1.type"),
        ("/v1/event-types", {"name": type}, "name"),
    ):
        refused = service.client("POST", path, body)
        assert (refused.status, [one["path"] for one in refused.body["error"]["details"]]) == (422, [at])
    assert service.client("GET", "/v1/events").body["data"] == []
    assert service.event(type="hookline", data={})["webhooks_matched"] == 0
