"""The document says everything about every operation, and nothing that is not so."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import jsonschema
import pytest
from openapi_spec_validator import validate

from functions.api.openapi.examples import UNKNOWN
from functions.domain.api_keys import Scope
from tests.contract.documented import JSON, Document, Operation, load, operations, resolve

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
OPERATIONS = list(operations(load()))
WITH_BODY = [one for one in OPERATIONS if one.body]


def every(chosen: list[Operation] = OPERATIONS) -> Any:
    return pytest.mark.parametrize("operation", chosen, ids=lambda one: one.id)


def test_the_committed_document_is_the_one_of_the_code(document: Document) -> None:
    assert json.loads(COMMITTED.read_text()) == document, "run make openapi"


def test_it_is_valid_openapi_3_1(document: Document) -> None:
    validate(document)
    assert document["openapi"].startswith("3.1")


def test_operation_ids_are_distinct_names_for_functions() -> None:
    ids = [one.id for one in OPERATIONS]
    assert len(ids) == len(set(ids))
    for id in ids:
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", id), id


def test_tags_are_explained_and_used(document: Document) -> None:
    explained = {tag["name"]: tag["description"] for tag in document["tags"]}
    assert all(explained.values())
    assert {tag for one in OPERATIONS for tag in one.raw["tags"]} == set(explained)


@every()
def test_an_operation_says_what_it_does_and_which_key_it_takes(operation: Operation) -> None:
    assert operation.raw["summary"]
    assert len(operation.raw["tags"]) == 1
    description = operation.raw["description"]
    if operation.scopes:
        [scope] = operation.scopes
        assert scope in get_args(Scope)
        assert f"`{scope}`" in description
    if operation.takes_admin_key:
        assert ("admin key" if operation.scopes or not operation.takes_project_key else "any key") in description
    assert operation.path.startswith("/v1/") == (operation.raw["security"] != [])


@every()
def test_an_operation_documents_every_status_of_its_kind(operation: Operation) -> None:
    statuses = set(operation.responses)
    assert any(200 <= status < 300 for status in statuses)
    wanted = {429, 500, 503}
    if operation.raw["security"]:
        wanted |= {401, 403}
    if operation.names("path"):
        wanted |= {404, 405}
    if operation.names("query"):
        wanted |= {422}
    if operation.body:
        wanted |= {400, 413, 415, 422}
    if operation.method == "POST":
        wanted |= {400, 409}
    if "If-Match" in operation.names("header"):
        wanted |= {400, 412}
    assert wanted <= statuses, sorted(wanted - statuses)
    assert ("If-Match" in operation.names("header")) == (412 in statuses)


@every()
def test_an_operation_documents_its_headers(operation: Operation) -> None:
    sent = operation.names("header")
    if operation.raw["security"]:
        assert "hookline-correlation-id" in sent
    assert ("Idempotency-Key" in sent) == (operation.method == "POST")
    for status, response in operation.responses.items():
        if status != 429:
            assert "hookline-correlation-id" in response["headers"] or operation.path == "/health", status
        if operation.method == "POST" and status < 300:
            assert "idempotency-replayed" in response["headers"]


@every()
def test_parameters_are_explained_with_an_example_that_fits(operation: Operation) -> None:
    for parameter in operation.parameters:
        where = (operation.id, parameter["name"])
        assert parameter["description"], where
        check(operation.document, parameter["schema"], parameter["example"], where)
        types = parameter["schema"].get("type", [])
        assert "null" not in types, where


@every()
def test_request_and_answer_have_examples_that_fit(operation: Operation) -> None:
    found = list(content(operation))
    assert found
    for where, media in found:
        values = [one["value"] for one in media.get("examples", {}).values()] or [media["example"]]
        for value in values:
            check(operation.document, media["schema"], value, where)


@every(WITH_BODY)
def test_unknown_fields_of_a_request_are_refused_by_its_schema(operation: Operation) -> None:
    assert operation.body
    choices = operation.body["schema"].get("anyOf", [operation.body["schema"]])
    [schema] = [resolve(operation.document, choice) for choice in choices if choice != {"type": "null"}]
    assert schema["additionalProperties"] is False
    assert operation.raw["requestBody"].get("required") or not schema.get("required")


def test_answers_always_have_all_of_their_fields(document: Document) -> None:
    for name, schema in answered(document):
        if "properties" in schema:
            missing = set(schema["properties"]) - set(schema.get("required", []))
            assert missing <= {"warnings"}, (name, missing)  # there only where something is to be warned of


def test_no_schema_spells_null_as_a_choice_where_a_type_would_do(document: Document) -> None:
    for where, schema in nested(document, "#"):
        choices = schema.get("anyOf")
        if isinstance(choices, list) and {"type": "null"} in choices:
            others = [choice for choice in choices if choice != {"type": "null"}]
            assert len(others) > 1 or {"$ref", "const", "oneOf"} & set(others[0]), where


def test_ids_times_and_urls_have_formats(document: Document) -> None:
    free = {"external_id", "correlation_id", "request_id", "resource_id", "watch_id", "message_id"}
    for name, schema in answered(document):
        for field, one in schema.get("properties", {}).items():
            if "string" not in one.get("type", []) or "enum" in one:
                continue
            if field.endswith("_at"):
                assert one.get("format") == "date-time", (name, field)
            ours = field not in free and (name, field) != ("CrawlSession", "job_id")  # which is Firecrawl's
            if ours and (field == "id" or field.endswith("_id")):
                assert one.get("format") == "uuid", (name, field)
            if field.endswith("url"):
                assert one.get("format") == "uri", (name, field)


def content(operation: Operation) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every media type object of the operation, with its place."""
    if operation.body:
        yield "request", operation.body
    for status, response in operation.responses.items():
        if status != 204:
            yield str(status), response["content"][JSON]


def check(document: Document, schema: dict[str, Any], value: object, where: object) -> None:
    assert UNKNOWN not in json.dumps(value, ensure_ascii=False), f"{where}: a field has no example"
    whole = {**schema, "components": document["components"]}
    checker = jsonschema.Draft202012Validator(whole, format_checker=jsonschema.FormatChecker())
    problems = [f"{error.json_path}: {error.message}" for error in checker.iter_errors(value)]
    assert not problems, (where, problems, value)


def answered(document: Document) -> list[tuple[str, dict[str, Any]]]:
    """The schemas that are reached from answers and from no request."""
    sent = reached(document, [one.body["schema"] for one in OPERATIONS if one.body])
    models = document["components"]["schemas"]
    return [(name, schema) for name, schema in models.items() if name not in sent]


def reached(document: Document, schemas: list[Any]) -> set[str]:
    names: set[str] = set()
    todo = list(schemas)
    while todo:
        new = set(re.findall(r'"#/components/schemas/(\w+)"', json.dumps(todo.pop()))) - names
        names |= new
        todo += [document["components"]["schemas"][name] for name in new]
    return names


def nested(value: Any, where: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(value, dict):
        yield where, value
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in items:
        yield from nested(one, f"{where}/{name}")
