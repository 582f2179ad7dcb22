"""The filter language: what it accepts, what matches, what it says of what does not."""

import json
import re
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from functions.domain.filters import FilterError, compile_filter, explain, matches
from functions.domain.filters.language import COMBINATORS, OPERATORS
from tests.unit.domain.filter_cases import EVENT, ROWS, TABLES
from tests.unit.domain.filter_vectors import VECTORS, Vector

DOCUMENTATION = (Path(__file__).parents[3] / "docs/filters.md").read_text()


@pytest.mark.parametrize("table", TABLES)
def test_every_row_of_the_tables_gets_its_answer(table: str) -> None:
    wrong = [
        (filter, data, wanted) for filter, data, wanted in TABLES[table] if matches(filter, data) is not wanted
    ]
    assert wrong == []


def test_what_does_not_match_has_reasons_and_what_matches_has_none() -> None:
    assert [row for row in ROWS if (explain(row[0], row[1]) == []) is not row[2]] == []


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: f"{vector.peer} {vector.written}")
def test_what_peers_document_is_the_same_here_or_differs_as_documented(vector: Vector) -> None:
    if vector.ours is None:
        with pytest.raises(FilterError):
            compile_filter(vector.filter)
    else:
        assert matches(vector.filter, vector.data) is vector.ours
    assert bool(vector.why) is (vector.theirs is not vector.ours)
    assert vector.why in DOCUMENTATION


def problem(filter: Any) -> tuple[str, str]:
    with pytest.raises(FilterError) as caught:
        compile_filter(filter)
    return caught.value.path, caught.value.message


@pytest.mark.parametrize(
    ("filter", "path", "message"),
    [
        (None, "", "must be an object"),
        ([{"a": 1}], "", "must be an object"),
        ({}, "", 'must hold a condition; an object without fields is asked for by {"eq": {}}'),
        ({"a": {}}, "a", 'must hold a condition; an object without fields is asked for by {"eq": {}}'),
        ({"a": {"gt": None}}, "a.gt", "must be a number or a text"),
        ({"a": {"gt": True}}, "a.gt", "must be a number or a text"),
        ({"a": {"lte": [1]}}, "a.lte", "must be a number or a text"),
        ({"customer.amount": {"gt": {}}}, "customer.amount.gt", "must be a number or a text"),
        ({"a": {"in": []}}, "a.in", "must be a list of 1 to 200 values"),
        ({"a": {"in": 5}}, "a.in", "must be a list of 1 to 200 values"),
        ({"a": {"nin": [0] * 201}}, "a.nin", "must be a list of 1 to 200 values"),
        ({"a": {"starts_with": 5}}, "a.starts_with", "must be a text"),
        ({"a": {"ends_with": ["x"]}}, "a.ends_with", "must be a text"),
        ({"a": {"ends_with": "x" * 257}}, "a.ends_with", "must be a text of at most 256 characters"),
        ({"a": {"contains": "x" * 257}}, "a.contains", "must be a text of at most 256 characters"),
        ({"a": {"exists": None}}, "a.exists", "must be true or false"),
        ({"a": {"exists": 1}}, "a.exists", "must be true or false"),
        ({"and": {}}, "and", "must be a list of 1 to 100 conditions"),
        ({"or": []}, "or", "must be a list of 1 to 100 conditions"),
        ({"or": [{"a": 1}, {"b": {"gt": []}}]}, "or.1.b.gt", "must be a number or a text"),
        ({"not": {"a": {"any": {"in": 1}}}}, "not.a.any.in", "must be a list of 1 to 200 values"),
        ({"a": "x" * 1025}, "a", "must be a text of at most 1024 characters"),
        ({"a": {"in": [1, "x" * 1025]}}, "a.in.1", "must be a text of at most 1024 characters"),
        ({"a": {"eq": {"b": ["x" * 1025]}}}, "a.eq.b.0", "must be a text of at most 1024 characters"),
        ({"a": 10**1024}, "a", "must be a number of at most 1024 digits, written out"),
        ({"a": Decimal("1E-1025")}, "a", "must be a number of at most 1024 digits, written out"),
        ({"a": float("nan")}, "a", "must be a number of at most 1024 digits, written out"),
        ({"a": object()}, "a", "must be a JSON value"),
        ({"a": "\x00"}, "a", "holds a NUL character or a lone surrogate"),
        ({"\ud800": 1}, "", "holds a NUL character or a lone surrogate"),
        ({"a..b": 1}, "a..b", "is a path with an empty part"),
        ({"": 1}, "", "is a path with an empty part"),
        ({"a.": 1}, "a.", "is a path with an empty part"),
        ({"a\\": 1}, "a\\", "ends with a backslash; the backslash itself is written twice"),
        ({"x" * 513: 1}, "x" * 513, "is a path of more than 512 characters"),
        ({"1234567": 1}, "1234567", "has an index over 999999; a field named 1234567 is written \\1234567"),
        (
            {"a": {"$gt": 1}},
            "a.$gt",
            "begins with $, as no operator does; a field of this name is written \\$gt",
        ),
        (
            {"a": {"startsWith": "x"}},
            "a.startsWith",
            "is spelled starts_with if it is the operator; a field of this name is written \\startsWith",
        ),
        ({"OR": []}, "OR", "is spelled or if it is the operator; a field of this name is written \\OR"),
        (
            {"a": {"gt": 1, "b": 2}},
            "a.b",
            "stands beside the operator gt and is none; a field named gt is written \\gt",
        ),
        (
            {"a": {"not": {"exists": True}}},
            "a.not.exists",
            "cannot stand directly within not; turn round what it says instead",
        ),
        (
            {"a": {"not": {"or": [1, {"exists": True}]}}},
            "a.not.or.1.exists",
            "cannot stand directly within not; turn round what it says instead",
        ),
        (
            {"exists": True},
            "exists",
            "asks for a field and stands beneath its path; a field named exists is written \\exists",
        ),
    ],
)
def test_what_is_wrong_is_said_at_its_path(filter: Any, path: str, message: str) -> None:
    assert problem(filter) == (path, message)


