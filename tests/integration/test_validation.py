"""Holding events to the schemas of their types (P4): what is refused, what is told, and since when."""

import json
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event as hooks

from functions.adapters import database
from functions.domain.json_schema import Compiled
from functions.ingest.catalog import Catalog
from tests.integration.conftest import Answer, Client, Service

NewProject = Callable[..., tuple[str, Client]]
INVOICE = {
    "type": "object",
    "properties": {
        "amount": {"type": "number", "minimum": 0},
        "currency": {"enum": ["EUR", "USD"]},
        "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
    },
    "required": ["amount"],
}
GOOD = {"amount": 12.5, "currency": "EUR", "lines": [{"sku": "a"}]}
BAD = {"amount": -1, "currency": "GBP", "lines": [{"sku": "a"}, {}]}
PATHS = {"data.amount", "data.currency", "data.lines.1.sku"}


def validate(service: Service, mode: str) -> None:
    answer = service.admin("PATCH", f"/v1/projects/{service.project_id}", {"validation": mode})
    assert answer.status == 200, answer.body


def register(service: Service, schema: Any, name: str = "invoice.paid") -> None:
    answer = service.client("POST", "/v1/event-types", {"name": name, "schema": schema})
    assert answer.status == 201, answer.body


def change(service: Service, body: dict[str, Any], name: str = "invoice.paid") -> None:
    assert service.client("PATCH", f"/v1/event-types/{name}", body).status == 200


def send(service: Service, data: Any, **values: Any) -> Answer:
    return service.client("POST", "/v1/events", {"type": "invoice.paid", "data": data, **values})


def details(answer: Answer) -> dict[str, str]:
    return {one["path"]: one["message"] for one in answer.body["error"]["details"]}


def stored(service: Service) -> int:
    ((events, named, deliveries),) = service.sql.run(
        "SELECT (SELECT count(*) FROM webhook.webhook_events), (SELECT count(*) FROM webhook.webhook_event_ids),"
        " (SELECT count(*) FROM webhook.webhook_deliveries)"
    )
    assert events or not (named or deliveries)
    return int(events)


@pytest.fixture
def enforcing(service: Service) -> Service:
    validate(service, "enforce")
    register(service, INVOICE)
    return service


def test_a_project_begins_without_validation(service: Service) -> None:
    register(service, INVOICE)
    assert send(service, BAD).status == 202


def test_enforced_every_failing_path_is_told_and_nothing_is_stored(enforcing: Service) -> None:
    enforcing.webhook()
    refused = send(enforcing, BAD, id="order-7")
    assert refused.status == 422
    assert details(refused) == {
        "data.amount": "is less than the minimum of 0",
        "data.currency": 'is not one of "EUR" or "USD"',
        "data.lines.1.sku": "is required",
    }
    assert stored(enforcing) == 0
    assert enforcing.messages() == []
    assert send(enforcing, GOOD, id="order-7").status == 202, "the id is free"


@pytest.mark.parametrize("data", [None, 1, "x", [], True])
def test_the_data_itself_may_be_of_the_wrong_type(enforcing: Service, data: Any) -> None:
    assert details(send(enforcing, data)) == {"data": 'is not of type "object"'}


def test_a_batch_is_all_or_nothing_and_names_its_events(enforcing: Service) -> None:
    events = [{"type": "invoice.paid", "data": data} for data in (GOOD, GOOD, {"amount": "1"}, {})]
    refused = enforcing.client("POST", "/v1/events/batch", {"events": events})
    assert set(details(refused)) == {"events.2.data.amount", "events.3.data.amount"}
    assert stored(enforcing) == 0
    alone = enforcing.client("POST", "/v1/events/batch", {"events": events[3:]})
    assert set(details(alone)) == {"events.0.data.amount"}


def test_warned_events_are_accepted_and_the_answer_says_so(service: Service) -> None:
    validate(service, "warn")
    register(service, INVOICE)
    warned = send(service, BAD)
    assert warned.status == 202
    assert {one["path"] for one in warned.body["warnings"]} == PATHS
    assert "warnings" not in send(service, GOOD).body
    batch = {"events": [{"type": "invoice.paid", "data": data} for data in (GOOD, {})]}
    answer = service.client("POST", "/v1/events/batch", batch)
    assert (answer.status, len(answer.body["data"])) == (202, 2)
    assert answer.body["warnings"] == [{"path": "events.1.data.amount", "message": "is required"}]
    assert stored(service) == 4


