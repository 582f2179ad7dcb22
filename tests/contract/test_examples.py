"""Every documented request is accepted, and its answer is what the document says: to the field, to the header."""

import json
from collections.abc import Iterator
from typing import Any

import jsonschema

from functions.api.openapi.example_values import APPLICATION, EVENT, ID
from tests.contract.documented import JSON, Document, Operation, load, operations
from tests.contract.world import Things, things, with_keys
from tests.integration.conftest import Answer, Client, Service

# Deleting and revoking come last: the others need what they take away.
OPERATIONS = sorted(
    (one for one in operations(load()) if one.path.startswith("/v1/")),
    key=lambda one: (one.method == "DELETE", one.path, one.method != "GET"),
)
HEADERS = {"etag": "ETag", "idempotency-replayed": "idempotency-replayed"}


def test_every_documented_request_is_answered_as_documented(service: Service, document: Document) -> None:
    problems = []
    for operation in OPERATIONS:
        own = own_things(service, operation)
        client = service.client if operation.takes_project_key else service.admin
        for body in bodies(operation, own):
            answer = client(operation.method, own.filled(operation.path), body)
            said = f"{operation} {json.dumps(body)}: {answer.status} {json.dumps(answer.body)[:500]}"
            problems += [f"{said}\n    {problem}" for problem in wrong(document, operation, answer)]
    assert not problems, "\n".join(problems)


def own_things(service: Service, operation: Operation) -> Things:
    """New ones, a key that may be revoked, and for what gives a delivery up one that waits."""
    found = with_keys(service, service.project_id, things(service, service.client))
    path = f"/v1/projects/{service.project_id}/api-keys"
    spare = service.admin("POST", path, {"name": "spare", "scopes": ["events:read"]}).body["id"]
    ids = {**found.ids, "key_id": spare}
    if operation.id == "skip_delivery":
        service.client("POST", f"/v1/events/{ids['event_id']}/replay", {"webhook_id": ids["webhook_id"]})
        [waiting] = service.client("GET", f"/v1/deliveries?webhook_id={ids['webhook_id']}&status=pending").body[
            "data"
        ]
        ids["delivery_id"] = waiting["id"]
    return Things(ids, found.application)


def bodies(operation: Operation, own: Things) -> Iterator[Any]:
    """The documented ones, with ids of things that are there."""
    if not operation.examples:
        yield None
    for example in operation.examples:
        text = json.dumps(example)
        for shown, name in ((ID, "webhook_id"), (EVENT, "event_id"), (APPLICATION, "application_id")):
            text = text.replace(shown, own.ids[name])
        yield json.loads(text)


def wrong(document: Document, operation: Operation, answer: Answer) -> list[str]:
    if not 200 <= answer.status < 300:
        return ["is refused"]
    if answer.status not in operation.responses:
        return ["the status is not documented"]
    response = operation.responses[answer.status]
    stated = set(response.get("headers", {}))
    sent = {name.lower() for name in answer.headers}
    found = [
        f"{name} is sent and not documented" for name in HEADERS if name in sent and HEADERS[name] not in stated
    ]
    if "ETag" in stated and "etag" not in sent:
        found.append("ETag is documented and not sent")
    if "content" not in response:
        return found if not answer.body else [*found, "there is a body"]
    schema = {**response["content"][JSON]["schema"], "components": closed(document["components"])}
    checker = jsonschema.Draft202012Validator(schema, format_checker=jsonschema.FormatChecker())
    return found + [f"{error.json_path}: {error.message}" for error in checker.iter_errors(answer.body)]


def closed(value: Any) -> Any:
    """Schemas of objects that may have no other fields: what is answered is documented."""
    if isinstance(value, list):
        return [closed(one) for one in value]
    if not isinstance(value, dict):
        return value
    schema = {name: closed(one) for name, one in value.items()}
    if isinstance(value.get("properties"), dict) and "additionalProperties" not in value and "type" in value:
        schema["additionalProperties"] = False
    return schema


def test_a_repeated_request_says_so_and_one_under_a_stale_version_is_refused(service: Service) -> None:
    problems = []
    for operation in OPERATIONS:
        own = own_things(service, operation)
        client = service.client if operation.takes_project_key else service.admin
        [body, *_] = bodies(operation, own)
        path = own.filled(operation.path)
        if "Idempotency-Key" in operation.names("header"):
            problems += replayed(client, operation, path, body)
        if "If-Match" in operation.names("header"):
            stale = client(operation.method, path, body, headers={"if-match": '"999"'})
            if (stale.status, stale.body.get("error", {}).get("code")) != (412, "precondition_failed"):
                problems.append(f"{operation}: If-Match of another version: {stale.status} {stale.body}")
    assert not problems, "\n".join(problems)


def replayed(client: Client, operation: Operation, path: str, body: Any) -> list[str]:
    """What is wrong with the answers to a request that is sent twice, and to another under the same key."""
    headers = {"idempotency-key": operation.id}
    first = client(operation.method, path, body, headers=headers)
    again = client(operation.method, path, body, headers=headers)
    found = []
    if again.status != first.status or again.headers.get("idempotency-replayed") != "true":
        found.append(f"{operation}: {first.status}, and again {again.status} {again.headers} {again.body}")
    other = client(operation.method, path, {**(body or {}), "another": 1}, headers=headers)
    if other.status not in {409, 422}:  # the field is unknown, which is seen first
        found.append(f"{operation}: another body under the same key: {other.status} {other.body}")
    return found
