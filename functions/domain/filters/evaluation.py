"""Whether data matches a filter, and in plain words why not: the answer is the compiled filter's in Postgres."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import ge, gt, le, lt
from typing import Any

from functions.domain.filters.language import (
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
    read,
    spelled,
)
from functions.domain.filters.values import equal, is_number, kind, number

MISSING = object()  # what a path leads to that leads nowhere
ORDERS: dict[str, Callable[[Any, Any], bool]] = {"gt": gt, "gte": ge, "lt": lt, "lte": le}
SIGNS = {
    "eq": "",
    "ne": "not ",
    "gt": "> ",
    "gte": ">= ",
    "lt": "< ",
    "lte": "<= ",
    "in": "one of ",
    "nin": "none of ",
}
SHOWN = 80  # characters of a value in a reason
MAX_REASONS = 20


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
    reasons = _against(read(filter), data, ())
    return [reason for _, reason in zip(range(MAX_REASONS), reasons, strict=False)]


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
    elif isinstance(condition, Either):
        for one in condition.conditions:
            yield from _against(one, value, path)
    elif isinstance(condition, Field):
        yield from _against_field(condition, value, path)
    else:
        yield Reason(spelled(path), _sentence(condition, value, spelled(path) or "the data"))


def _against_field(field: Field, value: Any, path: Path) -> Iterator[Reason]:
    whole = (*path, *field.path)
    found = _at(value, field.path)
    if found is MISSING and not isinstance(field.condition, Field | Both | Either):
        yield Reason(spelled(whole), _absence(value, path, field.path))
    else:
        yield from _against(field.condition, found, whole)


def _absence(value: Any, above: Path, path: Path) -> str:
    """That the path leads nowhere, and where it ends for a reason that is easily overlooked."""
    name = spelled((*above, *path))
    for length in range(1, len(path)):
        reached = _at(value, path[:length])
        if isinstance(reached, list) and isinstance(path[length], str):
            return f"{name} is missing: {spelled((*above, *path[:length]))} is an array; use any, all or an index"
    return f"{name} is missing"


def _sentence(condition: Condition, value: Any, name: str) -> str:
    if value is MISSING:
        return f"{name} is missing"
    if isinstance(condition, Exists):
        return f"{name} is there, wanted it missing"
    if isinstance(condition, Not):
        return f"{name} is {_shown(value)}, which is what the filter excludes by not"
    if isinstance(condition, Elements):
        return _of_elements(condition, value, name)
    if isinstance(condition, Test):
        return f"{name} is {_shown(value)}, wanted {_wanted(condition)}{_mismatch(condition, value)}"
    raise AssertionError(condition)


def _of_elements(elements: Elements, value: Any, name: str) -> str:
    if not isinstance(value, list):
        return f"{name} is {kind(value)}, wanted an array"
    if elements.which == "any":
        return f"{name} has {len(value)} elements, and none of them matches"
    failing = next(n for n, one in enumerate(value) if not _meets(elements.condition, one))
    because = next(_against(elements.condition, value[failing], (failing,)), None)
    return f"element {failing} of {name} does not match" + (f": {because.message}" if because else "")


def _wanted(test: Test) -> str:
    operand = list(test.operand) if isinstance(test.operand, tuple) else test.operand
    return SIGNS.get(test.operator, test.operator.replace("_", " ") + " ") + _shown(operand)


def _mismatch(test: Test, value: Any) -> str:
    """Types are never coerced: said where that is what went wrong."""
    operand = test.operand
    if test.operator in {"eq", *ORDERS} and kind(value) != kind(operand):
        return f": {kind(value)} is not {kind(operand)}"
    return ""


def _shown(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=_plain)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def _plain(value: Any) -> int | float:
    """A Decimal as JSON writes it, near enough to be read."""
    return int(value) if value == value.to_integral_value() else float(value)
