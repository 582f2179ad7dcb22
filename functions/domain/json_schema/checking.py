"""Checking data: every path at which it does not fit, as far as that can be told in reasonable time."""

import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import islice
from operator import getitem
from typing import TYPE_CHECKING, Any

from functions.domain.json_schema.compiled import VALUE, Compiled

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError

MAX_FAILURES = 50  # of a request: what a person reads
MAX_MESSAGE = 500
# Measured at 0.1 µs for each subschema asked, 10 µs where a failure is written up, 20 µs at worst for a character
# that a regular expression is matched with (10 ns as a rule).
MAX_ASKED = 50_000_000
MAX_LISTED = 200_000
MAX_MATCHED = 1 << 20
SECONDS = 10  # for all events of a request, of the API's 29
UNCHECKED = "is too large or too deeply nested for the schema of its event type to be checked"
UNLISTED = "does not fit the schema of its event type; it is too large or too deeply nested to tell where"
TOO_LATE = "was not checked: the events before it took too long; send fewer at a time"


@dataclass(frozen=True)
class Failure:
    """One thing that does not fit: where in the data, and why."""

    path: tuple[str | int, ...]
    message: str


@dataclass(frozen=True)
class Measure:
    places: int  # values, whatever is in them
    height: int
    characters: int  # of strings and names


class Check:
    """What a request's data is checked with: it ends after so many failures, and after so much time."""

    def __init__(self, body_size: int) -> None:
        """`body_size`: characters of the request's body, which bound what its data can cost."""
        self._body_size = body_size
        self._until = time.monotonic() + SECONDS
        self._left = MAX_FAILURES

    @property
    def full(self) -> bool:
        return self._left <= 0

    def failures(self, schema: Compiled, data: Any) -> list[Failure]:
        """What of `data` does not fit; of many failures those that there is room for."""
        found = list(islice(self._failures(schema, data), self._left))
        self._left -= len(found)
        return found

    def _failures(self, schema: Compiled, data: Any) -> Iterator[Failure]:
        if time.monotonic() > self._until:
            yield Failure((), TOO_LATE)
        elif not self._affordable(schema, data):
            yield Failure((), UNCHECKED)
        elif not schema.validator.is_valid(data):
            yield from _listed(schema, data)

    def _affordable(self, schema: Compiled, data: Any) -> bool:
        """By the size of the whole body where that is enough to know, which costs nothing."""
        places, loads = self._body_size // 2, schema.loads
        if loads.asking * places <= MAX_ASKED and loads.patterns * self._body_size <= MAX_MATCHED:
            return True
        measured = measure(data)
        matched = loads.patterns * measured.characters
        return loads.asking * measured.places <= MAX_ASKED and matched <= MAX_MATCHED


def measure(data: Any) -> Measure:
    places, height, characters, level = 0, -1, 0, [data]
    while level:
        height += 1
        places += len(level)
        inner: list[Any] = []
        for value in level:
            if isinstance(value, dict):
                characters += sum(map(len, value))
                inner += value.values()
            elif isinstance(value, list):
                inner += value
            elif isinstance(value, str):
                characters += len(value)
        level = inner
    return Measure(places, height, characters)


def _listed(schema: Compiled, data: Any) -> Iterator[Failure]:
    measured = measure(data)
    if schema.loads.listing[min(measured.height, len(schema.loads.listing) - 1)] * measured.places > MAX_LISTED:
        yield Failure((), UNLISTED)
        return
    for error in schema.validator.iter_errors(data):
        yield from _told(error, data)


def _told(error: "ValidationError", data: Any) -> Iterator[Failure]:
    """A property that is missing, or that should not be there, is what the path names; else it is the value."""
    path, said = tuple(error.instance_path), error.kind.as_dict()
    match error.kind.name:
        case "required":
            yield Failure((*path, said["property"]), "is required")
        case "additionalProperties" | "unevaluatedProperties":
            yield from (Failure((*path, name), "is not allowed") for name in said["unexpected"])
        case "falseSchema":
            yield from (Failure((*path, *name), "is not allowed") for name in _refused(error, data))
        case _:
            yield Failure(path, error.message.removeprefix(f"{VALUE} ")[:MAX_MESSAGE])


def _refused(error: "ValidationError", data: Any) -> list[tuple[str, ...]]:
    """Of a schema that is `false`, the value itself; but where no name at all is allowed, each that is there."""
    *within, keyword = ["", *error.schema_path]
    value = reduce(getitem, error.instance_path, data)
    if keyword == "additionalProperties" and within[-1] != "properties" and isinstance(value, dict):
        return [(name,) for name in value]
    return [()]
