"""Operations: ids, scopes in words, parameters, and every status that one may answer."""

import re
from typing import Any

from functions.api.openapi.responses import CORRELATION, header, reference

Operation = dict[str, Any]
VERSIONED = {  # are answered with an ETag; what belongs to a webhook with the webhook's
    *("Application", "EventType", "Project", "Webhook", "ResumedWebhook", "Subscription", "WebhookSecret"),
    *("Source", "SourceSecret"),
}
SUCCESSES = {200: "what was asked for", 201: "it is created", 202: "it is accepted", 204: "it is done"}
UUID_PATTERN = "^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$"
UUID = {"type": "string", "format": "uuid"}
PATH_PARAMETERS: dict[str, tuple[str, dict[str, Any]]] = {
    "project_id": ("The project's id", UUID),
    "key_id": ("The API key's id", UUID),
    "webhook_id": ("The webhook's id", UUID),
    "subscription_id": ("The subscription's id", UUID),
    "delivery_id": ("The delivery's id", UUID),
    "change_event_id": ("The change event's id", UUID),
    "crawl_session_id": ("The crawl session's id", UUID),
    "dead_letter_id": ("The dead letter's id", UUID),
    "job_id": ("The job's id", UUID),
    "source_id": ("The source's id", UUID),
    "event_id": (
        "The event's id, or the one that its sender gave it",
        {"type": "string", "minLength": 1, "maxLength": 255},
    ),
    "application_id": (
        "The application's id or uid",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9._-]+$"},
    ),
    "name": (
        "The event type's name",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[A-Za-z0-9_-]+([.][A-Za-z0-9_-]+)*$"},
    ),
}
QUERY_PARAMETERS = {  # where the route says nothing itself
    "webhook_id": "Only what concerns this webhook",
    "event_id": "Only what concerns this event: its id, or the one that its sender gave it",
    "event_type": "Only events of this type",
    "application_id": "Only what is bound to this application: its id or uid",
    "environment": "Only events of this environment",
    "delivery_id": "Only what concerns this delivery",
    "source_id": "Only what this source sent",
    "rescrape_status": "Only those whose rescrape is in this state",
    "status": "Only those in this state",
    "kind": "Only those of this kind",
    "uid": "Only the one that the project calls so",
    "level": "Only entries of this level",
    "resource_type": "Only what was done to resources of this type",
    "resource_id": "Only what was done to this resource",
    "actor_id": "Only what was done with this API key",
    "correlation_id": "Only what was done under this correlation id",
    "project_id": "Only what concerns this project; for the admin key, which has none of its own",
}
CURSOR = {"type": "string", "pattern": "^[A-Za-z0-9_-]{21}[AQgw]$"}  # 16 bytes as base64url
HEADER_PARAMETERS: dict[str, Any] = {
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes it safe to send the request again: for 24 hours the same key and body are answered"
        " alike and done once; the same key with another body is refused with 409",
        "schema": {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        "example": "order-1042-created",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "description": "The `ETag` that was read: refused with 412 when it was changed since. `*` is any version",
        "schema": {"type": "string", "pattern": '^([*]|(W/)?"[!#-~]*")$'},
        "example": "*",
    },
    "CorrelationId": {
        "name": CORRELATION,
        "in": "header",
        "description": "Of the caller's choice, 1 to 128 of `A-Z a-z 0-9 . _ : -`: comes back in the answer and"
        " goes into logs, the audit log and deliveries. One that does not fit is ignored",
        "schema": {"type": "string"},
        "example": "checkout-7781",
    },
}


def complete(operation: Operation, method: str, path: str) -> None:
    """Change `operation` in place."""
    generated = re.sub(r"\W", "_", path) + "_" + method
    operation["operationId"] = operation["operationId"].removesuffix(generated)
    _say_scope(operation)
    stated = {int(status): answer for status, answer in operation.pop("responses").items()}
    if "HTTPValidationError" in str(stated.get(422)):  # added by the resolver to every route
        del stated[422]
    for parameter in operation.get("parameters", []):
        _parameter(parameter)
    headers = _headers(operation, method, stated)
    for name in headers:
        parameter = {"$ref": f"#/components/parameters/{name}"}
        operation.setdefault("parameters", []).append(parameter)
    statuses = {*stated, *_of_every(operation, method, path), *((400,) if "If-Match" in headers else ())}
    operation["responses"] = {
        str(status): _success(stated[status], status, method)
        if status in stated and (status < 400 or "Problem" not in str(stated[status]))
        else reference(status)
        for status in sorted(statuses)
    }


