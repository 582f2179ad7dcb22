"""Each operation that changes something leaves its entry in the audit log: who, what, before and after (E6)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from functions.api.app import app
from functions.deliver import handler as deliver
from functions.domain.ids import uuid7
from tests.integration import sources_scene
from tests.integration.conftest import Answer, Client, Context, Service

NOWHERE = "http://127.0.0.1:9/hook"  # nobody listens: what is sent there fails
NO_CHANGE = {  # of configuration: they take events in, or only look
    ("POST", "/v1/events"),
    ("POST", "/v1/events/batch"),
    ("POST", "/v1/subscriptions/test"),
}


@dataclass(frozen=True)
class Write:
    """A call that is to succeed, the route it takes, and what is to be in the log after it."""

    method: str
    route: str
    path: str
    body: Any
    event: str
    resource: str = ""  # the id; empty: the answer's own
    shown: str = "both"  # of before and after, which there are
    warning: bool = False


def writes_of_applications(service: Service) -> Iterator[Write]:
    route = "/v1/applications/{application_id}"
    yield Write(
        "POST", "/v1/applications", "/v1/applications", {"name": "n"}, "application.created", shown="after"
    )
    id = service.application(uid="acme")["id"]
    yield Write("PATCH", route, "/v1/applications/acme", {"name": "m"}, "application.updated")
    yield Write(
        "DELETE", route, "/v1/applications/acme", None, "application.deleted", id, shown="before", warning=True
    )


def writes_of_projects(service: Service) -> Iterator[Write]:
    """By the admin key."""
    one, keys = "/v1/projects/{project_id}", "/v1/projects/{project_id}/api-keys"
    path = f"/v1/projects/{service.project_id}"
    yield Write("PATCH", one, path, {"validation": "warn"}, "project.updated")
    wanted = {"name": "k", "scopes": ["*"]}
    yield Write("POST", keys, f"{path}/api-keys", wanted, "api_key.created", shown="after")
    id = service.key()("GET", "/v1/whoami").body["key_id"]
    yield Write("DELETE", f"{keys}/{{key_id}}", f"{path}/api-keys/{id}", None, "api_key.revoked", id, warning=True)
    yield Write(
        *(
            "POST",
            f"{one}/expunge",
            f"{path}/expunge",
            {"before": "2099-01-01T00:00:00Z"},
            "project.expunged",
            service.project_id,
        ),
        shown="after",
        warning=True,
    )


def writes_of_event_types(service: Service) -> Iterator[Write]:
    every, route, path = "/v1/event-types", "/v1/event-types/{name}", "/v1/event-types/a.b"
    yield Write("POST", every, every, {"name": "a.b"}, "event_type.created", shown="after")
    id = service.client("GET", path).body["id"]
    yield Write("PATCH", route, path, {"description": "d"}, "event_type.updated")
    yield Write("DELETE", route, path, None, "event_type.archived", id, warning=True)


def writes_of_webhooks(service: Service) -> Iterator[Write]:
    route = "/v1/webhooks/{webhook_id}"
    made = {"name": "n", "url": NOWHERE}
    yield Write("POST", "/v1/webhooks", "/v1/webhooks", made, "webhook.created", shown="after")
    id = service.webhook()["id"]
    path = f"/v1/webhooks/{id}"
    yield Write("PATCH", route, path, {"name": "m"}, "webhook.updated")
    yield Write("GET", f"{route}/secret", f"{path}/secret", None, "webhook.secret_read", id, "none", warning=True)
    yield Write(
        "POST", f"{route}/rotate-secret", f"{path}/rotate-secret", {}, "webhook.secret_rotated", id, warning=True
    )
    yield Write("POST", f"{route}/pause", f"{path}/pause", {}, "webhook.paused", id, warning=True)
    yield Write("POST", f"{route}/disable", f"{path}/disable", {}, "webhook.disabled", id, warning=True)
    yield Write("POST", f"{route}/resume", f"{path}/resume", {}, "webhook.resumed", id, warning=True)
    yield Write("POST", f"{route}/test", f"{path}/test", {}, "webhook.tested", id, "after")
    for lever, event in (("recover", "webhook.recovered"), ("replay-missing", "webhook.replayed")):
        wanted = {"since": since(service)}
        yield Write("POST", f"{route}/{lever}", f"{path}/{lever}", wanted, event, id, "after", warning=True)
    yield Write("DELETE", route, path, None, "webhook.deleted", id, "before", warning=True)


def writes_of_subscriptions(service: Service) -> Iterator[Write]:
    path = f"/v1/webhooks/{service.webhook()['id']}/subscriptions"
    route = "/v1/webhooks/{webhook_id}/subscriptions"
    yield Write("POST", route, path, {"event_type": "z"}, "subscription.created", shown="after")
    id = service.client("GET", path).body["data"][0]["id"]
    one = f"{route}/{{subscription_id}}"
    yield Write("PATCH", one, f"{path}/{id}", {"enabled": False}, "subscription.updated")
    yield Write("DELETE", one, f"{path}/{id}", None, "subscription.deleted", id, "before", warning=True)


def writes_of_traffic(service: Service) -> Iterator[Write]:
    webhook = service.webhook(url=NOWHERE, max_attempts=1)["id"]
    letters = failed(service, webhook, 3)
    event = letters[0]["event_id"]
    retried = letters[0]["delivery_id"]
    many = {"webhook_id": webhook}
    yield Write(
        *("POST", "/v1/deliveries/{delivery_id}/retry", f"/v1/deliveries/{retried}/retry", {}),
        *("delivery.retried", retried),
        warning=True,
    )
    skip = {"notes": "not wanted any more"}
    yield Write(
        *("POST", "/v1/deliveries/{delivery_id}/skip", f"/v1/deliveries/{retried}/skip", skip),
        *("delivery.skipped", retried),
        warning=True,
    )
    for act, event_name in (("redrive", "dead_letter.redriven"), ("discard", "dead_letter.discarded")):
        one = letters.pop()["id"]
        route = f"/v1/dead-letters/{{dead_letter_id}}/{act}"
        path = f"/v1/dead-letters/{one}/{act}"
        yield Write("POST", route, path, {"notes": "seen"}, event_name, one, warning=True)
        past = act.replace("redrive", "redriven").replace("discard", "discarded")
        all_ = f"/v1/dead-letters/{act}"
        yield Write("POST", all_, all_, many, f"dead_letters.{past}", shown="after", warning=True)
    by_query = "/v1/deliveries/retry"
    yield Write("POST", by_query, by_query, many, "deliveries.retried", shown="after", warning=True)
    job = service.client("POST", by_query, many).body["id"]
    yield Write(
        "POST", "/v1/jobs/{job_id}/cancel", f"/v1/jobs/{job}/cancel", {}, "job.cancelled", job, warning=True
    )
    one = "/v1/events/{event_id}"
    yield Write(
        "POST", f"{one}/replay", f"/v1/events/{event}/replay", {}, "event.replayed", event, "after", warning=True
    )
    yield Write(
        "DELETE", f"{one}/payload", f"/v1/events/{event}/payload", None, "event.expunged", event, "", warning=True
    )


def writes_of_rescrapes(service: Service) -> Iterator[Write]:
    source, change = uuid7(), uuid7()
    service.sql.run(
        "INSERT INTO webhook.sources (id, project_id, name, kind, secret, rescrape, credentials)"
        " VALUES (:id, :project, 's', 'changedetection', 's', '{}', 'c')",
        id=source,
        project=service.project_id,
    )
    service.sql.run(
        "INSERT INTO webhook.change_events (id, project_id, source_id, event_id, watch_id, watch_url, detected_at)"
        " VALUES (:id, :project, :source, uuidv7(), 'w', 'https://x/', now())",
        id=change,
        project=service.project_id,
        source=source,
    )
    route, path = "/v1/change-events/{change_event_id}", f"/v1/change-events/{change}"
    gone = "change_event.document_deleted"
    yield Write("DELETE", f"{route}/document", f"{path}/document", None, gone, change, "", warning=True)
    yield Write("POST", f"{route}/rescrape", f"{path}/rescrape", {}, "change_event.rescraped", change, "after")


def since(service: Service) -> str:
    ((at,),) = service.sql.run("SELECT webhook.rfc3339(now() - interval '5 minutes')")
    return str(at)


def failed(service: Service, webhook: str, count: int) -> list[dict]:
    """So many dead letters of this webhook."""
    for _ in range(count):
        service.event()
    while records := service.messages():
        deliver.handler({"Records": records}, Context())
    return list(service.client("GET", f"/v1/dead-letters?webhook_id={webhook}").body["data"])


def newest(service: Service) -> dict[str, Any]:
    return dict(service.client("GET", "/v1/audit-log?limit=1").body["data"][0])


def check(service: Service, client: Client, write: Write) -> None:
    before = newest(service)["id"]
    headers = {"hookline-correlation-id": write.event}
    answer = client(write.method, write.path, write.body, headers=headers)
    assert 200 <= answer.status < 300, (write, answer.body)
    entry = newest(service)
    assert entry["id"] != before, write
    assert (entry["event"], entry["correlation_id"]) == (write.event, write.event)
    assert entry["level"] == ("warning" if write.warning else "info"), entry
    assert entry["resource"] == {"type": write.event.partition(".")[0], "id": write.resource or made(answer)}
    assert entry["actor"]["type"] == ("admin" if client is service.admin else "api_key")
    if write.shown:
        there = [name for name in ("before", "after") if entry[name] is not None]
        assert there == {"both": ["before", "after"], "none": []}.get(write.shown, [write.shown]), entry


def writes_of_sources(service: Service) -> Iterator[Write]:
    path, route = "/v1/sources", "/v1/sources/{source_id}"
    yield Write("POST", path, path, {"kind": "github", "name": "n"}, "source.created", shown="after")
    id = sources_scene.source(service)["id"]
    yield Write("PATCH", route, f"{path}/{id}", {"name": "m"}, "source.updated")
    rotate = f"{route}/rotate-secret", f"{path}/{id}/rotate-secret"
    yield Write("POST", *rotate, {}, "source.secret_rotated", id, shown="after", warning=True)
    yield Write("DELETE", route, f"{path}/{id}", None, "source.deleted", id, shown="before", warning=True)


def made(answer: Answer) -> str:
    return str(answer.body["id"])


def test_each_write_leaves_its_entry(service: Service) -> None:
    done: set[tuple[str, str]] = {("POST", "/v1/projects")}  # its own project's log: looked at below
    for writes, client in (
        (writes_of_applications, service.client),
        (writes_of_webhooks, service.client),
        (writes_of_subscriptions, service.client),
        (writes_of_traffic, service.client),
        (writes_of_rescrapes, service.client),
        (writes_of_projects, service.admin),
        (writes_of_event_types, service.client),
        (writes_of_sources, service.client),
    ):
        for write in writes(service):
            check(service, client, write)
            done.add((write.method, write.route))
    routes = {(route.method, route.openapi_path) for route in (*app._static_routes, *app._dynamic_routes)}
    changing = {one for one in routes if one[0] != "GET" and one[1].startswith("/v1/")} - NO_CHANGE
    assert changing - done == set(), "is this audited?"


def test_a_projects_log_begins_with_its_creation(service: Service) -> None:
    made_one = service.admin("POST", "/v1/projects", {"name": "new"}).body
    (entry,) = service.admin("GET", f"/v1/audit-log?project_id={made_one['id']}").body["data"]
    assert (entry["event"], entry["after"], entry["before"]) == ("project.created", made_one, None)
    assert entry["resource"] == {"type": "project", "id": made_one["id"]}
