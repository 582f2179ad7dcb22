"""From the resolver's document to the published one: JSON in, JSON out."""

from typing import Any

from functions.api.openapi import examples, operations, responses, schemas
from functions.api.schemas.base import Problem

Document = dict[str, Any]
REFERENCE = "#/components/schemas/{model}"
METHODS = ("get", "post", "patch", "delete")
SECURITY = {
    "api_key": "A project's API key. Each operation names the scope that the key must have.",
    "admin_key": "The deployment's admin key, which manages projects and their API keys, and reads how the service"
    " is doing.",
}


def finish(document: Document) -> Document:
    """The document with stable operation ids, headers, every status, scopes in words, and examples."""
    models = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError", "ResponseValidationError"):
        models.pop(name, None)  # the resolver's own shape of a 422, which nobody gets: errors have one shape
    models |= {**_definitions(Problem), "Refusal": responses.REFUSED}
    document = schemas.tidy(document)
    _name_pages(document)
    for path, item in document["paths"].items():
        for method in METHODS:
            if method in item:
                operations.complete(item[method], method, path)
    _components(document)
    examples.add(document)
    return document


def _definitions(model: Any) -> dict[str, Any]:
    schema = model.model_json_schema(mode="serialization", ref_template=REFERENCE)
    inner: dict[str, Any] = schema.pop("$defs", {})
    return {**inner, model.__name__: schema}


def _name_pages(document: Document) -> None:
    """`Page_Webhook_` is what pydantic calls a generic model; clients get a `WebhookPage`."""
    models = document["components"]["schemas"]
    for name in [name for name in models if name.startswith("Page_")]:
        schemas.rename(document, name, name.removeprefix("Page_").removesuffix("_") + "Page")


def _components(document: Document) -> None:
    """Everything in the order of its name, so that the document changes only where the routes do."""
    components = document["components"]
    components["schemas"] = dict(sorted(components["schemas"].items()))
    components["parameters"] = operations.HEADER_PARAMETERS
    components["headers"] = responses.HEADERS
    components["responses"] = responses.errors()
    components["securitySchemes"] = {
        name: {"type": "http", "scheme": "bearer", "description": text} for name, text in SECURITY.items()
    }
    document["paths"] = dict(sorted(document["paths"].items()))