def _say_scope(operation: Operation) -> None:
    """In words, too: tools of OpenAPI 3.0 know no scopes of a bearer key."""
    required = {name: scopes for one in operation.setdefault("security", []) for name, scopes in one.items()}
    said = "Takes no key."
    if required.get("api_key"):
        said = f"Takes an API key with the scope `{required['api_key'][0]}`" + (
            ", or the admin key." if "admin_key" in required else "."
        )
    elif required:
        said = "Takes any key." if "api_key" in required else "Takes the admin key."
    operation["description"] = " ".join(filter(None, (operation.get("description"), said)))


def _parameter(parameter: dict[str, Any]) -> None:
    schema = parameter["schema"]
    schema.pop("description", None)
    if parameter["in"] == "path":
        description, known = PATH_PARAMETERS[parameter["name"]]
        parameter |= {"description": description, "schema": {**known, **schema}}
        return
    parameter["schema"] = _of_query(parameter, schema)
    if not parameter.get("description") and parameter["name"] in QUERY_PARAMETERS:
        parameter["description"] = QUERY_PARAMETERS[parameter["name"]]


def _of_query(parameter: dict[str, Any], schema: dict[str, Any]) -> dict[str, Any]:
    """An absent parameter is absent: `null` and empty texts are how the routes say it, which callers need not."""
    if schema.get("default", 0) in ("", None):
        parameter["allowEmptyValue"] = schema.pop("default") == ""
    if "anyOf" in schema:  # "" or one of a few
        [schema] = [choice for choice in schema["anyOf"] if choice.get("const") != ""]
    if isinstance(schema.get("type"), list):
        schema["type"] = next(one for one in schema["type"] if one != "null")
    if "enum" in schema:
        schema["enum"] = [one for one in schema["enum"] if one]
    if parameter["name"] == "cursor" and "pattern" not in schema:
        return CURSOR
    if schema.get("pattern", "").endswith(UUID_PATTERN):
        return UUID
    if "pattern" in schema:
        schema["pattern"] = schema["pattern"].removeprefix("^$|")
    return schema


def _headers(operation: Operation, method: str, stated: dict[int, Any]) -> list[str]:
    """The names of the header parameters that the operation takes."""
    guarded = operation["security"] != []
    takes = {
        "IdempotencyKey": method == "post" and guarded,
        "IfMatch": 412 in stated,
        "CorrelationId": guarded,
    }
    return [name for name, taken in takes.items() if taken]


def _of_every(operation: Operation, method: str, path: str) -> set[int]:
    """What the machinery around every route of its kind may answer."""
    statuses = {429, 500, 503}
    if operation["security"]:
        statuses |= {401, 403}
    if "requestBody" in operation:
        statuses |= {400, 413, 415, 422}
    if method == "post":
        statuses |= {400, 409, 413, 415}
    if "{" in path:
        statuses |= {404, 405}
    return statuses


def _success(answer: dict[str, Any], status: int, method: str) -> dict[str, Any]:
    answer = {**answer, "headers": {CORRELATION: {**header("CorrelationId")}}}
    if answer["description"] == "done":
        answer["description"] = SUCCESSES[status]
    if not answer.get("content"):
        answer.pop("content", None)
    model = _model(answer)
    if model in VERSIONED:
        answer["headers"]["ETag"] = header("ETag")
    if method == "post":
        answer["headers"]["idempotency-replayed"] = header("IdempotencyReplayed")
    return answer


def _model(answer: dict[str, Any]) -> str:
    """The name of the schema that is answered, if it has one."""
    schema = answer.get("content", {}).get("application/json", {}).get("schema", {})
    return str(schema.get("$ref", "")).rpartition("/")[2]
