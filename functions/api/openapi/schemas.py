"""Schemas as generated clients like them: without noise, with formats."""

import json
from typing import Any

NULL = {"type": "null"}
# End in `_id` and are no UUID, or not always.
NOT_OURS = {"external_id", "correlation_id", "request_id", "resource_id", "watch_id", "message_id"}
DATA = {"example", "examples", "default", "const", "enum"}  # hold values, which may look like schemas
KEYS = {"created_by", "updated_by"}
URLS = {"url", "request_url", "watch_url", "snapshot_url", "base_url"}


def tidy(value: Any) -> Any:
    """A copy: no titles, `null` as a type beside another, whole numbers as integers, formats of keys and URLs."""
    if isinstance(value, list):
        return [tidy(one) for one in value]
    if not isinstance(value, dict):
        return int(value) if isinstance(value, float) and value.is_integer() else value
    schema = {name: one if name in DATA else tidy(one) for name, one in value.items() if not _is_title(name, one)}
    if isinstance(value.get("properties"), dict):
        schema["properties"] = {name: tidy(one) for name, one in value["properties"].items()}
        _format(schema)
    return _nullable(_default_in_words(schema))


def rename(document: dict[str, Any], old: str, new: str) -> None:
    """Give a component's schema another name, and all that refer to it."""
    models = document["components"]["schemas"]
    models[new] = models.pop(old)
    before, after = (json.dumps(f"#/components/schemas/{name}") for name in (old, new))
    renamed = json.loads(json.dumps(document).replace(before, after))
    document.clear()
    document.update(renamed)


def _is_title(name: str, value: Any) -> bool:
    """Of a schema; the document's own title is text, too, and stands beside its version."""
    return name == "title" and isinstance(value, str) and value != "Hookline"


def _default_in_words(schema: dict[str, Any]) -> dict[str, Any]:
    """Generators know no default that is an object."""
    if not isinstance(schema.get("default"), dict) or "properties" in schema:
        return schema
    default = json.dumps(schema.pop("default"))
    said = f"{schema['description']}. " if schema.get("description") else ""
    return {**schema, "description": f"{said}Default: `{default}`"}


def _nullable(schema: dict[str, Any]) -> dict[str, Any]:
    """`anyOf: [X, null]` → X with `type: [x, "null"]`; a reference keeps its anyOf, which has no shorter form."""
    choices = schema.get("anyOf", [])
    if len(choices) != 2 or NULL not in choices:
        return schema
    [other] = [choice for choice in choices if choice != NULL]
    if not isinstance(other.get("type"), str) or "const" in other:
        return schema
    rest = {name: value for name, value in schema.items() if name != "anyOf"}
    enum = {"enum": [*other["enum"], None]} if "enum" in other else {}
    return {**other, **rest, **enum, "type": [other["type"], "null"]}


def _format(schema: dict[str, Any]) -> None:
    """Answers name ids and URLs alike everywhere, but for ids with a length of their own: not ours.
    What a request may send as an id is said by its own schema.
    """
    if schema.get("additionalProperties") is False:
        return
    for name, one in schema["properties"].items():
        if one.get("type") not in ("string", ["string", "null"]) or one.keys() & {"format", "maxLength"}:
            continue
        if name in KEYS or ((name == "id" or name.endswith("_id")) and name not in NOT_OURS):
            one["format"] = "uuid"
        elif name in URLS:
            one["format"] = "uri"