def test_a_repeated_idempotency_key_tells_nothing_of_the_data(service: Service) -> None:
    """Warnings name what is in the data: kept with the answer, they would outlive the payload's erasure."""
    validate(service, "warn")
    register(service, {"additionalProperties": False})
    first, again = (
        service.client(
            "POST",
            "/v1/events",
            {"type": "invoice.paid", "data": {"erika@example.com": 1}},
            headers={"idempotency-key": "k"},
        )
        for _ in range(2)
    )
    assert first.body["warnings"] == [{"path": "data.erika@example.com", "message": "is not allowed"}]
    assert again.body == {name: value for name, value in first.body.items() if name != "warnings"}
    kept = service.sql.run("SELECT count(*) FROM webhook.idempotency_keys k WHERE k::text LIKE '%erika%'")
    assert kept == [[0]]


def test_an_idempotency_key_is_free_again_after_a_refusal(enforcing: Service) -> None:
    def post(data: Any) -> Answer:
        body = {"type": "invoice.paid", "data": data}
        return enforcing.client("POST", "/v1/events", body, headers={"idempotency-key": "k"})

    assert (post(BAD).status, post(GOOD).status) == (422, 202)


def test_what_has_no_schema_is_not_checked(enforcing: Service) -> None:
    register(enforcing, None, "order.shipped")
    for name in ("order.shipped", "never.registered", "invoice.paid.late"):
        assert enforcing.client("POST", "/v1/events", {"type": name, "data": BAD}).status == 202


def test_every_change_counts_for_the_very_next_event(enforcing: Service) -> None:
    assert send(enforcing, BAD).status == 422
    change(enforcing, {"schema": {"type": "object"}})
    assert send(enforcing, BAD).status == 202
    change(enforcing, {"schema": {"type": "string"}})
    assert send(enforcing, BAD).status == 422
    change(enforcing, {"archived": True})
    assert send(enforcing, BAD).status == 202
    change(enforcing, {"archived": False})
    assert send(enforcing, BAD).status == 422
    assert enforcing.client("DELETE", "/v1/event-types/invoice.paid").status == 204
    assert send(enforcing, BAD).status == 202
    change(enforcing, {"archived": False})
    change(enforcing, {"schema": None})
    assert send(enforcing, BAD).status == 202
    change(enforcing, {"schema": INVOICE})
    validate(enforcing, "off")
    assert send(enforcing, BAD).status == 202
    validate(enforcing, "warn")
    assert "warnings" in send(enforcing, BAD).body
    validate(enforcing, "enforce")
    assert send(enforcing, BAD).status == 422
    late = enforcing.client("POST", "/v1/events", {"type": "late", "data": BAD})
    register(enforcing, INVOICE, "late")
    assert late.status == 202
    assert enforcing.client("POST", "/v1/events", {"type": "late", "data": BAD}).status == 422


