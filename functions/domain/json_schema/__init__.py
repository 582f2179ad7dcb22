"""JSON Schemas of event types (P4): what a project may register, and what of an event's data does not fit one.

Draft 2020-12 by jsonschema_rs. `format` and `content…` say something about data and are not asked of it, as the
standard has it. Nothing is ever fetched. What a schema may cost is bounded before it is asked (load).
"""

from functions.domain.json_schema.checking import Check, Failure
from functions.domain.json_schema.compiled import MAX_SCHEMA_BYTES, Compiled, compile_schema
from functions.domain.json_schema.nodes import DIALECT, SchemaError

__all__ = ["DIALECT", "MAX_SCHEMA_BYTES", "Check", "Compiled", "Failure", "SchemaError", "compile_schema"]
