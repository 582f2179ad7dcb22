"""What a schema may cost, by what it is; tests/integration/test_validation.py holds events to schemas."""

import time
from typing import Any

import pytest

from functions.domain.json_schema import Check, SchemaError, compile_schema
from functions.domain.json_schema.checking import MAX_FAILURES, measure
from functions.domain.json_schema.load import MAX_HEIGHT


def doubled(times: int) -> dict[str, Any]:
    """Each definition asks the one before it twice: 2^times of one value."""
    definitions: dict[str, Any] = {"d0": {"type": "string"}}
    for n in range(1, times):
        definitions[f"d{n}"] = {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
    return {"$defs": definitions, "$ref": f"#/$defs/d{times - 1}"}


def descending(times: int, *, back: bool = False) -> dict[str, Any]:
    """The same, one level deeper in the data each time; `back` to the first at the end."""
    definitions: dict[str, Any] = {
        "d0": {"properties": {"x": {"$ref": "#/$defs/d" + str(times - 1)}}} if back else {}
    }
    for n in range(1, times):
        twice = {"anyOf": [{"$ref": f"#/$defs/d{n - 1}"}] * 2}
        definitions[f"d{n}"] = {"properties": {"x": twice}, "type": "object"}
    return {"$defs": definitions, "$ref": f"#/$defs/d{times - 1}"}


def remembering(times: int) -> dict[str, Any]:
    """`unevaluatedProperties` at every level, which asks what stands beside it again."""
    schema: dict[str, Any] = {"properties": {"a": True}}
    for _ in range(times):
        schema = {"anyOf": [schema], "unevaluatedProperties": False}
    return schema


TREE = {
    "$defs": {"node": {"properties": {side: {"$ref": "#/$defs/node"} for side in ("left", "right")}}},
    "$ref": "#/$defs/node",
}
EITHER = {
    "$defs": {"a": {"properties": {"next": {"oneOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/a"}]}}}},
    "$ref": "#/$defs/a",
}


@pytest.mark.parametrize(
    ("schema", "asking"),
    [
        (True, 1),
        ({"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(100)}}, 1),
        ({"allOf": [{}] * 9}, 10),
        ({"items": {"allOf": [{}] * 9}}, 10),
        ({"properties": {"a": {"allOf": [{}] * 9}, "b": {"allOf": [{}] * 4}}}, 10),
        ({"patternProperties": {"^a": {"not": {}}, "b$": {"not": {}}}}, 4),
        ({"$defs": {"unused": {"allOf": [{}] * 99}}}, 1),
        (doubled(5), 2 + 4 + 8 + 16 + 32),
        (TREE, 4),
    ],
)
def test_the_load_is_what_one_value_is_asked_at_most(schema: Any, asking: int) -> None:
    assert compile_schema(schema).loads.asking == asking


@pytest.mark.parametrize(
    "schema",
    [doubled(14), descending(14), descending(14, back=True), remembering(9), {"allOf": [doubled(4)] * 900}],
)
def test_what_multiplies_too_far_is_refused_before_it_is_tried(schema: Any) -> None:
    started = time.process_time()
    with pytest.raises(SchemaError):
        compile_schema(schema)
    assert time.process_time() - started < 2


@pytest.mark.parametrize(
    "schema", [doubled(10), descending(10), descending(10, back=True), remembering(8), EITHER]
)
def test_what_is_taken_answers_soon(schema: Any) -> None:
    """The dearest that the bound lets through, asked of values that fail as late as can be."""
    compiled = compile_schema(schema)
    value: Any = 1
    for _ in range(60):
        value = {"x": value, "a": 1, "next": value}
        if len(str(value)) > 5_000:
            break
    started = time.process_time()
    for data in (value, 1, "x", {"a": 1}):
        compiled.validator.is_valid(data)
    assert time.process_time() - started < 2


def test_recursion_is_asked_once_for_a_value_and_listed_many_times() -> None:
    loads = compile_schema(EITHER).loads
    assert loads.asking < 20
    assert len(loads.listing) == MAX_HEIGHT + 1
    assert loads.listing[2] < loads.listing[20] < loads.listing[60]
    assert compile_schema(TREE).loads.listing[60] == compile_schema(TREE).loads.listing[2], "nothing multiplies"


def test_the_largest_schema_is_weighed_soon() -> None:
    """Every subschema refers to two others, in a circle through the data."""
    definitions = {
        f"d{n}": {"properties": {"x": {"$ref": f"#/$defs/d{(n * 7 + 1) % 240}"}}, "items": {"$ref": "#/$defs/d0"}}
        for n in range(240)
    }
    started = time.process_time()
    assert compile_schema({"$defs": definitions, "$ref": "#/$defs/d0"}).loads.asking < 1_000
    assert time.process_time() - started < 3


def test_data_is_measured_by_its_places_height_and_characters() -> None:
    measured = measure({"ab": ["c", {"d": None}], "e": 1})
    assert (measured.places, measured.height, measured.characters) == (6, 3, 5)
    assert measure("x").height == 0


def test_a_request_has_room_for_so_many_failures() -> None:
    schema = compile_schema({"items": {"type": "string"}})
    check = Check(body_size=1000)
    assert len(check.failures(schema, [1] * 30)) == 30
    assert not check.full
    assert len(check.failures(schema, [1] * 30)) == MAX_FAILURES - 30
    assert check.full


def test_after_too_long_the_rest_is_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("functions.domain.json_schema.checking.SECONDS", -1)
    (failure,) = Check(body_size=10).failures(compile_schema(True), 1)
    assert "not checked" in failure.message


def test_nothing_is_fetched(monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither by our rules nor by the validator's own: it is told to stay offline as well."""
    import jsonschema_rs

    seen: dict[str, Any] = {}
    real = jsonschema_rs.Draft202012Validator

    def spy(schema: Any, **options: Any) -> Any:
        seen.update(options)
        return real(schema, **options)

    monkeypatch.setattr(jsonschema_rs, "Draft202012Validator", spy)
    compile_schema({"type": "string"})
    assert seen["offline"] is True
    with pytest.raises(jsonschema_rs.ValidationError, match="Retrieval is disabled"):
        real({"$ref": "http://127.0.0.1:1/x"}, offline=True)
