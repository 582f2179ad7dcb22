"""Examples: composed from the fields' own, so that every operation has one that its schema allows.

A model's example is, field by field: what MODELS says, the field's `examples`, `const`, `enum` or `default`, what
FIELDS says of its name, or an example of its type. A test holds each of them against its schema.
"""

from typing import Any

from functions.api.openapi.example_requests import REQUESTS
from functions.api.openapi.example_values import ERRORS, FIELDS, FORMATS, MODELS, PARAMETERS, REFUSALS

JSON = "application/json"
UNKNOWN = "…"  # a test finds these: the field wants an example, or FIELDS its name
DEPTH = 16  # deeper than any model that does not contain itself


def add(document: dict[str, Any]) -> None:
    """Put examples on parameters, request bodies and answers, in place."""
    models = document["components"]["schemas"]
    for item in document["paths"].values():
        for operation in item.values():
            _operation(operation, models)
    for name, response in document["components"]["responses"].items():
        response["content"][JSON]["examples"] = _errors(name)


def _operation(operation: dict[str, Any], models: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", []):
        if "$ref" not in parameter:
            name = parameter["name"]
            known = PARAMETERS.get(f"{operation['operationId']}.{name}") or PARAMETERS.get(name)
            parameter["example"] = known or compose(parameter["schema"], models, name)
    if body := operation.get("requestBody"):
        content = body["content"][JSON]
        content["schema"].pop("default", None)
        composed: dict[str, Any] = {"example": {"value": compose(content["schema"], models)}}
        content["examples"] = REQUESTS.get(operation["operationId"], composed)
    for answer in operation["responses"].values():
        if JSON in answer.get("content", {}):
            content = answer["content"][JSON]
            content["example"] = compose(content["schema"], models)


def _errors(name: str) -> dict[str, Any]:
    made = {}
    if name in ERRORS:
        code, message, details = ERRORS[name]
        shape: Any = {"code": code, "message": message, "details": details, "request_id": "XMe3rdDA4xVO8yU="}
        made["hookline"] = {"value": {"error": shape}}
    if name in REFUSALS:
        made["gateway"] = {"value": {"message": REFUSALS[name]}}
    return made


def compose(schema: dict[str, Any], models: dict[str, Any], name: str = "", depth: int = DEPTH) -> Any:
    """An example of the schema; `name` is the field's, `Model.field` where it is known whose."""
    if "$ref" in schema:
        model = schema["$ref"].rpartition("/")[2]
        return MODELS[model] if model in MODELS else compose(models[model], models, model, depth - 1)
    if found := _stated(schema, name):
        return found[0]
    if choices := schema.get("anyOf") or schema.get("oneOf") or schema.get("allOf"):
        return None if depth <= 0 else compose(choices[0], models, name, depth - 1)
    return _of_type(schema, models, name, depth)


def _stated(schema: dict[str, Any], name: str) -> list[Any]:
    """In a list, since `null` is an example, too; empty when nothing is said."""
    field = name.rpartition(".")[2]
    if name in FIELDS:
        return [FIELDS[name]]
    if schema.get("examples"):
        return list(schema["examples"])
    if "const" in schema:
        return [schema["const"]]
    if field in FIELDS and not {"enum", "items", "properties"} & set(schema):
        return [FIELDS[field]]
    if "default" in schema:
        return [schema["default"]]
    return list(schema.get("enum", []))


def _of_type(schema: dict[str, Any], models: dict[str, Any], name: str, depth: int) -> Any:
    kind = schema.get("type")
    kind = kind[0] if isinstance(kind, list) else kind
    if kind == "object" or "properties" in schema:
        fields = schema.get("properties", {})
        return {one: compose(fields[one], models, f"{name}.{one}", depth - 1) for one in fields if depth > 0}
    if kind == "array":
        return [compose(schema.get("items", {}), models, f"{name}[]", depth - 1)] if depth > 0 else []
    if kind == "string":
        return FORMATS.get(schema.get("format", ""), UNKNOWN)
    return {"integer": 1, "number": 1, "boolean": True, "null": None}.get(str(kind), UNKNOWN)
