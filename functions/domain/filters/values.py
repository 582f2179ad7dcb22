"""JSON values as jsonb compares them: by type and exactly, numbers by their value (1 is 1.0, true is not 1)."""

from decimal import Decimal
from typing import Any, TypeGuard

Number = int | float | Decimal


def is_number(value: object) -> TypeGuard[Number]:
    return isinstance(value, (int, float, Decimal)) and not isinstance(value, bool)


def number(value: Number) -> Decimal:
    """The number that JSON text of this value says: of a float its shortest form, not its binary expansion."""
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)


def equal(one: Any, other: Any) -> bool:
    """Deep equality; the order of an object's keys does not count."""
    if is_number(one) or is_number(other):
        return is_number(one) and is_number(other) and number(one) == number(other)
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(equal(value, other[key]) for key, value in one.items())
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(equal, one, other))
    return type(one) is type(other) and bool(one == other)


def kind(value: object) -> str:
    """The JSON type's name in plain words."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, str):
        return "a text"
    if isinstance(value, list):
        return "an array"
    return "an object" if isinstance(value, dict) else "a number"
