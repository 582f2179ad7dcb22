"""The OpenAPI document of the code under test, and what tests ask of it."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from functions.api.app import app
from functions.api.document import written

Document = dict[str, Any]
METHODS = {"get", "post", "patch", "put", "delete"}
JSON = "application/json"


@dataclass(frozen=True)
class Operation:
    """One method of one path, with the references in it resolved one level."""

    id: str
    method: str
    path: str
    raw: dict[str, Any]
    document: Document

    @property
    def parameters(self) -> list[dict[str, Any]]:
        return [resolve(self.document, one) for one in self.raw.get("parameters", [])]

    def names(self, where: str) -> list[str]:
        return [one["name"] for one in self.parameters if one["in"] == where]

    @property
    def responses(self) -> dict[int, dict[str, Any]]:
        return {int(status): resolve(self.document, one) for status, one in self.raw["responses"].items()}

    @property
    def scopes(self) -> list[str]:
        """Of the project key that it takes; none for an operation of the admin key, or of everybody."""
        return [scope for one in self.raw["security"] for scope in one.get("api_key", [])]

    @property
    def takes_admin_key(self) -> bool:
        return any("admin_key" in one for one in self.raw["security"])

    @property
    def takes_project_key(self) -> bool:
        return any("api_key" in one for one in self.raw["security"])

    @property
    def body(self) -> dict[str, Any] | None:
        """The media type object of what it takes."""
        content = self.raw.get("requestBody", {}).get("content", {})
        return content.get(JSON)

    @property
    def examples(self) -> list[Any]:
        """The documented request bodies."""
        return [one["value"] for one in (self.body or {}).get("examples", {}).values()]

    def __str__(self) -> str:
        return f"{self.method} {self.path}"


def load() -> Document:
    document: Document = json.loads(written(app))
    return document


def operations(document: Document) -> Iterator[Operation]:
    for path, item in document["paths"].items():
        for method, raw in item.items():
            if method in METHODS:
                yield Operation(raw["operationId"], method.upper(), path, raw, document)


def resolve(document: Document, value: dict[str, Any]) -> dict[str, Any]:
    """What a reference stands for; other values as they are."""
    while "$ref" in value:
        found: Any = document
        for part in value["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        value = found
    return value


def fields(document: Document, schema: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The properties of an object schema, through its references and choices."""
    schema = resolve(document, schema)
    found = dict(schema.get("properties", {}))
    for choice in (*schema.get("anyOf", []), *schema.get("oneOf", []), *schema.get("allOf", [])):
        found |= fields(document, choice)
    return found
