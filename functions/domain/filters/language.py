"""From JSON to conditions: what a filter may say, and what is wrong with one that says something else.

An object holds either fields of the value it stands at or operators on it; and, or and not may stand among both.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any, get_args

from functions.domain.filters import paths
from functions.domain.filters.conditions import (
    Affix,
    Both,
    Condition,
    Either,
    Elements,
    Exists,
    Field,
    Not,
    Operator,
    Order,
    Path,
    Quantifier,
    Test,
    clauses,
    comparisons_an_element,
)
from functions.domain.filters.values import is_number, number

MAX_BYTES = 16 << 10  # of the whole filter, as compact UTF-8 JSON
MAX_DEPTH = 16  # levels of objects and lists, the filter itself the first
MAX_CLAUSES = 100  # operators and implicit equalities
MAX_COMPARISONS = 50  # of each element of an array: an event may hold 131,000 of them
MAX_LIST = 200  # values of in and nin
MAX_TEXT = 1024  # characters of a text to compare with
MAX_SEARCHED = 256  # characters of one to search for: Postgres makes a regular expression of it
MAX_DIGITS = 1024  # of a number written out

COMBINATORS = ("and", "or", "not")
OPERATORS = (*get_args(Operator), "exists", *get_args(Quantifier))
KNOWN = {name.replace("_", ""): name for name in (*OPERATORS, *COMBINATORS)}


class FilterError(ValueError):
    """What is wrong with a filter: `path` from its top (`customer.amount.gt`, empty for the whole), `message`."""

    def __init__(self, where: Path, message: str) -> None:
        self.where = where
        self.path = ".".join(str(part) for part in where)
        self.message = message
        super().__init__(f"{self.path}: {message}" if where else message)


@dataclass(frozen=True)
class _Place:
    """Where the reader is: the keys above, and what stands between here and the value."""

    where: Path = ()
    optional: bool = False  # the value is a field's and may be missing
    negated: bool = False

    def at(self, key: str | int) -> "_Place":
        return replace(self, where=(*self.where, key))

    def error(self, message: str) -> FilterError:
        return FilterError(self.where, message)


def read(filter: object) -> Condition:
    """The filter as a condition on an event's data. Raises FilterError."""
    place = _Place()
    if not isinstance(filter, dict):
        raise place.error("must be an object")
    _check_tree(filter, place)
    size = len(json.dumps(filter, ensure_ascii=False, separators=(",", ":"), default=str).encode())
    if size > MAX_BYTES:
        raise place.error(f"is {size} bytes; at most {MAX_BYTES} are allowed")
    condition = _object(filter, place)
    if (found := clauses(condition)) > MAX_CLAUSES:
        raise place.error(f"has {found} clauses; at most {MAX_CLAUSES} are allowed")
    if (found := comparisons_an_element(condition)) > MAX_COMPARISONS:
        raise place.error(
            f"compares each element of an array with {found} values; at most {MAX_COMPARISONS} are allowed"
            " within any, all and contains"
        )
    return condition


def _check_tree(value: object, place: _Place) -> None:
    """Depth before anything recurses further, and no text that Postgres cannot hold."""
    if isinstance(value, str):
        _check_text(value, place)
    if not isinstance(value, (dict, list)):
        return
    if len(place.where) >= MAX_DEPTH:
        raise place.error(f"is nested deeper than {MAX_DEPTH} levels")
    if isinstance(value, dict):
        for key in value:
            _check_text(key, place)
    members = value.items() if isinstance(value, dict) else enumerate(value)
    for position, one in members:
        _check_tree(one, place.at(position))


def _check_text(text: str, place: _Place) -> None:
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise place.error("holds a NUL character or a lone surrogate")


def _condition(value: object, place: _Place) -> Condition:
    """An object is looked into; anything else is what the value must equal."""
    return _object(value, place) if isinstance(value, dict) else Test("eq", _literal(value, place))


def _object(members: dict[str, Any], place: _Place) -> Condition:
    if not members:
        raise place.error('must hold a condition; an object without fields is asked for by {"eq": {}}')
    operator = next((key for key in members if key in OPERATORS), None)
    field = next((key for key in members if key not in OPERATORS and key not in COMBINATORS), None)
    if operator is not None and field is not None:
        raise place.at(field).error(
            f"stands beside the operator {operator} and is none; a field named {operator} is written \\{operator}"
        )
    return _all_of(tuple(_member(key, value, place.at(key)) for key, value in members.items()))


