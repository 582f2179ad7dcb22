"""Accepting events: what is stored, what is answered, what is refused."""

import base64
import json

import pytest

from functions.domain.ids import uuid7
from functions.settings import settings
from tests.integration.conftest import Answer, Service


def rows(service: Service) -> tuple[int, int]:
    """(events, deliveries) in the database."""
    ((events, deliveries),) = service.sql.run(
        "SELECT (SELECT count(*) FROM webhook.webhook_events), (SELECT count(*) FROM webhook.webhook_deliveries)"
    )
    return events, deliveries


def post(service: Service, raw: str, path: str = "/v1/events", **headers: str) -> Answer:
    return service.client("POST", path, raw=raw, headers=headers)


def test_fan_out_is_one_delivery_for_each_matching_webhook(service: Service) -> None:
    service.webhook(event_types=["*", "invoice.*", "invoice.paid"])
    service.webhook(event_types=["invoice.paid"])
    service.webhook(event_types=["invoice.void", "invoice", "invoice.paid.late"])
    accepted = service.event(type="invoice.paid")
    assert accepted["webhooks_matched"] == 2
    deliveries = service.client("GET", f"/v1/events/{accepted['id']}/deliveries").body["data"]
    assert len({one["webhook_id"] for one in deliveries}) == 2
    (message,) = service.messages()
    assert sorted(id for id, _ in json.loads(message["body"])["deliveries"]) == sorted(d["id"] for d in deliveries)
    assert message["attributes"]["MessageGroupId"] == service.project_id


def test_no_match_is_accepted_and_sends_nothing(service: Service) -> None:
    assert service.event()["webhooks_matched"] == 0
    assert service.messages() == []


def test_disabled_subscriptions_and_deleted_webhooks_do_not_match(service: Service) -> None:
    webhook = service.webhook(event_types=["other"])
    path = f"/v1/webhooks/{webhook['id']}/subscriptions"
    assert service.client("POST", path, {"event_type": "invoice.*", "enabled": False}).status == 201
    gone = service.webhook()
    service.client("DELETE", f"/v1/webhooks/{gone['id']}")
    assert service.event()["webhooks_matched"] == 0


def test_a_batch_is_answered_in_order_and_packed_by_the_hundred(service: Service) -> None:
    service.webhook(event_types=["n.*"])
    events = [{"type": f"n.{n % 7}", "data": n} for n in range(250)]
    answer = service.client("POST", "/v1/events/batch", {"events": events})
    assert answer.status == 202
    assert [one["type"] for one in answer.body["data"]] == [event["type"] for event in events]
    assert sorted(len(json.loads(m["body"])["deliveries"]) for m in service.messages()) == [50, 100, 100]
    for position in (0, 123, 249):
        id = answer.body["data"][position]["id"]
        assert service.client("GET", f"/v1/events/{id}").body["data"] == position


def test_a_batch_with_one_bad_event_stores_nothing(service: Service) -> None:
    service.webhook()
    answer = service.client(
        "POST", "/v1/events/batch", {"events": [{"type": "a", "data": 1}, {"type": "a b", "data": 1}]}
    )
    assert answer.status == 422
    assert answer.body["error"]["details"][0]["path"] == "events.1.type"
    assert rows(service) == (0, 0)


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        ("", 422),
        ("null", 422),
        ("[]", 422),
        ('"x"', 422),
        ("{}", 422),
        ('{"type":"a"}', 422),
        ('{"type":1,"data":1}', 422),
        ('{"type":"","data":1}', 422),
        ('{"type":"a","data":1,"extra":1}', 422),
        ('{"type":"a","data":1,"id":5}', 422),
        ('{"type":"a","data":1,"id":""}', 422),
        ('{"type":"a","data":1,"id":"' + "x" * 256 + '"}', 422),
        ('{"type":"a","data":1,"occurred_at":"yesterday"}', 422),
        ('{"type":"a","data":1,"occurred_at":"2026-01-01T00:00:00"}', 422),
        ('{"type":"hookline.webhook.disabled","data":1}', 422),
        ('{"type":"a","data":"\\u0000"}', 422),
        ('{"type":"a","data":"\\ud800"}', 422),
        ('{"type":"a","data":1e131071}', 422),
        ('{"type":"a","data":NaN}', 400),
        ('{"type":"a","data":{"a":1,"a":1}}', 422),
        ('{"type":"a","data":' + "[" * 64 + "]" * 64 + "}", 422),
        ('{"type":"a","data":' + "[" * 100_000, 422),
        ('{"type":"a","data":"' + "x" * (256 << 10) + '"}', 413),
        ('{"type":"a","data":"' + "x" * (1 << 20) + '"}', 413),
        ('{"type":"a","data":1', 400),
        ("\x00", 400),
    ],
)
def test_bad_input_is_a_4xx_and_leaves_nothing(service: Service, raw: str, status: int) -> None:
    answer = post(service, raw)
    assert answer.status == status, answer.body
    assert set(answer.body["error"]) == {"code", "message", "details", "request_id"}
    assert rows(service) == (0, 0)