def test_two_processes_each_notice_a_change_that_neither_made(enforcing: Service) -> None:
    first, second = Catalog(), Catalog()

    def version() -> int:
        ((found,),) = enforcing.sql.run(
            "SELECT catalog_version FROM webhook.projects WHERE id = :id", id=enforcing.project_id
        )
        return int(found)

    def schema(of: Catalog) -> Compiled:
        with database.transaction() as connection:
            found = of.schemas(connection, enforcing.project_id, version(), {"invoice.paid", "other"})
        assert set(found) == {"invoice.paid"}
        return found["invoice.paid"]

    before = (schema(first), schema(second))
    assert (schema(first), schema(second)) == before, "kept while nothing changes"
    assert all(not one.validator.is_valid(BAD) for one in before)
    change(enforcing, {"schema": True})
    assert all(schema(of).validator.is_valid(BAD) for of in (first, second))


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements that are executed meanwhile."""
    seen: list[str] = []

    def see(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    hooks.listen(database.engine(), "before_cursor_execute", see)
    yield seen
    hooks.remove(database.engine(), "before_cursor_execute", see)


def test_while_nothing_changes_validating_asks_the_database_nothing(enforcing: Service) -> None:
    with counted() as first:
        assert send(enforcing, GOOD).status == 202
    with counted() as second:
        assert send(enforcing, GOOD).status == 202
        assert send(enforcing, BAD).status == 422
    assert (len(first), len(second)) == (3, 4), "the key and the event; at first the schema, too"


def test_a_known_id_is_answered_as_before_whatever_its_schema_is_now(enforcing: Service) -> None:
    first = send(enforcing, GOOD, id="order-7")
    change(enforcing, {"schema": False})
    again = send(enforcing, GOOD, id="order-7")
    assert (first.status, again.status) == (202, 200)
    assert first.body == again.body
    known, new = {"type": "invoice.paid", "data": BAD, "id": "order-7"}, {"type": "other", "data": 1}
    assert enforcing.client("POST", "/v1/events/batch", {"events": [known, new]}).status == 202
    new["type"] = "invoice.paid"
    refused = enforcing.client("POST", "/v1/events/batch", {"events": [known, new]})
    assert details(refused) == {"events.1.data": "is not allowed"}


@pytest.mark.parametrize(
    ("schema", "raw", "status"),
    [
        ({"type": "integer"}, "1.0", 202),
        ({"type": "integer"}, "1.5", 422),
        ({"type": "integer"}, "1" + "0" * 300, 202),
        ({"maximum": 10**300}, "1" + "0" * 301, 422),
        ({"multipleOf": 0.01}, "19.99", 202),
        ({"multipleOf": 0.01}, "19.995", 422),
        ({"multipleOf": 3}, "1" + "0" * 30, 422),
        ({"const": 1}, "true", 422),
        ({"enum": [0]}, "false", 422),
        ({"type": "number"}, "true", 422),
        ({"maxLength": 2}, '"\\ud83d\\ude00\\ud83d\\ude00"', 202),
        ({"uniqueItems": True}, "[1, 1.0]", 422),
        ({"format": "date-time"}, '"yesterday"', 202),
    ],
)
def test_values_are_checked_as_the_body_has_them(service: Service, schema: Any, raw: str, status: int) -> None:
    validate(service, "enforce")
    register(service, schema)
    assert service.client("POST", "/v1/events", raw=f'{{"type":"invoice.paid","data":{raw}}}').status == status


def test_names_in_paths_are_as_they_are_and_bounded(service: Service) -> None:
    validate(service, "enforce")
    register(service, {"additionalProperties": {"type": "string"}})
    refused = send(service, {"a.b": 1, "ü/~": 2, "n" * 300: 3})
    assert set(details(refused)) == {"data.a.b", "data.ü/~", "data." + "n" * 249 + "…"}


def test_of_many_failures_the_first_fifty_are_told(enforcing: Service) -> None:
    lines = [{}] * 300
    assert len(send(enforcing, {"amount": 1, "lines": lines}).body["error"]["details"]) == 50
    events = [{"type": "invoice.paid", "data": {}}] * 300
    assert len(enforcing.client("POST", "/v1/events/batch", {"events": events}).body["error"]["details"]) == 50


def test_messages_are_short_and_do_not_repeat_the_value(service: Service) -> None:
    validate(service, "enforce")
    register(service, {"enum": ["x" * 1000, "y"]})
    [(path, message)] = details(send(service, "Erika" * 1000)).items()
    assert path == "data"
    assert len(message) <= 500
    assert "Erika" not in message


def test_another_projects_schemas_are_its_own(enforcing: Service, new_project: NewProject) -> None:
    project, other = new_project()
    enforcing.admin("PATCH", f"/v1/projects/{project}", {"validation": "enforce"})
    assert other("POST", "/v1/events", {"type": "invoice.paid", "data": BAD}).status == 202
    other("POST", "/v1/event-types", {"name": "invoice.paid", "schema": False})
    assert other("POST", "/v1/events", {"type": "invoice.paid", "data": GOOD}).status == 422
    assert send(enforcing, GOOD).status == 202


def test_events_of_an_application_are_checked_alike(enforcing: Service) -> None:
    bound = enforcing.key(application_id=enforcing.application(uid="acme")["id"])
    assert bound("POST", "/v1/events", {"type": "invoice.paid", "data": BAD}).status == 422
    assert send(enforcing, BAD, application_id="acme").status == 422
    assert bound("POST", "/v1/events", {"type": "invoice.paid", "data": GOOD}).status == 202


@pytest.mark.parametrize("pattern", ["^(a+)+$", "(x+x+)+y", "^(([a-z])+.)+[A-Z]([a-z])+$", "(a|aa)+$"])
def test_no_pattern_burns_the_processor(service: Service, pattern: str) -> None:
    validate(service, "enforce")
    register(service, {"pattern": pattern})
    started = time.process_time()
    assert send(service, ("a" if "x" not in pattern else "x") * 200_000 + "!").status == 422
    assert time.process_time() - started < 5


def test_the_dearest_pattern_that_is_taken_is_bounded(service: Service) -> None:
    validate(service, "enforce")
    register(service, {"pattern": "[ab]*a(?:[ab]{30}){30}[cd]"})
    text = "".join(random.Random(1).choices("ab", k=250_000))
    started = time.process_time()
    assert send(service, text).status == 422
    assert time.process_time() - started < 25


def test_what_would_take_too_long_to_check_is_refused_without_checking(service: Service) -> None:
    validate(service, "enforce")
    register(service, {"items": {"allOf": [{"type": ["integer", "string"]}] * 900}})
    assert send(service, [1] * 1000).status == 202
    started = time.process_time()
    refused = send(service, [1] * 100_000)
    assert details(refused) == {
        "data": "is too large or too deeply nested for the schema of its event type to be checked"
    }
    assert time.process_time() - started < 5
    assert stored(service) == 1


def test_a_schema_that_branches_at_every_level_is_asked_and_told_in_time(service: Service) -> None:
    """2^30 ways to write up what is wrong: the answer is known at once, where it is wrong is not told."""
    expression: dict[str, Any] = {
        "oneOf": [
            {"type": "integer"},
            *(
                {
                    "type": "object",
                    "properties": {"op": {"const": op}, "of": {"$ref": "#/$defs/expression"}},
                    "required": ["op", "of"],
                }
                for op in ("not", "minus")
            ),
        ]
    }
    validate(service, "enforce")
    register(service, {"$defs": {"expression": expression}, "$ref": "#/$defs/expression"})

    def nested(leaf: Any, levels: int) -> Any:
        for n in range(levels):
            leaf = {"op": "not" if n % 2 else "minus", "of": leaf}
        return leaf

    started = time.process_time()
    assert send(service, nested(1, 55)).status == 202
    refused = send(service, nested("x", 55))
    assert "too large or too deeply nested to tell where" in details(refused)["data"]
    assert "is not valid under any" in details(send(service, nested("x", 3)))["data"]
    assert time.process_time() - started < 5


def test_a_stored_schema_that_cannot_be_used_any_more_does_not_keep_events_back(
    enforcing: Service, caplog: pytest.LogCaptureFixture
) -> None:
    enforcing.sql.run(
        "UPDATE webhook.webhook_event_type_versions SET schema = CAST(:schema AS jsonb)",
        schema=json.dumps({"$ref": "https://example.com/x"}),
    )
    enforcing.sql.run("UPDATE webhook.projects SET catalog_version = catalog_version + 1")
    assert send(enforcing, BAD).status == 202
    assert "schema not usable" in caplog.text


def test_what_is_kept_is_bounded(enforcing: Service) -> None:
    small = Catalog(memory_bytes=40_000)
    for n in range(60):
        register(enforcing, INVOICE, f"t{n}")
    with database.transaction() as connection:
        for n in range(60):
            found = small.schemas(connection, enforcing.project_id, 1, {f"t{n}", f"unknown{n}"})
            assert set(found) == {f"t{n}"}
            assert small.memory <= 40_000
        with counted() as asked:
            small.schemas(connection, enforcing.project_id, 1, {"t59"})
            assert asked == [], "the last is there"
            small.schemas(connection, enforcing.project_id, 1, {"t0"})
            assert len(asked) == 1, "the first made room"
