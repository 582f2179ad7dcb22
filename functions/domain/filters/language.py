"""From JSON to conditions: what a filter may say, and what is wrong with one that says something else.

A condition stands at a value: the data itself at the top of the filter, a field's value beneath a path, an
element beneath any or all. An object there holds either fields of the value or operators on it; and, or and not
may stand among both.
"""

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal, TypeAlias, get_args

from functions.domain.filters.values import is_number, number

MAX_BYTES = 16 << 10  # of the whole filter, as compact UTF-8 JSON
MAX_CLAUSES = 100  # operators and implicit equalities
MAX_DEPTH = 16  # levels of objects and lists, the filter itself the first
MAX_PATH = 512  # characters of a path, as written
MAX_SEGMENTS = 16
MAX_INDEX = 999_999  # more elements than an event's 256 KiB can hold
MAX_LIST = 200  # values of in and nin, conditions of and and or
MAX_TEXT = 1024  # characters of a text to compare with
MAX_SEARCHED = 256  # characters of one to search for: Postgres makes a regular expression of it
MAX_DIGITS = 1024  # of a number written out

Order = Literal["gt", "gte", "lt", "lte"]
Affix = Literal["starts_with", "ends_with"]
Operator = Literal["eq", "ne", "gt", "gte", "lt", "lte", "in", "nin", "starts_with", "ends_with", "contains"]
Quantifier = Literal["any", "all"]

COMBINATORS = ("and", "or", "not")
OPERATORS = (*get_args(Operator), "exists", *get_args(Quantifier))
RESERVED = {name.replace("_", ""): name for name in (*OPERATORS, *COMBINATORS)}
INDEX = re.compile(r"0|[1-9][0-9]*")
SEGMENT = re.compile(r"(?:[^.\\]|\\.)*", re.DOTALL)

Path: TypeAlias = tuple[str | int, ...]


class FilterError(ValueError):
    """What is wrong with a filter: `path` from its top (`customer.amount.gt`, empty for the whole), `message`."""

    def __init__(self, where: tuple[str | int, ...], message: str) -> None:
        self.where = where
        self.path = ".".join(str(part) for part in where)
        self.message = message
        super().__init__(f"{self.path}: {message}" if where else message)


@dataclass(frozen=True)
class Test:
    """A comparison of the value with an operand."""

    operator: Operator
    operand: Any


@dataclass(frozen=True)
class Exists:
    wanted: bool


@dataclass(frozen=True)
class Elements:
    """The value is an array, and any or all of its elements meet the condition."""

    which: Quantifier
    condition: "Condition"


@dataclass(frozen=True)
class Field:
    """What the path leads to from the value meets the condition. Names are texts, array indexes integers."""

    path: Path
    condition: "Condition"


@dataclass(frozen=True)
class Both:
    """Every one of the conditions."""

    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Either:
    conditions: tuple["Condition", ...]


@dataclass(frozen=True)
class Not:
    """The value is there and does not meet the condition."""

    condition: "Condition"


Condition: TypeAlias = Test | Exists | Elements | Field | Both | Either | Not


@dataclass(frozen=True)
class _Place:
    """Where the reader is: the keys above, the levels, whether `exists` means something here."""

    where: tuple[str | int, ...] = ()
    optional: bool = False  # the value may be missing, and no `not` is between it and here
    negated: bool = False

    def at(self, key: str | int) -> "_Place":
        return _Place((*self.where, key), self.optional, self.negated)

    def error(self, message: str) -> FilterError:
        return FilterError(self.where, message)


def read(filter: object) -> Condition:
    """The filter as a condition on an event's data. Raises FilterError."""
    place = _Place()
    if not isinstance(filter, dict):
        raise place.error("must be an object")
    _check_texts(filter, place)
    _check_size(filter)
    condition = _object(filter, place)
    if (clauses := _count(condition)) > MAX_CLAUSES:
        raise place.error(f"has {clauses} clauses; at most {MAX_CLAUSES} are allowed")
    return condition


def missing_meets(condition: Condition) -> bool:
    """Whether a value that is not there meets the condition: only where `exists: false` says so."""
    if isinstance(condition, Exists):
        return not condition.wanted
    if isinstance(condition, Both):
        return all(missing_meets(one) for one in condition.conditions)
    if isinstance(condition, Either):
        return any(missing_meets(one) for one in condition.conditions)
    return isinstance(condition, Field) and missing_meets(condition.condition)


def spelled(path: Path) -> str:
    """A path as a filter spells it."""
    return ".".join(str(part) if isinstance(part, int) else _escaped(part) for part in path)


def _condition(value: object, place: _Place) -> Condition:
    """An object is looked into; anything else is what the value must equal."""
    if isinstance(value, dict):
        return _object(value, place)
    return Test("eq", _literal(value, place))


def _object(members: dict[str, Any], place: _Place) -> Condition:
    if not members:
        raise place.error('must hold a condition; for an object without fields write {"eq": {}}')
    operators = [key for key in members if key in OPERATORS]
    fields = [key for key in members if key not in OPERATORS and key not in COMBINATORS]
    if operators and fields:
        raise place.at(fields[0]).error(
            f"stands beside the operator {operators[0]} and is none itself; a field named {operators[0]}"
            f" is written \\{operators[0]}"
        )
    return _all_of(tuple(_member(key, value, place.at(key)) for key, value in members.items()))


def _member(key: str, value: object, place: _Place) -> Condition:
    if key in COMBINATORS:
        return _combined(key, value, place)
    if key in OPERATORS:
        return READERS[key](key, value, place)
    path = _path(key, place)
    return Field(path, _condition(value, _Place(place.where, optional=True)))