@pytest.mark.parametrize(
    "data",
    ["null", "false", "0", '""', "[]", "{}", '"\\ud83d\\ude00"', "[" * 62 + "]" * 62, "1e22"],
)
def test_any_json_value_is_data(service: Service, data: str) -> None:
    answer = post(service, f'{{"type":"a","data":{data}}}')
    assert answer.status == 202, answer.body
    assert service.client("GET", f"/v1/events/{answer.body['id']}").body["data"] == json.loads(data)


def test_data_of_exactly_the_limit_is_taken(service: Service) -> None:
    size = (256 << 10) - 2
    assert post(service, '{"type":"a","data":"' + "x" * size + '"}').status == 202
    three = [{"type": "a", "data": "x" * size}] * 3
    assert service.client("POST", "/v1/events/batch", {"events": three}).status == 202


@pytest.mark.parametrize("count", [0, 501])
def test_a_batch_has_1_to_500_events(service: Service, count: int) -> None:
    answer = service.client("POST", "/v1/events/batch", {"events": [{"type": "a", "data": 1}] * count})
    assert answer.status == 422


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"content-type": "text/plain"}, 415),
        ({"content-type": "application/x-www-form-urlencoded"}, 415),
        ({"content-type": ""}, 415),
        ({"content-encoding": "gzip"}, 415),
        ({"content-type": "application/json; charset=utf-8"}, 202),
    ],
)
def test_the_body_must_be_plain_json(service: Service, headers: dict[str, str], status: int) -> None:
    assert post(service, '{"type":"a","data":1}', **headers).status == status


def test_a_body_that_came_in_base64_is_the_same_body(service: Service) -> None:
    from functions.api.caller import body_text

    event = {"headers": {"content-type": "application/json"}, "isBase64Encoded": True}
    assert body_text({**event, "body": base64.b64encode("ü".encode()).decode()}) == "ü"
    from functions.errors import BadRequest

    with pytest.raises(BadRequest, match="UTF-8"):
        body_text({**event, "body": base64.b64encode(b"\xff").decode()})


def test_a_queue_that_is_away_loses_nothing(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.webhook()
    monkeypatch.setenv("DELIVERY_QUEUE_URL", "http://127.0.0.1:1/000000000000/away")
    settings.cache_clear()
    assert service.event()["webhooks_matched"] == 1
    assert rows(service) == (1, 1)


def test_a_database_that_is_away_is_503(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    from functions.adapters import database
    from functions.api import handler as api
    from tests.integration.conftest import Context

    database.engine().dispose()
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", "postgresql://nobody:x@127.0.0.1:1/none")
    for cached in (settings, database.engine):
        cached.cache_clear()
    principal = {"admin": "false", "project_id": service.project_id, "key_id": uuid7(), "scopes": "*"}
    event = {
        "version": "2.0",
        "rawPath": "/v1/events",
        "rawQueryString": "",
        "headers": {"content-type": "application/json"},
        "body": '{"type":"a","data":1}',
        "requestContext": {
            "requestId": "r",
            "stage": "$default",
            "http": {"method": "POST", "path": "/v1/events"},
            "authorizer": {"lambda": principal},
        },
    }
    answer = api.handler(event, Context())
    assert answer["statusCode"] == 503
    assert json.loads(answer["body"])["error"]["code"] == "unavailable"


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1700000000, "1700000000x"]
)
def test_a_time_that_cannot_be_kept_is_422(service: Service, time: object) -> None:
    body = {"type": "a", "data": 1, "occurred_at": time}
    assert service.client("POST", "/v1/events", body).status == 422


def test_occurred_at_is_kept_in_utc(service: Service) -> None:
    id = service.event(occurred_at="2026-01-31T12:00:00+02:00")["id"]
    assert service.client("GET", f"/v1/events/{id}").body["occurred_at"] == "2026-01-31T10:00:00.000000Z"


def test_application_and_environment_are_answered_alike_everywhere(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    sent = service.event(application_id="acme", environment="production", id="x")
    assert (sent["application_id"], sent["environment"]) == (acme, "production")
    assert service.event(application_id="acme", environment="production", id="x") == sent
    read = service.client("GET", "/v1/events/x").body
    (listed_,) = service.client("GET", "/v1/events").body["data"]
    for shown in (read, listed_):
        assert {name: shown[name] for name in sent} == sent
        assert shown["expunged_at"] is None
    assert set(read) - set(listed_) == {"data", "correlation_id", "received"}
