"""The registry of event types: names, schemas, versions, examples."""

from collections.abc import Callable
from typing import Any

import pytest

from tests.integration.conftest import Answer, Client, Service

NewProject = Callable[..., tuple[str, Client]]
DIALECT = "https://json-schema.org/draft/2020-12/schema"
INVOICE = {
    "type": "object",
    "properties": {"amount": {"type": "number", "minimum": 0}, "customer": {"$ref": "#/$defs/customer"}},
    "required": ["amount"],
    "$defs": {"customer": {"type": "object", "properties": {"name": {"type": "string"}}}},
}


CHAIN = {
    "$defs": {"link": {"type": "object", "properties": {"next": {"$ref": "#/$defs/link"}}}},
    "$ref": "#/$defs/link",
}


def register(service: Service, **values: Any) -> Answer:
    return service.client("POST", "/v1/event-types", {"name": "invoice.paid", **values})


def change(service: Service, body: dict[str, Any], **headers: str) -> Answer:
    return service.client("PATCH", "/v1/event-types/invoice.paid", body, headers=headers)


def details(answer: Answer) -> dict[str, str]:
    return {one["path"]: one["message"] for one in answer.body["error"]["details"]}


def audited(service: Service) -> list[tuple[str, str]]:
    rows = service.sql.run(
        "SELECT event, level FROM webhook.audit_log WHERE resource_type = 'event_type' ORDER BY id"
    )
    return [(event, level) for event, level in rows]


def test_an_event_type_is_registered_with_its_schema_and_examples(service: Service) -> None:
    examples = [{"amount": 1}, {"amount": 0.5, "customer": {"name": "Acme"}}]
    made = register(service, description="An invoice was paid", schema=INVOICE, examples=examples)
    assert made.status == 201, made.body
    assert made.headers["etag"] == '"1"'
    shown = service.client("GET", "/v1/event-types/invoice.paid")
    assert (shown.status, shown.body, shown.headers["etag"]) == (200, made.body, '"1"')
    wanted = {
        "name": "invoice.paid",
        "description": "An invoice was paid",
        "schema": INVOICE,
        "examples": examples,
        "schema_version": 1,
        "has_schema": True,
        "archived": False,
        "archived_at": None,
    }
    assert {name: made.body[name] for name in wanted} == wanted
    assert audited(service) == [("event_type.created", "info")]


def test_a_name_alone_is_enough_and_there_is_one_of_it(service: Service) -> None:
    made = register(service)
    assert (made.status, made.body["schema"], made.body["examples"]) == (201, None, [])
    assert (made.body["schema_version"], made.body["has_schema"]) == (0, False)
    assert register(service).status == 409
    assert service.client("GET", "/v1/event-types/invoice.paid/versions").body["data"] == []


def test_registering_again_under_the_same_idempotency_key_answers_alike(service: Service) -> None:
    body = {"name": "a", "schema": INVOICE}
    first, again = (
        service.client("POST", "/v1/event-types", body, headers={"idempotency-key": "k"}) for _ in range(2)
    )
    assert (first.status, again.status) == (201, 201)
    assert (first.body, first.headers["etag"]) == (again.body, again.headers["etag"])


def test_true_and_false_are_schemas_too(service: Service) -> None:
    assert register(service, schema=True, examples=[1, None]).status == 201
    refused = change(service, {"schema": False})
    assert refused.status == 422
    assert details(refused) == {"examples.0": "is not allowed", "examples.1": "is not allowed"}
    assert change(service, {"schema": False, "examples": []}).body["schema"] is False


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"name": ""},
        {"name": "a b"},
        {"name": "invoice.*"},
        {"name": "hookline.test"},
        {"name": "x" * 256},
        {"name": 1},
        {"name": "a", "description": 1},
        {"name": "a", "schema": []},
        {"name": "a", "schema": "x"},
        {"name": "a", "schema": 1},
        {"name": "a", "examples": None},
        {"name": "a", "examples": {}},
        {"name": "a", "examples": [1] * 21},
        {"name": "a", "examples": ["x" * (64 << 10)]},
        {"name": "a", "archived": True},
        {"name": "a", "version": 2},
    ],
)
def test_bad_input_is_422_and_leaves_nothing(service: Service, body: dict[str, Any]) -> None:
    assert service.client("POST", "/v1/event-types", body).status == 422
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_event_types") == [[0]]


def nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"items": schema}
    return schema


def doubled(times: int) -> dict[str, Any]:
    """Each definition asks the one before it twice: 2^times of one value."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, times):
        definitions[f"d{n}"] = {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/d{times - 1}"}


def circle(*names: str) -> dict[str, Any]:
    following = (*names[1:], names[0])
    definitions = {name: {"$ref": f"#/$defs/{next_}"} for name, next_ in zip(names, following, strict=True)}
    return {"$defs": definitions, "$ref": f"#/$defs/{names[0]}"}


@pytest.mark.parametrize(
    ("schema", "path", "said"),
    [
        ({"$schema": "http://json-schema.org/draft-07/schema#"}, "schema.$schema", DIALECT),
        ({"$schema": 5}, "schema.$schema", DIALECT),
        ({"items": {"$schema": DIALECT}}, "schema.items.$schema", "root only"),
        ({"items": {"$id": "https://example.com/x"}}, "schema.items.$id", "root only"),
        ({"type": "strin"}, "schema.type", "name of a type"),
        ({"properties": {"a": {"minimum": "x"}}}, "schema.properties.a.minimum", "number"),
        ({"properties": {"a": {"pattern": "("}}}, "schema.properties.a.pattern", "regular expression"),
        ({"properties": {"a": {"pattern": "(?=a)b"}}}, "schema.properties.a.pattern", "look-around"),
        ({"pattern": r"(a)\1"}, "schema.pattern", "back-references"),
        ({"pattern": "(?:a{1,99}){1,99}b"}, "schema.pattern", "not too large"),
        ({"patternProperties": {"[": {}}}, "schema.patternProperties.[", "regular expression"),
        ({"$ref": "https://example.com/schema.json"}, "schema.$ref", "nothing outside"),
        ({"$ref": "file:///etc/passwd"}, "schema.$ref", "nothing outside"),
        ({"$ref": "other.json#/a"}, "schema.$ref", "nothing outside"),
        ({"$ref": DIALECT}, "schema.$ref", "nothing outside"),
        ({"allOf": [{"$dynamicRef": "//x/y"}]}, "schema.allOf.0.$dynamicRef", "nothing outside"),
        ({"$ref": "#/$defs/none"}, "schema.$ref", "names no subschema"),
        ({"$ref": "#none"}, "schema.$ref", "names no subschema"),
        ({"$ref": "#/properties/a/type", "properties": {"a": {"type": "string"}}}, "schema.$ref", "no subschema"),
        ({"$ref": "#"}, "schema", "without end"),
        (circle("a", "b", "c"), "schema.$defs.a", "without end"),
        ({"$defs": {"a": {"$anchor": "x"}, "b": {"$anchor": "x"}}}, "schema.$defs.b.$anchor", "twice"),
        (nested(40), "schema", "deeper"),
        ({"allOf": [{}] * 1001}, "schema", "1002 subschemas"),
        ({"allOf": [{"pattern": "a"}] * 101}, "schema", "100 regular expressions"),
        (doubled(20), "schema", "too complex"),
        ({"description": "x" * (64 << 10)}, "schema", "bytes"),
    ],
)
def test_a_schema_that_cannot_be_used_is_422_with_its_path(
    service: Service, schema: Any, path: str, said: str
) -> None:
    refused = register(service, schema=schema)
    assert refused.status == 422
    [(where, why)] = details(refused).items()
    assert where == path
    assert said in why
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_event_types") == [[0]]


@pytest.mark.parametrize(
    ("schema", "fits", "does_not"),
    [
        ({"$schema": DIALECT, "$id": "https://example.com/invoice", "type": "integer"}, 1.0, 1.5),
        (CHAIN, {"next": {"next": {}}}, {"next": {"next": 1}}),
        ({"$anchor": "x", "type": ["object", "null"], "items": {"$ref": "#x"}}, None, 1),
        ({"$dynamicAnchor": "x", "items": {"$dynamicRef": "#x"}, "type": "array"}, [[], [[]]], [[1]]),
        ({"definitions": {"a/b~c": {"const": 1}}, "$ref": "#/definitions/a~1b~0c"}, 1, 2),
        ({"type": "string", "pattern": "^[A-Z]{2}[0-9]{6}$"}, "DE123456", "DE12"),
        ({"prefixItems": [{"type": "string"}], "items": False}, ["a"], ["a", 1]),
        ({"unevaluatedProperties": False, "allOf": [{"properties": {"a": {}}}]}, {"a": 1}, {"b": 1}),
        ({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}, {"$ref": "x"}, {"$ref": 1}),
        ({"format": "email", "type": "string"}, "no address, and that is not asked", 1),
    ],
)
def test_a_schema_of_the_standard_is_taken_and_its_examples_are_held_to_it(
    service: Service, schema: Any, fits: Any, does_not: Any
) -> None:
    refused = register(service, schema=schema, examples=[fits, does_not])
    assert refused.status == 422
    assert all(path.startswith("examples.1") for path in details(refused))
    assert register(service, schema=schema, examples=[fits]).status == 201


def test_every_failing_path_of_an_example_is_told(service: Service) -> None:
    refused = register(service, schema=INVOICE, examples=[{"amount": -1, "customer": {"name": 5}}, {}])
    assert details(refused) == {
        "examples.0.amount": "is less than the minimum of 0",
        "examples.0.customer.name": 'is not of type "string"',
        "examples.1.amount": "is required",
    }


def test_another_schema_or_other_examples_are_a_new_version(service: Service) -> None:
    register(service, schema=INVOICE, examples=[{"amount": 1}])
    assert change(service, {"schema": INVOICE, "examples": [{"amount": 1.0}]}).body["schema_version"] == 1
    assert change(service, {"description": "x"}).body["schema_version"] == 1
    assert change(service, {"examples": [{"amount": 2}]}).body["schema_version"] == 2
    third = change(service, {"schema": {"type": "object"}})
    assert (third.body["schema_version"], third.body["examples"]) == (3, [{"amount": 2}])
    none = change(service, {"schema": None})
    assert (none.body["schema_version"], none.body["schema"], none.body["has_schema"]) == (4, None, False)
    versions = service.client("GET", "/v1/event-types/invoice.paid/versions").body["data"]
    assert [(one["version"], one["schema"]) for one in versions] == [
        (4, None),
        (3, {"type": "object"}),
        (2, INVOICE),
        (1, INVOICE),
    ]
    assert [one["examples"] for one in versions] == [[{"amount": 2}]] * 3 + [[{"amount": 1}]]


def test_versions_are_read_page_by_page(service: Service) -> None:
    register(service, examples=[0])
    for n in range(1, 12):
        assert change(service, {"examples": [n]}).status == 200
    path = "/v1/event-types/invoice.paid/versions"
    first = service.client("GET", path).body
    rest = service.client("GET", f"{path}?cursor={first['next_cursor']}").body
    numbers = [one["version"] for one in first["data"] + rest["data"]]
    assert (numbers, rest["next_cursor"]) == (list(range(12, 0, -1)), None)
    for query in ("limit=0", "limit=11", "cursor=x", "cursor=1234567890"):
        assert service.client("GET", f"{path}?{query}").status == 422


def test_examples_that_stay_must_fit_a_new_schema(service: Service) -> None:
    register(service, examples=[{"amount": "1"}])
    refused = change(service, {"schema": INVOICE})
    assert details(refused) == {"examples.0.amount": 'is not of type "number"'}
    assert service.client("GET", "/v1/event-types/invoice.paid").body["schema"] is None
    assert change(service, {"schema": INVOICE, "examples": [{"amount": 1}]}).status == 200


@pytest.mark.parametrize(
    "body",
    [{}, {"examples": None}, {"archived": None}, {"archived": "yes"}, {"name": "b"}, {"schema": 1}, {"x": 1}],
)
def test_a_change_that_says_nothing_or_nonsense_is_422(service: Service, body: dict[str, Any]) -> None:
    register(service, schema=INVOICE)
    assert change(service, body).status == 422
    assert audited(service) == [("event_type.created", "info")]


def test_null_clears_the_description(service: Service) -> None:
    register(service, description="x")
    assert change(service, {"description": None}).body["description"] is None


def test_an_archived_type_is_out_of_the_list_and_comes_back(service: Service) -> None:
    register(service)
    assert service.client("DELETE", "/v1/event-types/invoice.paid").status == 204
    assert service.client("DELETE", "/v1/event-types/invoice.paid").status == 204, "it is archived"
    assert service.client("GET", "/v1/event-types").body["data"] == []
    (listed,) = service.client("GET", "/v1/event-types?archived=true").body["data"]
    assert listed["archived"] is True
    assert listed["archived_at"] is not None
    assert register(service).status == 409, "the name is still its"
    back = change(service, {"archived": False})
    assert (back.body["archived"], back.body["archived_at"]) == (False, None)
    assert len(service.client("GET", "/v1/event-types").body["data"]) == 1
    assert change(service, {"archived": True}).body["archived"] is True
    assert audited(service) == [
        ("event_type.created", "info"),
        ("event_type.archived", "warning"),
        ("event_type.updated", "info"),
        ("event_type.archived", "warning"),
    ]


def test_the_etag_is_honoured(service: Service) -> None:
    register(service)
    assert change(service, {"description": "a"}, **{"if-match": '"1"'}).headers["etag"] == '"2"'
    assert change(service, {"description": "b"}, **{"if-match": '"1"'}).status == 412
    stale = service.client("DELETE", "/v1/event-types/invoice.paid", headers={"if-match": '"1"'})
    assert stale.status == 412
    assert service.client("GET", "/v1/event-types/invoice.paid").body["description"] == "a"
    current = service.client("DELETE", "/v1/event-types/invoice.paid", headers={"if-match": '"2"'})
    assert current.status == 204


def test_lists_page_newest_first_without_schemas(service: Service) -> None:
    for n in range(5):
        service.client("POST", "/v1/event-types", {"name": f"t{n}", "schema": INVOICE})
    first = service.client("GET", "/v1/event-types?limit=3").body
    rest = service.client("GET", f"/v1/event-types?limit=3&cursor={first['next_cursor']}").body
    assert [one["name"] for one in first["data"] + rest["data"]] == ["t4", "t3", "t2", "t1", "t0"]
    assert rest["next_cursor"] is None
    assert all(one["has_schema"] and "schema" not in one for one in first["data"])


@pytest.mark.parametrize("name", ["none", "a b", "invoice.", "x" * 300])
def test_an_unknown_name_is_404(service: Service, name: str) -> None:
    register(service)
    path = f"/v1/event-types/{name}"
    assert service.client("GET", path).status == 404
    assert service.client("GET", f"{path}/versions").status == 404
    assert service.client("PATCH", path, {"description": "x"}).status == 404
    assert service.client("DELETE", path).status == 404


def test_another_project_has_its_own_types(service: Service, new_project: NewProject) -> None:
    register(service, schema=INVOICE)
    _, other = new_project()
    assert other("GET", "/v1/event-types/invoice.paid").status == 404
    assert other("GET", "/v1/event-types?archived=true").body["data"] == []
    assert other("PATCH", "/v1/event-types/invoice.paid", {"archived": True}).status == 404
    assert other("POST", "/v1/event-types", {"name": "invoice.paid"}).status == 201


def test_a_key_bound_to_an_application_reads_and_does_not_write(service: Service) -> None:
    register(service)
    bound = service.key(application_id=service.application()["id"])
    assert bound("GET", "/v1/event-types/invoice.paid").status == 200
    assert len(bound("GET", "/v1/event-types").body["data"]) == 1
    assert bound("POST", "/v1/event-types", {"name": "b"}).status == 403
    assert bound("PATCH", "/v1/event-types/invoice.paid", {"description": "x"}).status == 403
    assert bound("DELETE", "/v1/event-types/invoice.paid").status == 403


def test_scopes_are_asked_for(service: Service) -> None:
    reader, sender = service.key("webhooks:read"), service.key("events:write")
    assert reader("POST", "/v1/event-types", {"name": "a"}).status == 403
    assert reader("GET", "/v1/event-types").status == 200
    assert sender("GET", "/v1/event-types").status == 403
