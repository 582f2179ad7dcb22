"""What bad input gets, by every operation that takes a body, a query or an id (the end of PRODUCT.md).

Each has a defined answer in the one shape of errors, and leaves nothing behind: no row of any table changes.
"""

import gzip
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest

from functions.domain.payload import MAX_BODY_BYTES
from tests.contract.documented import Operation, load, operations
from tests.contract.gateway import Wire
from tests.contract.world import Things, rows, things, with_keys
from tests.integration.conftest import Answer, Service

OPERATIONS = [one for one in operations(load()) if one.path.startswith("/v1/")]
WITH_BODY = [one for one in OPERATIONS if one.body]
DEEP = 100_000
LARGE = {"x": "y" * MAX_BODY_BYTES}
JSON = {"content-type": "application/json"}

NOT_JSON = {
    "empty": "",
    "space": " ",
    "half": '{"name": ',
    "two": "{}{}",
    "single quotes": "{'name': 'n'}",
    "trailing comma": '{"name": "n",}',
    "bare word": "name",
    "byte order mark": "\ufeff{}",
    "raw NUL": "\x00",
}
NO_OBJECT = {"array": "[]", "number": "1", "text": '"name"', "null": "null", "true": "true"}
# Each is put where the operation's own fields are, and in a field that it does not know.
VALUES = {
    "NUL": r'"a\u0000b"',
    "raw NUL": '"a\x00b"',
    "high surrogate": r'"\ud800"',
    "low surrogate": r'"\udc00x"',
    "surrogates the wrong way round": r'"\udc00\ud800"',
    "NaN": "NaN",
    "Infinity": "Infinity",
    "-Infinity": "-Infinity",
    "an exponent that Postgres would write out": "1e131071",
    "a small one": "1e-16383",
    "400 digits": "9" * 400,
    "400 negative digits": "-" + "9" * 400,
    "400 decimals": "0." + "9" * 2000,
    "65 levels": "[" * 65 + "]" * 65,
    "65 objects": '{"a":' * 65 + "1" + "}" * 65,
    "100000 levels": "[" * DEEP + "]" * DEEP,
    "100000 levels that do not end": "[" * DEEP,
    "duplicate keys": '{"a": 1, "a": 2}',
    "a NUL key": r'{"a\u0000": 1}',
}


@pytest.fixture
def own(service: Service) -> Things:
    return with_keys(service, service.project_id, things(service, service.client))


def client_of(operation: Operation, service: Service) -> Wire:
    return Wire((service.client if operation.takes_project_key else service.admin).key)


def refused(answer: Answer, *statuses: int) -> bool:
    """Whether it is one of these, in the one shape of errors."""
    if answer.status not in statuses or not isinstance(answer.body, dict):
        return False
    error = answer.body["error"]
    shape = {"code", "message", "details", "request_id"} == set(error)
    return shape and all(set(detail) == {"path", "message"} for detail in error["details"])


def text_with(body: dict[str, Any], name: str, value: str) -> str:
    """The JSON text of a body in which the field has this text as its value."""
    return json.dumps({**body, name: "<value>"}).replace('"<value>"', value)


def unchanged(service: Service, before: dict[str, Any], problems: list[str]) -> None:
    after = rows(service.sql)
    problems += [f"rows of {table} changed" for table in before if before[table] != after[table]]
    assert not problems, "\n".join(problems)


