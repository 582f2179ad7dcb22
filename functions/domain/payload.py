"""Strict JSON: what a request body may be before a byte of it reaches Postgres.

The body itself goes to Postgres as it came; this parse only decides whether it may. So a number keeps every
digit the caller wrote, and what Postgres would refuse or blow up gets a 4xx with a reason.
"""

import json
from collections.abc import Iterator
from typing import Any

from functions.errors import BadRequest, Detail, Invalid, PayloadTooLarge

MAX_BODY_BYTES = 1 << 20  # 1 MiB a request
MAX_DATA_BYTES = 256 << 10  # 256 KiB for one event's data, as compact UTF-8 JSON
MAX_DEPTH = 64
MAX_DOUBLE_DIGITS = 309  # digits of the largest IEEE 754 double, 1.8e308
MAX_NUMBER_BYTES = 1024  # one number's text


def parse(body: str) -> Any:
    """The parsed body. Raises BadRequest, Invalid or PayloadTooLarge, each saying where and why."""
    written_out = _Numbers()
    try:
        value = json.loads(
            body,
            parse_constant=_refuse_constant,
            parse_float=written_out.decimal,
            parse_int=written_out.integer,
            object_pairs_hook=_object,
        )
    except json.JSONDecodeError as error:
        raise BadRequest(
            f"the body is not JSON: {error.msg} at line {error.lineno} column {error.colno}"
        ) from None
    except RecursionError:
        raise _too_deep() from None
    if body.count("{") + body.count("[") > MAX_DEPTH or "\\u" in body or "\x00" in body:
        _check_tree(value)
    return value


def size(data: object) -> int:
    """Bytes of a value as compact UTF-8 JSON."""
    return len(json.dumps(data, ensure_ascii=False, separators=(",", ":"), default=str).encode())


class _Numbers:
    """Postgres writes numbers out in full (`1e308` is 309 digits): what they add is bounded as a whole."""

    def __init__(self) -> None:
        self.added = 0

    def integer(self, text: str) -> int:
        if len(text) > MAX_DOUBLE_DIGITS + 1:
            raise _number(text)
        return int(text)

    def decimal(self, text: str) -> float:
        mantissa, _, exponent = text.lower().partition("e")
        magnitude = _magnitude(exponent)
        value = float(text)
        if len(text) > MAX_NUMBER_BYTES or magnitude > MAX_NUMBER_BYTES or value in _INFINITE:
            raise _number(text)
        if value == 0.0 and magnitude and any(digit in "123456789" for digit in mantissa):
            raise _number(text)
        self.added += magnitude
        if self.added > MAX_DATA_BYTES:
            raise PayloadTooLarge(f"the numbers in the body, written out in full, exceed {MAX_DATA_BYTES} bytes")
        return value


_INFINITE = (float("inf"), float("-inf"))


def _magnitude(exponent: str) -> int:
    """How many digits an exponent adds; one of more than six digits is as good as infinite."""
    digits = exponent.lstrip("+-").lstrip("0")
    return int(digits or "0") if len(digits) <= 6 else 10**6


def _refuse_constant(name: str) -> None:
    raise BadRequest(f"the body is not JSON: {name} is not a number JSON knows")


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise Invalid(
            "an object in the body has the same key twice", details=(Detail(twice[:100], "is there twice"),)
        )
    return made


def _check_tree(value: object) -> None:
    for path, depth, text in _walk(value):
        if depth > MAX_DEPTH:
            raise _too_deep()
        if "\x00" in text:
            raise Invalid("a string in the body holds a NUL character", details=(Detail(path, "holds \\u0000"),))
        if not _encodes(text):
            raise Invalid("a string in the body is not Unicode", details=(Detail(path, "holds a lone surrogate"),))


def _walk(root: object) -> Iterator[tuple[str, int, str]]:
    """(path, depth, string) of every key and string, and of every container with an empty string."""
    stack: list[tuple[str, int, object]] = [("", 0, root)]
    while stack:
        path, depth, value = stack.pop()
        if isinstance(value, str):
            yield path, depth, value
        elif isinstance(value, dict):
            yield path, depth + 1, ""
            for name, item in value.items():
                yield path, depth + 1, name
                stack.append((f"{path}.{name}".lstrip(".")[:200], depth + 1, item))
        elif isinstance(value, list):
            yield path, depth + 1, ""
            stack.extend((f"{path}.{n}".lstrip(".")[:200], depth + 1, item) for n, item in enumerate(value))


def _encodes(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _too_deep() -> Invalid:
    return Invalid(f"the body is nested deeper than {MAX_DEPTH} levels")


def _number(text: str) -> Invalid:
    return Invalid(
        "a number in the body is out of range",
        details=(Detail("", f"{text[:40]} does not fit a 64-bit float"),),
    )