def nested(levels: int) -> dict[str, Any]:
    filter: dict[str, Any] = {"a": 1}
    for _ in range(levels - 1):
        filter = {"not": filter}
    return filter


def test_a_filter_has_its_bounds() -> None:
    assert compile_filter(nested(16))
    assert problem(nested(17)) == (".".join(["not"] * 16), "is nested deeper than 16 levels")
    assert compile_filter({f"f{n}": n for n in range(100)})
    assert problem({f"f{n}": n for n in range(101)}) == ("", "has 101 clauses; at most 100 are allowed")
    large = {f"f{n}": "é" * 500 for n in range(16)}
    assert compile_filter({**large, "rest": "x" * 200})
    assert problem({**large, "rest": "x" * 400}) == ("", "is 16545 bytes; at most 16384 are allowed")
    assert compile_filter({".".join("a" * 16): 1})
    assert problem({".".join("a" * 17): 1})[1] == "is a path of more than 16 parts"


@pytest.mark.parametrize(
    ("within", "more"),
    [
        ({"a": {"any": {"in": [0] * 50}}}, {"a": {"any": {"in": [0] * 51}}}),
        ({"a": {"all": {"b": {"or": [1] * 50}}}}, {"a": {"all": {"b": {"or": [1] * 51}}}}),
        ({"a": {"contains": [0] * 50}}, {"a": {"contains": [0] * 51}}),
        ({"or": [{"a": {"contains": 1}}] * 50}, {"or": [{"a": {"contains": 1}}] * 51}),
        (
            {"a": {"any": {"any": {"eq": {"x": [[], {}, 1] * 16, "y": 1, "z": []}}}}},
            {"a": {"any": {"eq": [0] * 51}}},
        ),
    ],
)
def test_each_element_of_an_array_is_compared_with_at_most_fifty_values(within: Any, more: Any) -> None:
    assert compile_filter(within)
    assert problem(more)[1].startswith("compares each element of an array with 51 values")


def test_a_list_that_no_array_is_held_against_may_be_long() -> None:
    assert compile_filter({"a": {"in": list(range(200))}, "b": {"nin": list(range(200))}})


