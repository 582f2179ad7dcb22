"""The functions in this process, on a real database; SQS and KMS by moto."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pg8000.native
import pytest

from functions.adapters import database, queues, vault
from functions.api import handler as api
from functions.authorizer import handler as authorizer
from functions.settings import settings
from tests.conftest import Databases
from tests.integration.endpoint import Endpoint, endpoint


@dataclass
class Context:
    """What Lambda hands a handler beside the event."""

    remaining_ms: int = 60_000
    function_name: str = "test"
    memory_limit_in_mb: int = 128
    invoked_function_arn: str = "arn:aws:lambda:eu-central-1:000000000000:function:test"
    aws_request_id: str = field(default_factory=lambda: str(uuid4()))

    def get_remaining_time_in_millis(self) -> int:
        return self.remaining_ms


@dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: Any


class Client:
    """Calls the API function as the gateway does: authorizer first, then the API with its context."""

    def __init__(self, key: str = "") -> None:
        self.key = key

    def __call__(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        headers: dict[str, str] | None = None,
        raw: str | None = None,
    ) -> Answer:
        path, _, query = path.partition("?")
        sent = {"authorization": f"Bearer {self.key}", **({"content-type": "application/json"}), **(headers or {})}
        event: dict[str, Any] = {
            "version": "2.0",
            "routeKey": "ANY /v1/{proxy+}",
            "rawPath": path,
            "rawQueryString": query,
            "headers": sent,
            "queryStringParameters": dict(pair.split("=", 1) for pair in query.split("&")) if query else None,
            "requestContext": {
                "requestId": uuid4().hex,
                "stage": "$default",
                "http": {"method": method, "path": path, "sourceIp": "127.0.0.1", "protocol": "HTTP/1.1"},
            },
            "isBase64Encoded": False,
        }
        if body is not None or raw is not None:
            event["body"] = raw if raw is not None else json.dumps(body)
        if path.startswith("/v1/"):
            found = authorizer.handler(event, Context())
            event["requestContext"]["authorizer"] = {"lambda": found["context"]}
        answered = api.handler(event, Context())
        text = answered.get("body") or ""
        return Answer(
            answered["statusCode"], answered["headers"], json.loads(text) if text[:1] in "{[" and text else text
        )


@dataclass
class Service:
    """One project with a key of all scopes, and a look into its database and queues."""

    admin: Client
    client: Client
    project_id: str
    sql: pg8000.native.Connection
    sqs: Any

    def webhook(self, **values: Any) -> dict[str, Any]:
        body = {"name": "orders", "url": "http://127.0.0.1:9/hook", **values}
        answer = self.client("POST", "/v1/webhooks", body)
        assert answer.status == 201, answer.body
        return dict(answer.body)

    def application(self, **values: Any) -> dict[str, Any]:
        answer = self.client("POST", "/v1/applications", {"name": "Acme", **values})
        assert answer.status == 201, answer.body
        return dict(answer.body)

    def key(self, *scopes: str, application_id: str | None = None) -> Client:
        """A client with a new key of the project: of all scopes, unbound, unless other is asked for."""
        wanted = {"name": "k", "scopes": list(scopes) or ["*"], "application_id": application_id}
        answer = self.admin("POST", f"/v1/projects/{self.project_id}/api-keys", wanted)
        assert answer.status == 201, answer.body
        return Client(answer.body["key"])

    def event(self, **values: Any) -> dict[str, Any]:
        answer = self.client("POST", "/v1/events", {"type": "invoice.paid", "data": {"n": 1}, **values})
        assert answer.status in {200, 202}, answer.body
        return dict(answer.body)

    def messages(self, queue: str = "delivery") -> list[dict[str, Any]]:
        """What waits on a queue, in the shape of a Lambda event's records; taken off it."""
        url: str = getattr(settings(), f"{queue}_queue_url")
        records = []
        while got := self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=600, MessageSystemAttributeNames=["All"]
        ).get("Messages"):
            records += [
                {
                    "messageId": one["MessageId"],
                    "receiptHandle": one["ReceiptHandle"],
                    "body": one["Body"],
                    "attributes": one["Attributes"],
                    "eventSourceARN": f"arn:aws:sqs:eu-central-1:000000000000:{url.rpartition('/')[2]}",
                }
                for one in got
            ]
        return records


@pytest.fixture
def receiver() -> Iterator[Endpoint]:
    """A customer's endpoint."""
    with endpoint() as here:
        yield here


def forget_caches() -> None:
    """Whatever the functions keep for the life of a process; but for the client of KMS, which is dear to make."""
    if database.engine.cache_info().currsize:
        database.engine().dispose()
    for cached in (settings, database.engine, queues._curl, queues._receiving_curl):
        cached.cache_clear()
    vault._plain_keys.clear()
    vault._away_until = 0.0


@pytest.fixture
def service(
    databases: Databases,
    database_url: str,
    aws: dict[str, str],
    sqs_client: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Service]:
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", f"{database_url}?sslmode=disable")
    monkeypatch.setenv("EGRESS_SCHEMES", "http,https")
    monkeypatch.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")
    forget_caches()
    admin = Client("the-admin-key")
    project = admin("POST", "/v1/projects", {"name": "tests"}).body
    key = admin("POST", f"/v1/projects/{project['id']}/api-keys", {"name": "all", "scopes": ["*"]}).body
    with databases.connect(database_url) as sql:
        yield Service(admin, Client(key["key"]), project["id"], sql, sqs_client)
    forget_caches()


@pytest.fixture
def new_project(service: Service) -> Callable[..., tuple[str, Client]]:
    """Another project and a client with these scopes in it."""

    def make(*scopes: str) -> tuple[str, Client]:
        project = service.admin("POST", "/v1/projects", {"name": "another"}).body["id"]
        wanted = {"name": "k", "scopes": list(scopes) or ["*"]}
        key = service.admin("POST", f"/v1/projects/{project}/api-keys", wanted).body["key"]
        return project, Client(key)

    return make
