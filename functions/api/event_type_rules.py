"""What a schema and its examples must be like to be registered."""

from typing import Any

from functions.domain.json_schema import Check, Failure, SchemaError, compile_schema
from functions.errors import Detail, Invalid

UNUSABLE = "the schema cannot be used; `details` say where"
UNFITTING = "an example does not fit the schema; `details` say where"


def check(schema: Any, examples: list[Any], body_size: int) -> None:
    """Raises Invalid, with the paths in the schema or in the examples. No schema (None) asks for nothing."""
    if schema is None:
        return
    try:
        compiled = compile_schema(schema)
    except SchemaError as error:
        raise Invalid(UNUSABLE, details=(Detail(_path("schema", *error.path), error.message),)) from None
    checking = Check(body_size)
    found: list[tuple[int, Failure]] = []
    for place, example in enumerate(examples):
        found += [(place, failure) for failure in checking.failures(compiled, example)]
    if found:
        details = tuple(Detail(_path("examples", place, *f.path), f.message) for place, f in found)
        raise Invalid(UNFITTING, details=details)


def _path(*parts: str | int) -> str:
    return ".".join(str(part) for part in parts)
