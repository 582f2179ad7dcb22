"""The same event twice: callers' own ids, keys, and Idempotency-Key."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from functions.domain.ids import uuid7, uuid7_floor
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
    from functions.api.caller import Caller
    from functions.api.schemas.events import EventIn
    from functions.ingest import ingesting

    service.webhook()
    caller = Caller(False, service.project_id, "", uuid7(), frozenset("*"), "c", "r", "")
    body = '{"events":[{"type":"a","data":1,"id":"same"}]}'
    sent = ingesting.Sent([EventIn(type="a", data=1, id="same")], body, batch=False)
    first = engine().connect()
    begun = first.begin()
    answer = ingesting.ingest(first, caller, sent).answers
    seen: list[Answer] = []

    def second() -> None:
        import sqlalchemy

        other = sqlalchemy.create_engine(engine().url)
        with other.begin() as connection:
            seen.append(ingesting.ingest(connection, caller, sent).answers)
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


def test_keys_are_uuidv7(service: Service) -> None:
    assert UUID(service.event()["id"]).version == 7


def test_of_an_id_that_is_twice_in_a_batch_the_first_is_stored(service: Service) -> None:
    key = uuid7()
    for id in ("x", key):
        events = [{"type": f"t{n}", "data": n, "id": id} for n in range(5)]
        answers = service.client("POST", "/v1/events/batch", {"events": events}).body["data"]
        assert [one["type"] for one in answers] == ["t0"] * 5
        assert service.client("GET", f"/v1/events/{id}").body["data"] == 0
