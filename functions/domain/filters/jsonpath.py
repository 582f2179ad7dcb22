"""From conditions to a Postgres jsonpath predicate, for `data @@ filter_path`.

Strict mode, so that nothing is unwrapped and what is missing is an error; and errors are kept where they belong:
`exists(@.path ? (…))` is unknown when the path leads nowhere, which counts as no wherever it stands, and
`!exists(@ ? (…))` turns round exactly what is not true, unknown included. The whole stands in such an exists, so
the answer is never NULL.
"""

import json
import re
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
from functions.domain.filters.values import is_number

ORDERS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def compile_filter(filter: object) -> str:
    """The filter as a jsonpath predicate that is true of the data that matches, else false. Raises FilterError."""
    return f"strict exists($ ? ({_compiled(read(filter))}))"


def _compiled(condition: Condition) -> str:
    """A predicate on `@`, the value the condition stands at. What it is not true of does not match."""
    if isinstance(condition, Test):
        return _test(condition)
    if isinstance(condition, Field):
        return _field(condition)
    if isinstance(condition, Elements):
        return _elements(condition)
    if isinstance(condition, Not):
        return _not(_compiled(condition.condition))
    if isinstance(condition, Exists):
        return "exists(@)" if condition.wanted else "!exists(@)"
    return _joined(condition)


def _joined(condition: Both | Either) -> str:
    """Regular expressions last: compiling one costs Postgres as much as twenty other tests, and it stops early."""
    sign = " && " if isinstance(condition, Both) else " || "
    compiled = [f"({_compiled(one)})" for one in condition.conditions]
    return sign.join(sorted(compiled, key=lambda one: "like_regex" in one))


def _field(field: Field) -> str:
    path, condition = _path(field.path), field.condition
    if condition == Exists(True):
        return f"exists({path})"
    if condition == Exists(False):
        return f"(exists({path})) is unknown"
    found = f"exists({path} ? ({_compiled(condition)}))"
    return f"({found} || (exists({path})) is unknown)" if missing_meets(condition) else found


def _elements(elements: Elements) -> str:
    inner = _compiled(elements.condition)
    if elements.which == "any":
        return f"exists(@[*] ? ({inner}))"
    return f"!exists(@[*] ? ({_not(inner)}))"


def _not(predicate: str) -> str:
    return f"!exists(@ ? ({predicate}))"


def _test(test: Test) -> str:
    operator, operand = test.operator, test.operand
    if operator == "eq":
        return _equal("@", operand)
    if operator == "ne":
        return _not(_equal("@", operand))
    if operator == "in":
        return _one_of(operand)
    if operator == "nin":
        return _not(_one_of(operand))
    if operator in ORDERS:
        return f"@ {ORDERS[operator]} {_scalar(operand)}"
    return _search(test)


def _search(test: Test) -> str:
    if test.operator == "starts_with":
        return f"@ starts with {_text(test.operand)}"
    if test.operator == "ends_with":
        return f"@ like_regex {_text(_literal_regex(test.operand) + '$')}"
    member = f"exists(@[*] ? ({_equal('@', test.operand)}))"
    if not isinstance(test.operand, str):
        return member
    return f"({_substring(test.operand)} || {member})"


def _substring(text: str) -> str:
    """Flag q makes every character stand for itself; an empty expression is not one."""
    return f'@ like_regex {_text(text)} flag "q"' if text else '@.type() == "string"'


def _literal_regex(text: str) -> str:
    """Only ASCII punctuation means anything in a regular expression that has no letters behind backslashes."""
    return re.sub(r"([!-/:-@\[-`{-~])", r"\\\1", text)


def _one_of(values: tuple[Any, ...]) -> str:
    return "(" + " || ".join(_equal("@", value) for value in values) + ")"


def _equal(value: str, wanted: Any) -> str:
    """jsonpath compares scalars only, so arrays and objects are compared piece by piece."""
    if isinstance(wanted, (list, dict)):
        pieces = _array(wanted) if isinstance(wanted, list) else _object(wanted)
        inner = " && ".join(pieces)
        return f"({inner})" if value == "@" else f"exists({value} ? ({inner}))"
    return f"{value} == {_scalar(wanted)}"


def _array(wanted: list[Any]) -> list[str]:
    elements = [_equal(f"@[{position}]", one) for position, one in enumerate(wanted)]
    return ['@.type() == "array"', f"@.size() == {len(wanted)}", *elements]


def _object(wanted: dict[str, Any]) -> list[str]:
    """Every key as wanted, and no other key."""
    members = [_equal(f"@.{_text(key)}", one) for key, one in wanted.items()]
    others = " && ".join(f"@.key != {_text(key)}" for key in wanted)
    no_others = f"!exists(@.keyvalue() ? ({others}))" if wanted else "!exists(@.keyvalue())"
    return ['@.type() == "object"', *members, no_others]


def _path(path: Path) -> str:
    return "@" + "".join(f"[{part}]" if isinstance(part, int) else f".{_text(part)}" for part in path)


def _scalar(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if is_number(value) else _text(value)


def _text(text: str) -> str:
    """A jsonpath text literal: the escapes of JSON are among its own."""
    return json.dumps(text, ensure_ascii=False)
