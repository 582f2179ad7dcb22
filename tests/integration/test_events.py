"""Accepting events: what is stored, what is answered, what is refused."""

import base64
import json
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest

from functions.domain.ids import uuid7, uuid7_floor
from functions.settings import settings
from tests.integration.conftest import Answer, Client, Service

NewProject = Callable[..., tuple[str, Client]]


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


IDS: dict[str, Callable[[], str]] = {
    "name": lambda: "order-1",
    "unicode": lambda: "ä/ö?",
    "uuid4": lambda: str(uuid4()),
    "old-uuid7": lambda: uuid7_floor(datetime(2020, 1, 1, tzinfo=UTC)),
    "uuid7": uuid7,
}


@pytest.mark.parametrize("kind", IDS)
def test_the_same_id_is_answered_alike_and_delivered_once(service: Service, kind: str) -> None:
    id = IDS[kind]()
    service.webhook()
    first = service.client("POST", "/v1/events", {"type": "a", "data": 1, "id": id})
    again = service.client("POST", "/v1/events", {"type": "a", "data": 2, "id": id})
    assert (first.status, again.status) == (202, 200)
    assert first.body == again.body
    assert rows(service) == (1, 1)
    assert id in {first.body["id"], first.body["external_id"]}


def test_a_fresh_uuidv7_is_the_key_itself_in_any_case(service: Service) -> None:
    id = uuid7()
    first = service.event(id=id.upper())
    assert (first["id"], first["external_id"]) == (id, None)
    assert service.event(id=id) == first


def test_the_same_id_twice_in_a_batch_is_one_event(service: Service) -> None:
    service.webhook()
    key = uuid7()
    ids = ["x", "y", "x", key, key]
    answer = service.client(
        "POST", "/v1/events/batch", {"events": [{"type": "a", "data": 1, "id": id} for id in ids]}
    )
    answers = answer.body["data"]
    assert answers[0] == answers[2]
    assert answers[3] == answers[4]
    assert rows(service) == (3, 3)


def test_another_projects_id_is_a_conflict_and_tells_nothing(service: Service, new_project: NewProject) -> None:
    _, stranger = new_project()
    id = uuid7()
    service.event(id=id)
    service.event(id="order-1")
    taken = stranger("POST", "/v1/events", {"type": "a", "data": 1, "id": id})
    assert taken.status == 409
    assert stranger("GET", f"/v1/events/{id}").status == 404
    own = stranger("POST", "/v1/events", {"type": "a", "data": 1, "id": "order-1"})
    assert own.status == 202, "names of one project do not bind another"


def test_concurrent_duplicates_are_one_event(service: Service) -> None:
    """Two transactions at once: the second waits for the first, then answers alike."""
    from functions.adapters.database import engine
    from functions.api import ingest
    from functions.api.caller import Caller
    from functions.api.schemas.events import EventIn

    service.webhook()
    caller = Caller(False, service.project_id, "", uuid7(), frozenset("*"), "c", "r", "")
    body = '{"events":[{"type":"a","data":1,"id":"same"}]}'
    sent = ingest.Sent([EventIn(type="a", data=1, id="same")], body, batch=False)
    first = engine().connect()
    begun = first.begin()
    answer = ingest.ingest(first, caller, sent).answers
    seen: list[Answer] = []

    def second() -> None:
        import sqlalchemy

        other = sqlalchemy.create_engine(engine().url)
        with other.begin() as connection:
            seen.append(ingest.ingest(connection, caller, sent).answers)
        other.dispose()

    thread = threading.Thread(target=second)
    thread.start()
    thread.join(0.5)
    assert thread.is_alive(), "waits for the first transaction"
    begun.commit()
    first.close()
    thread.join(10)
    assert str(seen[0][0]["id"]) == answer[0]["id"]
    assert rows(service) == (1, 1)


def test_an_idempotency_key_repeats_the_first_answer_and_refuses_another_body(service: Service) -> None:
    service.webhook()
    first = post(service, '{"type":"a","data":1}', **{"idempotency-key": "k1"})
    again = post(service, '{"type":"a","data":1}', **{"idempotency-key": "k1"})
    other = post(service, '{"type":"a","data":2}', **{"idempotency-key": "k1"})
    assert (first.status, again.status, other.status) == (202, 202, 409)
    assert first.body == again.body
    assert again.headers["idempotency-replayed"] == "true"
    assert other.body["error"]["code"] == "idempotency_key_reused"
    assert rows(service) == (1, 1)
    assert len(service.messages()) == 1
    batch = post(service, '{"events":[{"type":"a","data":1}]}', "/v1/events/batch", **{"idempotency-key": "k1"})
    assert batch.status == 409, "a key belongs to one operation"


