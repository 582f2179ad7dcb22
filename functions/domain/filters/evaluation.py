"""Whether data matches a filter, and in plain words why not: the answer is the compiled filter's in Postgres."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from decimal import Decimal
from itertools import islice
from operator import ge, gt, le, lt
from typing import Any

from functions.domain.filters.conditions import (
    Both,
    Condition,
    Either,
    Elements,
    Exists,
    Field,
    Not,
    Path,
    Test,
    missing_meets,
)
from functions.domain.filters.language import read
from functions.domain.filters.paths import spelled
from functions.domain.filters.values import equal, is_number, kind, number

MISSING = object()  # what a path leads to that leads nowhere
ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
WANTED = {
    "eq": "{}",
    "ne": "anything but {}",
    "gt": "> {}",
    "gte": ">= {}",
    "lt": "< {}",
    "lte": "<= {}",
    "in": "one of {}",
    "nin": "none of {}",
    "starts_with": "a text that starts with {}",
    "ends_with": "a text that ends with {}",
    "contains": "a text or an array that contains {}",
}
SHOWN = 80  # characters of a value in a reason
MAX_REASONS = 20
MAX_ALTERNATIVES = 5


@dataclass(frozen=True)
class Reason:
    """Why a filter does not match: the path in the data (empty for the whole) and a sentence."""

    path: str
    message: str


def matches(filter: object, data: object) -> bool:
    """Whether the data matches. Numbers may be int, float or Decimal. Raises FilterError."""
    return _meets(read(filter), data)


def explain(filter: object, data: object) -> list[Reason]:
    """Why the data does not match: empty when it does, else at most 20 reasons. Raises FilterError."""
    return list(dict.fromkeys(islice(_against(read(filter), data, ()), MAX_REASONS)))


def _meets(condition: Condition, value: Any) -> bool:
    return missing_meets(condition) if value is MISSING else MEETS[type(condition)](condition, value)


def _all(condition: Both, value: Any) -> bool:
    return all(_meets(one, value) for one in condition.conditions)


def _any(condition: Either, value: Any) -> bool:
    return any(_meets(one, value) for one in condition.conditions)


def _elements_meet(elements: Elements, value: Any) -> bool:
    if not isinstance(value, list):
        return False
    each = (_meets(elements.condition, one) for one in value)
    return any(each) if elements.which == "any" else all(each)


def _at(value: Any, path: Path) -> Any:
    """What the path leads to: names only through objects, indexes only through arrays."""
    for part in path:
        named = isinstance(part, str) and isinstance(value, dict) and part in value
        if not named and not (isinstance(part, int) and isinstance(value, list) and part < len(value)):
            return MISSING
        value = value[part]
    return value


def _passes(test: Test, value: Any) -> bool:
    operand = test.operand
    if test.operator in {"eq", "ne"}:
        return equal(value, operand) == (test.operator == "eq")
    if test.operator in {"in", "nin"}:
        return any(equal(value, one) for one in operand) == (test.operator == "in")
    if test.operator in ORDERS:
        return _ordered(test.operator, value, operand)
    if isinstance(value, list):
        return test.operator == "contains" and any(equal(one, operand) for one in value)
    return isinstance(value, str) and isinstance(operand, str) and _found(test.operator, value, operand)


def _ordered(order: str, value: Any, operand: Any) -> bool:
    if is_number(value) and is_number(operand):
        return ORDERS[order](number(value), operand)
    return isinstance(value, str) and isinstance(operand, str) and ORDERS[order](value, operand)


def _found(operator: str, text: str, wanted: str) -> bool:
    if operator == "starts_with":
        return text.startswith(wanted)
    return text.endswith(wanted) if operator == "ends_with" else wanted in text


MEETS: dict[type, Callable[[Any, Any], bool]] = {
    Test: _passes,
    Exists: lambda condition, _: condition.wanted,
    Elements: _elements_meet,
    Field: lambda condition, value: _meets(condition.condition, _at(value, condition.path)),
    Both: _all,
    Either: _any,
    Not: lambda condition, value: not _meets(condition.condition, value),
}


def _against(condition: Condition, value: Any, path: Path) -> Iterator[Reason]:
    """The reasons why the value does not meet the condition; none when it does."""
    if isinstance(condition, Both):
        for one in condition.conditions:
            yield from _against(one, value, path)
    elif _meets(condition, value):
        return
    elif isinstance(condition, Field):
        yield from _against_field(condition, value, path)
    elif value is MISSING:
        yield Reason(spelled(path), f"{spelled(path)} is missing")
    else:
        yield Reason(spelled(path), SENTENCES[type(condition)](condition, value, path))


def _against_field(field: Field, value: Any, path: Path) -> Iterator[Reason]:
    whole = (*path, *field.path)
    array = _array_on_the_way(value, field.path)
    if array is not None and not missing_meets(field.condition):
        name = _name((*path, *array))
        yield Reason(spelled(whole), f"{name} is an array: ask for its elements by any, all or an index")
    else:
        yield from _against(field.condition, _at(value, field.path), whole)


def _array_on_the_way(value: Any, path: Path) -> Path | None:
    """The part of the path that leads to an array where the next part is a name: easily overlooked."""
    for length, part in enumerate(path):
        if isinstance(part, str) and isinstance(_at(value, path[:length]), list):
            return path[:length]
    return None


def _of_test(test: Test, value: Any, path: Path) -> str:
    operand = list(test.operand) if isinstance(test.operand, tuple) else test.operand
    said = f"{_name(path)} is {_shown(value)}, wanted {WANTED[test.operator].format(_shown(operand))}"
    if test.operator not in {"eq", *ORDERS} or kind(value) == kind(operand):
        return said
    how = "; ask for its elements by any, all or contains" if isinstance(value, list) else ""
    return f"{said}: {kind(value)} is not {kind(operand)}{how}"


def _of_elements(elements: Elements, value: Any, path: Path) -> str:
    if not isinstance(value, list):
        return f"{_name(path)} is {_shown(value)}, wanted an array"
    if elements.which == "any":
        return f"{_name(path)} has no element that matches, of {len(value)}"
    failing = next(n for n, one in enumerate(value) if not _meets(elements.condition, one))
    because = next(_against(elements.condition, value[failing], (*path, failing)))
    return f"an element of {_name(path)} does not match: {because.message}"


def _of_either(either: Either, value: Any, path: Path) -> str:
    """One reason for them all: it is enough to mend one."""
    reasons = (reason.message for one in either.conditions for reason in _against(one, value, path))
    return "nothing of an or matches: " + "; ".join(dict.fromkeys(islice(reasons, MAX_ALTERNATIVES)))


def _of_not(negated: Not, value: Any, path: Path) -> str:
    """What is there that the filter excludes: of one field its value, of more that they meet it."""
    excluded = negated.condition
    while isinstance(excluded, Field):
        value, path, excluded = _at(value, excluded.path), (*path, *excluded.path), excluded.condition
    if isinstance(excluded, Both | Either | Not) or value is MISSING:
        return f"{_name(path)} meets what a not excludes"
    return f"{_name(path)} is {_shown(value)}, which a not excludes"


SENTENCES: dict[type, Callable[[Any, Any, Path], str]] = {
    Test: _of_test,
    Exists: lambda _condition, value, path: f"{_name(path)} is {_shown(value)}, wanted it missing",
    Elements: _of_elements,
    Either: _of_either,
    Not: _of_not,
}


def _name(path: Path) -> str:
    return spelled(path) or "the data"


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _plain(value: Decimal) -> int | float:
    """A Decimal as JSON writes it, near enough to be read."""
    return int(value) if value == value.to_integral_value() else float(value)