def _member(key: str, value: object, place: _Place) -> Condition:
    reader = READERS.get(key)
    if reader is not None:
        return reader(key, value, place)
    return Field(_path(key, place), _condition(value, _Place(place.where, optional=True)))


def _path(key: str, place: _Place) -> Path:
    if key.startswith("$"):
        raise place.error(f"begins with $, as no operator does; a field of this name is written \\{key}")
    if (meant := KNOWN.get(key.lower().replace("_", ""))) is not None:
        raise place.error(f"is spelled {meant} if it is the operator; a field of this name is written \\{key}")
    try:
        return paths.parse(key)
    except ValueError as error:
        raise place.error(str(error)) from None


def _conjunction(key: str, value: object, place: _Place) -> Condition:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_CLAUSES:
        raise place.error(f"must be a list of 1 to {MAX_CLAUSES} conditions")
    conditions = tuple(_condition(one, place.at(position)) for position, one in enumerate(value))
    return _all_of(conditions) if key == "and" else Either(conditions)


def _all_of(conditions: tuple[Condition, ...]) -> Condition:
    return conditions[0] if len(conditions) == 1 else Both(conditions)


def _negation(_key: str, value: object, place: _Place) -> Condition:
    return Not(_condition(value, replace(place, negated=True)))


def _equality(key: Any, value: object, place: _Place) -> Condition:
    return Test(key, _literal(value, place))


def _ordering(key: Any, value: object, place: _Place) -> Condition:
    if not isinstance(value, str) and not is_number(value):
        raise place.error("must be a number or a text")
    return Test(key, _literal(value, place))


def _membership(key: Any, value: object, place: _Place) -> Condition:
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_LIST:
        raise place.error(f"must be a list of 1 to {MAX_LIST} values")
    return Test(key, tuple(_literal(one, place.at(position)) for position, one in enumerate(value)))


def _affix(key: Any, value: object, place: _Place) -> Condition:
    if not isinstance(value, str):
        raise place.error("must be a text")
    return Test(key, _searched(value, place))


def _containing(key: Any, value: object, place: _Place) -> Condition:
    return Test(key, _searched(value, place) if isinstance(value, str) else _literal(value, place))


def _presence(_key: str, value: object, place: _Place) -> Condition:
    if not isinstance(value, bool):
        raise place.error("must be true or false")
    if place.negated:
        raise place.error("cannot stand directly within not; turn round what it says instead")
    if not place.optional:
        raise place.error("asks for a field and stands beneath its path; a field named exists is written \\exists")
    return Exists(value)


def _elements(key: Any, value: object, place: _Place) -> Condition:
    return Elements(key, _condition(value, _Place(place.where, optional=True)))


READERS: dict[str, Callable[[Any, object, _Place], Condition]] = {
    **dict.fromkeys(("and", "or"), _conjunction),
    "not": _negation,
    **dict.fromkeys(("eq", "ne"), _equality),
    **dict.fromkeys(get_args(Order), _ordering),
    **dict.fromkeys(("in", "nin"), _membership),
    **dict.fromkeys(get_args(Affix), _affix),
    "contains": _containing,
    "exists": _presence,
    **dict.fromkeys(get_args(Quantifier), _elements),
}


def _literal(value: object, place: _Place) -> Any:
    """The value, with its numbers exact. Raises FilterError."""
    if is_number(value):
        return _number(number(value), place)
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise place.error(f"must be a text of at most {MAX_TEXT} characters")
    if isinstance(value, list):
        return [_literal(one, place.at(position)) for position, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: _literal(one, place.at(key)) for key, one in value.items()}
    if value is not None and not isinstance(value, (str, bool)):
        raise place.error("must be a JSON value")
    return value


def _number(value: Decimal, place: _Place) -> Decimal:
    exponent = value.as_tuple().exponent
    if not isinstance(exponent, int) or max(value.adjusted(), 0) + 1 + max(-exponent, 0) > MAX_DIGITS:
        raise place.error(f"must be a number of at most {MAX_DIGITS} digits, written out")
    return value


def _searched(value: str, place: _Place) -> str:
    if len(value) > MAX_SEARCHED:
        raise place.error(f"must be a text of at most {MAX_SEARCHED} characters")
    return value