def _combined(key: str, value: object, place: _Place) -> Condition:
    if key == "not":
        return Not(_condition(value, _Place(place.where, place.optional, negated=True)))
    if not isinstance(value, list) or not 1 <= len(value) <= MAX_LIST:
        raise place.error(f"must be a list of 1 to {MAX_LIST} conditions")
    conditions = tuple(_condition(one, place.at(position)) for position, one in enumerate(value))
    return _all_of(conditions) if key == "and" else Either(conditions)


def _all_of(conditions: tuple[Condition, ...]) -> Condition:
    return conditions[0] if len(conditions) == 1 else Both(conditions)


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
        raise place.error(
            f"cannot stand within not, which needs the value; write exists: {str(not value).lower()}"
        )
    if not place.optional:
        raise place.error("asks for a field and must stand beneath one; a field named exists is written \\exists")
    return Exists(value)


def _elements(key: Any, value: object, place: _Place) -> Condition:
    return Elements(key, _condition(value, _Place(place.where, optional=True)))


READERS: dict[str, Callable[[Any, object, _Place], Condition]] = {
    **dict.fromkeys(("eq", "ne"), _equality),
    **dict.fromkeys(get_args(Order), _ordering),
    **dict.fromkeys(("in", "nin"), _membership),
    **dict.fromkeys(get_args(Affix), _affix),
    **dict.fromkeys(get_args(Quantifier), _elements),
    "contains": _containing,
    "exists": _presence,
}


def _literal(value: object, place: _Place) -> Any:
    """The value, with its numbers exact. Raises FilterError for what no JSON value of an event can equal."""
    if isinstance(value, str) and len(value) > MAX_TEXT:
        raise place.error(f"must be a text of at most {MAX_TEXT} characters")
    if is_number(value):
        return _number(value, place)
    if isinstance(value, list):
        return [_literal(one, place.at(position)) for position, one in enumerate(value)]
    if isinstance(value, dict):
        return {key: _literal(one, place.at(key)) for key, one in value.items()}
    if value is None or isinstance(value, (str, bool)):
        return value
    raise place.error("must be a JSON value")


def _number(value: Any, place: _Place) -> Decimal:
    exact = number(value)
    if not exact.is_finite() or abs(exact.adjusted()) + len(exact.as_tuple().digits) > MAX_DIGITS:
        raise place.error(f"must be a number of at most {MAX_DIGITS} digits, written out")
    return exact


def _searched(value: str, place: _Place) -> str:
    if len(value) > MAX_SEARCHED:
        raise place.error(f"must be a text of at most {MAX_SEARCHED} characters")
    return value


def _path(key: str, place: _Place) -> Path:
    """`a.b\\.c.0` → ("a", "b.c", 0): a backslash makes the character after it an ordinary one."""
    if key.startswith("$"):
        raise place.error(f"begins with $, as no operator does; a field of this name is written \\{key}")
    if (meant := RESERVED.get(key.lower().replace("_", ""))) is not None:
        raise place.error(f"is spelled {meant} as an operator; a field of this name is written \\{key}")
    if len(key) > MAX_PATH:
        raise place.error(f"is a path of more than {MAX_PATH} characters")
    segments = _segments(key, place)
    if len(segments) > MAX_SEGMENTS:
        raise place.error(f"is a path of more than {MAX_SEGMENTS} parts")
    return tuple(_segment(text, place) for text in segments)


def _segments(key: str, place: _Place) -> list[str]:
    segments, position = [], 0
    while True:
        found = SEGMENT.match(key, position)
        assert found is not None  # noqa: S101 - the pattern matches nothing, too
        segments.append(found[0])
        if found.end() == len(key):
            return segments
        if key[found.end()] == "\\":
            raise place.error("ends with a backslash; a backslash itself is written twice")
        position = found.end() + 1


def _segment(text: str, place: _Place) -> str | int:
    if not text:
        raise place.error("is a path with an empty part")
    if INDEX.fullmatch(text):
        if len(text) > len(str(MAX_INDEX)):
            raise place.error(f"has an array index over {MAX_INDEX}; a field of digits is written \\{text}")
        return int(text)
    return re.sub(r"\\(.)", r"\1", text, flags=re.DOTALL)


def _escaped(name: str) -> str:
    text = re.sub(r"([.\\])", r"\\\1", name)
    plain = INDEX.fullmatch(text) is None and text.lower().replace("_", "") not in RESERVED
    return text if plain and not text.startswith("$") else "\\" + text


def _count(condition: Condition) -> int:
    if isinstance(condition, Both | Either):
        return sum(_count(one) for one in condition.conditions)
    return 1 if isinstance(condition, Test | Exists) else _count(condition.condition)


def _check_texts(value: object, place: _Place) -> None:
    """Depth before anything recurses further, and no text that Postgres cannot hold."""
    if isinstance(value, str) and not _storable(value):
        raise place.error("holds a NUL character or is not Unicode")
    if not isinstance(value, (dict, list)):
        return
    if len(place.where) >= MAX_DEPTH:
        raise place.error(f"is nested deeper than {MAX_DEPTH} levels")
    for key, one in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(value, dict) and (not isinstance(key, str) or not _storable(key)):
            raise place.error("has a key that holds a NUL character or is not Unicode")
        _check_texts(one, place.at(key))


def _storable(text: str) -> bool:
    return "\x00" not in text and not any("\ud800" <= character <= "\udfff" for character in text)


def _check_size(filter: dict[str, Any]) -> None:
    size = len(json.dumps(filter, ensure_ascii=False, separators=(",", ":"), default=str).encode())
    if size > MAX_BYTES:
        raise FilterError((), f"is {size} bytes; at most {MAX_BYTES} are allowed")
