"""Reading the fields of a request's JSON body."""

from collections.abc import Mapping
from typing import Any

from local.sqs.errors import SERIALIZATION, SqsError, invalid_value, missing_parameter

Fields = Mapping[str, Any]


def text(fields: Fields, name: str) -> str:
    """A required string. Raises SqsError if it is absent, empty or no string."""
    if not (value := optional_text(fields, name)):
        raise missing_parameter(name)
    return value


def optional_text(fields: Fields, name: str) -> str | None:
    value: str | None = _typed(fields, name, str)
    return value


def number(fields: Fields, name: str, low: int, high: int, reason: str) -> int | None:
    """An optional integer between `low` and `high`. Raises SqsError with `reason` outside of them."""
    value: int | None = _typed(fields, name, int)
    if value is not None and not low <= value <= high:
        raise invalid_value(name, value, reason)
    return value


def texts(fields: Fields, name: str) -> list[str]:
    """An optional list of strings."""
    values = _typed(fields, name, list) or []
    return [_checked(name, value, str) for value in values]


def objects(fields: Fields, name: str) -> list[Fields]:
    """An optional list of objects."""
    values = _typed(fields, name, list) or []
    return [_checked(name, value, dict) for value in values]


def mapping(fields: Fields, name: str, kind: type) -> dict[str, Any]:
    """An optional object whose values are all of one kind."""
    found: dict[str, Any] = _typed(fields, name, dict) or {}
    for key, value in found.items():
        _checked(f"{name}.{key}", value, kind)
    return found


def _typed(fields: Fields, name: str, kind: type) -> Any:
    value = fields.get(name)
    return None if value is None else _checked(name, value, kind)


def _checked(name: str, value: Any, kind: type) -> Any:
    if not isinstance(value, kind) or isinstance(value, bool):
        raise SqsError(SERIALIZATION, f"{name} is not of the expected type.")
    return value
