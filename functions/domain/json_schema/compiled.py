"""Compiling a schema: what is wrong with one that cannot be used, and what one that can takes."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from functions.domain import payload
from functions.domain.json_schema.load import Loads, loads_of
from functions.domain.json_schema.nodes import SchemaError, nodes_of

if TYPE_CHECKING:
    from jsonschema_rs import ValidationError, Validator

MAX_SCHEMA_BYTES = 64 << 10
# Of a compiled expression, in bytes. The engine takes time that is linear in the text, and in this at worst: 20 µs
# a character (measured, `[ab]*a(?:[ab]{30}){30}[cd]`); of ten times this a value of 250 KB took half a minute.
PATTERN_BYTES = 64 << 10
PATTERN_CACHE_BYTES = 256 << 10
VALUE = "the value"  # stands in messages where the value would: it is the caller's, long, and perhaps secret
# Memory, measured: 21 bytes for each of a schema's, 11 KB for a short pattern.
BYTES_FOR_ONE = 24
BYTES_FOR_A_PATTERN = 32 << 10
NOT_A_PATTERN = (
    "is not a regular expression that can be used: no look-around, no back-references, and not too large"
)


@dataclass(frozen=True)
class Compiled:
    """A schema that data can be checked by. `memory` is about how many bytes it takes."""

    validator: "Validator"
    loads: Loads
    memory: int


def compile_schema(schema: Any) -> Compiled:
    """Raises SchemaError, with the path in the schema."""
    size = payload.size(schema)
    if size > MAX_SCHEMA_BYTES:
        raise SchemaError((), f"is {size} bytes, more than {MAX_SCHEMA_BYTES}")
    nodes = nodes_of(schema)
    validator = _validator(schema)
    patterns = sum(node.patterns for node in nodes.values())
    return Compiled(validator, loads_of(nodes), BYTES_FOR_ONE * size + BYTES_FOR_A_PATTERN * patterns)


def _validator(schema: Any) -> "Validator":
    import jsonschema_rs  # noqa: PLC0415 - 15 MB that a project without validation never loads

    try:
        return jsonschema_rs.Draft202012Validator(
            _without_identity(schema),
            offline=True,
            validate_formats=False,
            mask=VALUE,
            pattern_options=jsonschema_rs.RegexOptions(PATTERN_BYTES, PATTERN_CACHE_BYTES),
        )
    except jsonschema_rs.ValidationError as error:
        raise SchemaError(tuple(error.instance_path), _message(error)) from None


def _without_identity(schema: Any) -> Any:
    """`$id` names a schema to people; as a base of references it has no use where they all begin with #."""
    if not isinstance(schema, dict):
        return schema
    return {name: value for name, value in schema.items() if name != "$id"}


def _message(error: "ValidationError") -> str:
    if error.kind.name == "format" and error.kind.as_dict().get("format") == "regex":
        return NOT_A_PATTERN
    if error.instance_path and error.instance_path[-1] == "type":
        return "is not the name of a type, nor a list of such names"
    return error.message.removeprefix(f"{VALUE} ")