@pytest.mark.parametrize(
    ("filter", "path", "message"),
    [
        ({"amount": {"gt": 100}}, "amount", "amount is 50, wanted > 100"),
        ({"amount": {"lte": 10}}, "amount", "amount is 50, wanted <= 10"),
        ({"region": "EU"}, "region", 'region is "US", wanted "EU"'),
        ({"region": {"ne": "US"}}, "region", 'region is "US", wanted anything but "US"'),
        ({"region": {"in": ["EU", None]}}, "region", 'region is "US", wanted one of ["EU", null]'),
        ({"region": {"nin": ["US"]}}, "region", 'region is "US", wanted none of ["US"]'),
        ({"region": {"starts_with": "E"}}, "region", 'region is "US", wanted a text that starts with "E"'),
        ({"region": {"ends_with": "E"}}, "region", 'region is "US", wanted a text that ends with "E"'),
        (
            {"tags": {"contains": "x"}},
            "tags",
            'tags is ["urgent", "vip"], wanted a text or an array that contains "x"',
        ),
        ({"amount": "50"}, "amount", 'amount is 50, wanted "50": a number is not a text'),
        ({"paid": 1}, "paid", "paid is true, wanted 1: a boolean is not a number"),
        ({"note": {"gt": 1}}, "note", "note is null, wanted > 1: null is not a number"),
        (
            {"tags": "vip"},
            "tags",
            'tags is ["urgent", "vip"], wanted "vip": an array is not a text;'
            " ask for its elements by any, all or contains",
        ),
        ({"missing": {"ne": 1}}, "missing", "missing is missing"),
        ({"customer.missing": 1}, "customer.missing", "customer.missing is missing"),
        ({"customer": {"missing": {"x": 1}}}, "customer.missing.x", "customer.missing.x is missing"),
        ({"note": {"exists": False}}, "note", "note is null, wanted it missing"),
        ({"items.sku": "x"}, "items.sku", "items is an array: ask for its elements by any, all or an index"),
        ({"items": {"sku": "x"}}, "items.sku", "items is an array: ask for its elements by any, all or an index"),
        ({"items": {"any": {"sku": "x"}}}, "items", "items has no element that matches, of 2"),
        (
            {"items": {"all": {"qty": {"lt": 3}}}},
            "items",
            "an element of items does not match: items.1.qty is 5, wanted < 3",
        ),
        ({"region": {"any": "US"}}, "region", 'region is "US", wanted an array'),
        ({"items.9.sku": "x"}, "items.9.sku", "items.9.sku is missing"),
        ({"not": {"region": "US"}}, "", 'region is "US", which a not excludes'),
        ({"not": {"region": "US", "amount": 50}}, "", "the data meets what a not excludes"),
        ({"not": {"missing": {"exists": False}}}, "", "missing meets what a not excludes"),
        ({"amount": {"not": {"gt": 10}}}, "amount", "amount is 50, which a not excludes"),
        (
            {"or": [{"region": "EU"}, {"vip": True}]},
            "",
            'nothing of an or matches: region is "US", wanted "EU"; vip is missing',
        ),
        ({"gt\\.x": 1}, "gt\\.x", "gt\\.x is missing"),
        ({"\\0": 1}, "\\0", '\\0 is "zero", wanted 1: a text is not a number'),
    ],
)
def test_a_reason_names_the_place_and_what_was_wanted(filter: Any, path: str, message: str) -> None:
    assert [(one.path, one.message) for one in explain(filter, EVENT)] == [(path, message)]


def test_every_condition_that_fails_is_told_once() -> None:
    reasons = explain({"amount": {"gt": 60, "lt": 10}, "region": "US", "x": {"gt": 1, "lt": 2}}, EVENT)
    assert [one.message for one in reasons] == [
        "amount is 50, wanted > 60",
        "amount is 50, wanted < 10",
        "x is missing",
    ]


def test_reasons_are_bounded_in_number_and_length() -> None:
    reasons = explain({f"f{n}": n for n in range(100)}, {})
    assert len(reasons) == 20
    (one,) = explain({"a": "y"}, {"a": "x" * 10_000})
    assert len(one.message) < 200


@pytest.mark.parametrize("value", [50, 50.0, Decimal("50.00")])
def test_numbers_are_compared_by_their_value_whatever_holds_them(value: Any) -> None:
    for filter in ({"n": 50}, {"n": Decimal(50)}, {"n": {"lte": 50.0}}, {"n": {"in": [50]}}):
        assert matches(filter, {"n": value})


def test_a_float_is_the_number_that_its_json_says() -> None:
    assert matches({"n": 0.1}, {"n": Decimal("0.1")})
    assert not matches({"n": {"gt": 0.1}}, {"n": Decimal("0.1")})
    assert matches({"n": {"gt": 0.3}}, {"n": Decimal("0.3000000000000000000001")})


def documented_rows() -> list[tuple[Any, Any, bool]]:
    """Of the tables in docs/filters.md: filter, data, whether it matches."""
    found = []
    for line in DOCUMENTATION.splitlines():
        if re.match(r"^\|.*`\{.*`", line) and not line.startswith("| filter |"):
            cells = [re.fullmatch(r"`([{\[][^`]*[}\]])`", cell.strip()) for cell in line.strip("|").split(" | ")]
            values = [json.loads(cell[1]) for cell in cells[-3:] if cell]
            if len(values) == 3:
                found += [(values[0], values[1], True), (values[0], values[2], False)]
    return found


def test_the_examples_of_the_manual_are_true() -> None:
    rows = documented_rows()
    assert len(rows) > 50
    assert [row for row in rows if matches(row[0], row[1]) is not row[2]] == []


def test_every_operator_has_its_example_in_the_manual() -> None:
    text = json.dumps([row[0] for row in documented_rows()])
    assert [name for name in (*OPERATORS, *COMBINATORS) if f'"{name}"' not in text] == []


def test_the_manual_tells_missing_fields_as_they_are() -> None:
    lines = DOCUMENTATION.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith('| filter | `{"status": "open"}`'))
    samples = [json.loads(cell.strip(" `")) for cell in lines[at].strip("|").split("|")[1:]]
    for line in lines[at + 2 : at + 6]:
        filter, *answers = (cell.strip(" `") for cell in line.strip("|").split("|"))
        assert [matches(json.loads(filter), data) for data in samples] == [one == "yes" for one in answers]