def test_an_idempotency_key_is_free_again_after_a_day_and_after_a_failure(service: Service) -> None:
    failed = post(service, '{"type":"a b","data":1}', **{"idempotency-key": "k"})
    assert failed.status == 422
    first = post(service, '{"type":"a","data":1}', **{"idempotency-key": "k"})
    service.sql.run("UPDATE webhook.idempotency_keys SET created_at = now() - interval '25 hours'")
    later = post(service, '{"type":"a","data":2}', **{"idempotency-key": "k"})
    assert (first.status, later.status) == (202, 202)
    assert first.body["id"] != later.body["id"]


@pytest.mark.parametrize("key", ["", " ", "a b", "ä", "x" * 256])
def test_a_bad_idempotency_key_is_refused(service: Service, key: str) -> None:
    assert post(service, '{"type":"a","data":1}', **{"idempotency-key": key}).status == 400
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


def test_lists_page_newest_first_and_filter(service: Service) -> None:
    started = datetime.now(UTC)
    ids = [service.event(type=f"t.{n % 2}")["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = service.client("GET", f"/v1/events?limit=3&cursor={cursor}").body
        seen += [event["id"] for event in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert len(service.client("GET", "/v1/events?type=t.1").body["data"]) == 3
    before = started.isoformat().replace("+00:00", "Z")
    assert service.client("GET", f"/v1/events?created_before={before}").body["data"] == []
    assert len(service.client("GET", f"/v1/events?created_after={before}").body["data"]) == 7
    later = (started + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert service.client("GET", f"/v1/events?created_after={later}").body["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=251",
        "limit=x",
        "cursor=%21",
        "cursor=abc",
        "created_after=x",
        "created_after=2026-01-01T00:00:00",
    ],
)
def test_a_bad_query_is_422(service: Service, query: str) -> None:
    assert service.client("GET", f"/v1/events?{query}").status == 422


@pytest.mark.parametrize("query", ["created_after", "created_before"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_no_time_is_too_early_or_late_to_ask_for(service: Service, query: str, time: str) -> None:
    service.event()
    for path in ("/v1/events", "/v1/deliveries"):
        assert service.client("GET", f"{path}?{query}={time}").status == 200


@pytest.mark.parametrize(
    "time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", 1700000000, "1700000000x"]
)
def test_a_time_that_cannot_be_kept_is_422(service: Service, time: object) -> None:
    body = {"type": "a", "data": 1, "occurred_at": time}
    assert service.client("POST", "/v1/events", body).status == 422


def test_occurred_at_is_kept_in_utc(service: Service) -> None:
    id = service.event(occurred_at="2026-01-31T12:00:00+02:00")["id"]
    assert service.client("GET", f"/v1/events/{id}").body["occurred_at"] == "2026-01-31T10:00:00.000000Z"


def test_keys_are_uuidv7(service: Service) -> None:
    assert UUID(service.event()["id"]).version == 7


def listed(service: Service, query: str = "", client: Client | None = None) -> list[str]:
    """Ids of all pages."""
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = (client or service.client)("GET", f"/v1/events?limit=2&cursor={cursor}&{query}".rstrip("&"))
        assert answer.status == 200, answer.body
        ids += [event["id"] for event in answer.body["data"]]
        cursor = answer.body["next_cursor"]
    return ids


def test_lists_are_narrowed_by_type_application_environment_and_external_id(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    service.application(uid="ajax")
    kinds: dict[str, dict[str, str]] = {
        "paid": {"type": "invoice.paid", "application_id": "acme", "environment": "production"},
        "late": {"type": "invoice.paid.late", "application_id": "acme", "id": "order-7"},
        "void": {"type": "invoice.void", "application_id": "ajax", "environment": "staging"},
        "near": {"type": "invoices.paid"},
        "bare": {"type": "invoice", "environment": "production"},
    }
    ids = {name: service.event(**values)["id"] for name, values in kinds.items()}
    for query, wanted in {
        "type=invoice.paid": ["paid"],
        "type=invoice.*": ["void", "late", "paid"],
        "type=*": ["bare", "near", "void", "late", "paid"],
        "type=none": [],
        "application_id=acme": ["late", "paid"],
        f"application_id={acme}": ["late", "paid"],
        "application_id=acme&type=invoice.paid.*": ["late"],
        "environment=production": ["bare", "paid"],
        "environment=production&application_id=acme&type=invoice.*": ["paid"],
        "external_id=order-7": ["late"],
        f"external_id={ids['paid']}": ["paid"],
        "external_id=order-7&type=invoice.paid": [],
        "external_id=order-7&application_id=ajax": [],
        "external_id=none": [],
    }.items():
        assert listed(service, query) == [ids[name] for name in wanted], query


@pytest.mark.parametrize(
    "query", ["type=a b", "type=.", "type=a*", "environment=a b", "environment=" + "x" * 65, "application_id=none"]
)
def test_a_filter_that_cannot_match_anything_is_422(service: Service, query: str) -> None:
    assert service.client("GET", f"/v1/events?{query}").status == 422


def test_a_deleted_application_is_still_a_filter_by_its_id(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    id = service.event(application_id="acme")["id"]
    service.client("DELETE", "/v1/applications/acme")
    assert listed(service, f"application_id={acme}") == [id]
    assert service.client("GET", "/v1/events?application_id=acme").status == 422


def test_created_bounds_go_by_when_an_event_came_whatever_its_key_says(service: Service) -> None:
    """Senders' own keys may be a day old or five minutes ahead."""

    def key(at: datetime) -> str:
        return uuid7_floor(at)[:14] + "7" + "000-8000-" + uuid7()[-12:]

    now = datetime.now(UTC)
    old, ahead = key(now - timedelta(hours=23)), key(now + timedelta(minutes=4))
    ids = {service.event(id=id)["id"] for id in (old, ahead)}
    assert ids == {old, ahead}, "they are the keys"

    def text(at: datetime) -> str:
        return at.isoformat().replace("+00:00", "Z")

    after, before = text(now - timedelta(minutes=1)), text(now + timedelta(minutes=1))
    assert set(listed(service, f"created_after={after}&created_before={before}")) == ids
    assert listed(service, f"created_before={after}") == []
    assert listed(service, f"created_after={before}") == []


def test_counters_tell_how_the_deliveries_stand(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    for n in range(6):
        service.webhook(application_id="acme" if n < 2 else None)
    busy, idle = service.event(application_id="acme")["id"], service.event(type="x", environment="qa")["id"]
    service.sql.run("DELETE FROM webhook.webhook_deliveries WHERE event_id = :id", id=idle)
    ends = {
        "delivered": "sweep_at = NULL, scheduled_at = NULL, delivered_at = now()",
        "failed": "sweep_at = NULL, scheduled_at = NULL, failed_at = now()",
        "delivering": "lease_expires_at = now()",
    }
    for status, values in ends.items():
        service.sql.run(
            f"UPDATE webhook.webhook_deliveries SET status = '{status}', {values} WHERE id = (SELECT id FROM"
            " webhook.webhook_deliveries WHERE event_id = :id AND status = 'pending' AND application_id IS NULL"
            " LIMIT 1)",
            id=busy,
        )
    none, some = ({"pending": p, "delivered": d, "failed": f} for p, d, f in ((0, 0, 0), (4, 1, 1)))
    page = service.client("GET", "/v1/events").body["data"]
    assert [(one["id"], one["deliveries"]) for one in page] == [(idle, none), (busy, some)]
    assert [service.client("GET", f"/v1/events/{id}").body["deliveries"] for id in (idle, busy)] == [none, some]
    assert page[1]["webhooks_matched"] == 6
    bound = service.key(application_id=acme)
    (own,) = bound("GET", "/v1/events").body["data"]
    assert own["deliveries"] == {"pending": 2, "delivered": 0, "failed": 0}, "as many as it can read"
    assert len(bound("GET", f"/v1/events/{busy}/deliveries").body["data"]) == 2


def test_a_page_is_counted_by_one_query_that_reads_no_older_partition(service: Service) -> None:
    from sqlalchemy import event as hooks

    from functions.adapters import database

    service.webhook()
    for _ in range(3):
        service.event()
    seen: list[str] = []
    hooks.listen(database.engine(), "before_cursor_execute", lambda _c, _x, statement, *_: seen.append(statement))
    assert len(service.client("GET", "/v1/events").body["data"]) == 3
    (counting,) = [one for one in seen if "webhook_deliveries" in one]
    assert "GROUP BY" in counting
    assert "webhook_deliveries.id >= " in counting


def test_a_bound_key_sees_only_its_applications_events(service: Service) -> None:
    acme, ajax = service.application(uid="acme")["id"], service.application(uid="ajax")["id"]
    own = service.event(application_id="acme", id="own")["id"]
    others = [service.event(application_id="ajax", id="theirs")["id"], service.event(id="nobodys")["id"]]
    bound = service.key(application_id=acme)
    assert listed(service, client=bound) == [own]
    assert listed(service, "type=invoice.*", bound) == [own]
    assert listed(service, "external_id=theirs", bound) == []
    assert listed(service, "application_id=acme", bound) == [own]
    assert bound("GET", f"/v1/events?application_id={ajax}").status == 404
    assert bound("GET", "/v1/events/own").body["id"] == own
    for id in ("theirs", "nobodys", *others):
        assert bound("GET", f"/v1/events/{id}").status == 404
        assert bound("GET", f"/v1/events/{id}/deliveries").status == 404


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
    assert set(read) - set(listed_) == {"data", "correlation_id"}


def test_of_an_id_that_is_twice_in_a_batch_the_first_is_stored(service: Service) -> None:
    key = uuid7()
    for id in ("x", key):
        events = [{"type": f"t{n}", "data": n, "id": id} for n in range(5)]
        answers = service.client("POST", "/v1/events/batch", {"events": events}).body["data"]
        assert [one["type"] for one in answers] == ["t0"] * 5
        assert service.client("GET", f"/v1/events/{id}").body["data"] == 0