def test_a_body_that_is_no_json_object_is_refused(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    for operation in WITH_BODY:
        optional = not operation.raw["requestBody"].get("required")
        for name, raw in {**NOT_JSON, **NO_OBJECT}.items():
            if optional and name in {"empty", "null"}:
                continue  # an operation whose fields are all optional takes no body for none of them
            answer = client_of(operation, service)(operation.method, own.filled(operation.path), raw=raw)
            if not refused(answer, 400, 422):
                problems.append(f"{operation}, {name}: {answer.status} {answer.body}")
    unchanged(service, before, problems)


def test_values_that_cannot_be_stored_are_refused_wherever_they_stand(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    for operation in WITH_BODY:
        for where, raw, name in bad_bodies(operation):
            answer = client_of(operation, service)(operation.method, own.filled(operation.path), raw=raw)
            if not refused(answer, 400, 413, 422):
                problems.append(f"{operation}, {name} in {where}: {answer.status} {str(answer.body)[:300]}")
    unchanged(service, before, problems)


def bad_bodies(operation: Operation) -> Iterator[tuple[str, str, str]]:
    body = operation.examples[0]
    for name, value in VALUES.items():
        for where in (*body, "not_a_field"):
            yield where, text_with(body, where, value), name


def test_unknown_fields_and_duplicate_ones_are_refused_with_their_path(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    for operation in WITH_BODY:
        body, path = operation.examples[0], own.filled(operation.path)
        call = client_of(operation, service)
        unknown = call(operation.method, path, {**body, "tiemout": 1})
        if not refused(unknown, 422) or "tiemout" not in str(unknown.body["error"]["details"]):
            problems.append(f"{operation}, unknown field: {unknown.status} {unknown.body}")
        for name in body:
            twice = json.dumps(body)[:-1] + f", {json.dumps(name)}: 1}}"
            answer = call(operation.method, path, raw=twice)
            if not refused(answer, 400, 422):
                problems.append(f"{operation}, {name} twice: {answer.status} {answer.body}")
    unchanged(service, before, problems)


def test_a_body_of_another_kind_or_size_is_refused(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    for operation in WITH_BODY:
        body, path = json.dumps(operation.examples[0]), own.filled(operation.path)
        call = client_of(operation, service)
        kinds = {
            "text/plain": 415,
            "application/x-www-form-urlencoded": 415,
            "multipart/form-data; boundary=x": 415,
            "application/xml": 415,
            "application/jsonp": 415,
            "": 415,
            "nothing of the kind": 415,
        }
        for kind, status in kinds.items():
            answer = call(operation.method, path, raw=body, headers={"content-type": kind})
            if not refused(answer, status):
                problems.append(f"{operation}, {kind!r}: {answer.status} {answer.body}")
        for encoding in ("gzip", "br", "deflate", "gzip, identity"):
            answer = call(operation.method, path, raw=body, headers={**JSON, "content-encoding": encoding})
            if not refused(answer, 415):
                problems.append(f"{operation}, {encoding}: {answer.status} {answer.body}")
        answer = call(operation.method, path, LARGE)
        if not refused(answer, 413):
            problems.append(f"{operation}, too large: {answer.status} {str(answer.body)[:300]}")
    unchanged(service, before, problems)


def test_bytes_that_are_no_text_are_refused(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    bodies = {
        "gzip": gzip.compress(b'{"name": "n"}'),
        "a gzip bomb": gzip.compress(b"0" * 10_000_000),
        "latin-1": '{"name": "é"}'.encode("latin-1"),
        "utf-16": '{"name": "n"}'.encode("utf-16"),
        "an encoded surrogate": b'{"name": "\xed\xa0\x80"}',
        "an overlong NUL": b'{"name": "\xc0\x80"}',
        "cut": '{"name": "é'.encode()[:-1],
    }
    for operation in WITH_BODY:
        for name, raw in bodies.items():
            answer = client_of(operation, service)(operation.method, own.filled(operation.path), raw=raw)
            if not refused(answer, 400, 413):
                problems.append(f"{operation}, {name}: {answer.status} {answer.body}")
    unchanged(service, before, problems)


def test_query_parameters_that_cannot_be_are_refused_with_their_name(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    wrong = ["%00", "a%00b", "x" * 5000, "%F0%9F%92%A9" * 300, "%FF", "'", "[]", "-1", "1e400", "9" * 400]
    for operation in OPERATIONS:
        path = own.filled(operation.path)
        for name in operation.names("query"):
            for value in wrong:
                answer = client_of(operation, service)(
                    operation.method, f"{path}?{name}={value}", example(operation)
                )
                if not (refused(answer, 400, 422) or empty(answer)):
                    problems.append(f"{operation}, {name}={value[:20]}: {answer.status} {str(answer.body)[:200]}")
            again = client_of(operation, service)(
                operation.method, f"{path}?{name}=%2C&{name}=,", example(operation)
            )
            if not (refused(again, 400, 422) or empty(again)):
                problems.append(f"{operation}, {name} twice: {again.status} {str(again.body)[:200]}")
    unchanged(service, before, problems)


def example(operation: Operation) -> Any:
    return operation.examples[0] if operation.examples else None


def empty(answer: Answer) -> bool:
    """A text that may be searched for and is nowhere finds nothing."""
    return bool(answer.status == 200 and isinstance(answer.body, dict) and answer.body.get("data") == [])


def test_ids_in_paths_that_cannot_be_are_not_found(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    wrong = [
        *("%00", "a%00b", "a%2Fb", "..", "%2E%2E%2F", "x" * 3000, "%FF%FE", "-1", "1", "null", "*", "' OR 1=1 --"),
        *("💩", "é" * 300, "%ED%A0%80", "00000000-0000-0000-0000-000000000000", "{01a1f8df}", "%20", "%25", "%3F"),
        "urn:uuid:01a1f8df-c445-7d27-83ba-de6472adf856",
    ]
    for operation in OPERATIONS:
        for name in operation.names("path"):
            for value in wrong:
                ids = own.ids | {name: value if "%" in value else quote(value, safe="*'{}:")}
                path = operation.path.format(**ids)
                answer = client_of(operation, service)(operation.method, path, example(operation))
                if not refused(answer, 400, 404, 405, 422):
                    problems.append(f"{operation}, {name}={value[:20]}: {answer.status} {str(answer.body)[:200]}")
    unchanged(service, before, problems)


def test_headers_that_cannot_be_are_refused(service: Service, own: Things) -> None:
    before, problems = rows(service.sql), []
    for operation in OPERATIONS:
        path, call = own.filled(operation.path), client_of(operation, service)
        for name, values in {
            "Idempotency-Key": ["", " ", "a b", "x" * 256, "é", "a\x00b"],
            "If-Match": ["", "3", '"', 'W/3"', '"a" "b"', "é"],
        }.items():
            if name not in operation.names("header"):
                continue
            for value in values:
                answer = call(operation.method, path, example(operation), headers={name.lower(): value})
                if not refused(answer, 400):
                    problems.append(f"{operation}, {name}: {value!r}: {answer.status} {str(answer.body)[:200]}")
    unchanged(service, before, problems)


def test_a_correlation_id_that_cannot_be_is_replaced(service: Service) -> None:
    for value in ("", "a b", "x" * 129, "é", "a\x00b", "a\r\nb: c"):
        answer = Wire(service.client.key)("GET", "/v1/webhooks", headers={"hookline-correlation-id": value})
        assert answer.status == 200
        assert answer.headers["hookline-correlation-id"] not in {value, ""}
