"""Two projects and two applications: what a key that is bound to an application sees, changes and makes (C1)."""

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from functions.deliver import handler as deliver
from tests.integration.conftest import Client, Context, Service

NewProject = Callable[..., tuple[str, Client]]
LISTS = ("applications", "webhooks", "events", "deliveries", "dead-letters", "jobs", "audit-log")
NOWHERE = "http://127.0.0.1:9/hook"  # nobody listens: what is sent there fails


@dataclass(frozen=True)
class Side:
    """What one application has: its key, its webhook, its event."""

    id: str
    client: Client
    webhook: str
    event: str


@dataclass(frozen=True)
class Two:
    service: Service
    acme: Side
    other: Side
    everybodys: str  # a webhook of the project that is bound to none
    nobodys: str  # an event that is bound to none


@pytest.fixture
def two(service: Service) -> Two:
    """Each event has failed everywhere, so there are dead letters; and each webhook has had a job."""
    everybodys = service.webhook(url=NOWHERE, max_attempts=1)["id"]
    sides = [side(service, uid) for uid in ("acme", "other")]
    nobodys = service.event()["id"]
    while records := service.messages():
        deliver.handler({"Records": records}, Context())
    for id in (everybodys, *(one.webhook for one in sides)):
        path = f"/v1/webhooks/{id}/recover"
        started = service.client("POST", path, window(service))
        assert started.status == 202, started.body
    return Two(service, *sides, everybodys, nobodys)


def window(service: Service) -> dict[str, str]:
    """The last minutes, by the database's clock."""
    ((since,),) = service.sql.run("SELECT webhook.rfc3339(now() - interval '5 minutes')")
    return {"since": since}


def side(service: Service, uid: str) -> Side:
    id = service.application(name=uid, uid=uid)["id"]
    client = service.key(application_id=uid)
    webhook = client("POST", "/v1/webhooks", {"name": uid, "url": NOWHERE, "max_attempts": 1})
    assert (webhook.status, webhook.body["application_id"]) == (201, id)
    event = client("POST", "/v1/events", {"type": "a", "data": {"of": uid}})
    assert event.status == 202, event.body
    return Side(id, client, webhook.body["id"], event.body["id"])


def listed(client: Client, path: str) -> list[dict]:
    answer = client("GET", path)
    assert answer.status == 200, (path, answer.body)
    return answer.body["data"]


def ids(client: Client, path: str) -> set[str]:
    return {one["id"] for one in listed(client, path)}


def test_its_lists_hold_what_is_its_applications(two: Two) -> None:
    mine = two.acme
    whole = {name: ids(two.service.client, f"/v1/{name}") for name in LISTS}
    seen = {name: ids(mine.client, f"/v1/{name}") for name in LISTS}
    others = {name: ids(two.other.client, f"/v1/{name}") for name in LISTS}
    assert seen["applications"] == {mine.id}
    assert seen["webhooks"] == {mine.webhook}
    assert seen["events"] == {mine.event}
    for name in LISTS:
        assert seen[name], name
        assert seen[name] < whole[name], name
        assert not seen[name] & others[name], name
    assert {one["webhook_id"] for one in listed(mine.client, "/v1/deliveries")} == {mine.webhook}
    assert {one["webhook_id"] for one in listed(mine.client, "/v1/dead-letters")} == {mine.webhook}
    assert {one["parameters"]["webhook_id"] for one in listed(mine.client, "/v1/jobs")} == {mine.webhook}
    assert {one["application_id"] for one in listed(mine.client, "/v1/audit-log")} == {mine.id}


def test_what_its_event_became_elsewhere_is_not_told(two: Two) -> None:
    """Its event also went to the webhook that is bound to none."""
    path = f"/v1/events/{two.acme.event}"
    whole = {one["webhook_id"] for one in listed(two.service.client, f"{path}/deliveries")}
    assert whole == {two.everybodys, two.acme.webhook}
    assert {one["webhook_id"] for one in listed(two.acme.client, f"{path}/deliveries")} == {two.acme.webhook}
    assert two.service.client("GET", path).body["deliveries"]["failed"] == 2
    assert two.acme.client("GET", path).body["deliveries"] == {"pending": 0, "delivered": 0, "failed": 1}


def test_ids_of_others_as_filters_find_nothing(two: Two) -> None:
    client = two.acme.client
    for path in (
        *(f"/v1/deliveries?webhook_id={id}" for id in (two.other.webhook, two.everybodys)),
        *(f"/v1/deliveries?event_id={id}" for id in (two.other.event, two.nobodys)),
        *(f"/v1/dead-letters?webhook_id={id}" for id in (two.other.webhook, two.everybodys)),
        *(f"/v1/audit-log?resource_id={id}" for id in (two.other.webhook, two.everybodys, two.other.id)),
        *(f"/v1/audit-log?event={kind}" for kind in ("project.*", "event_type.*")),
    ):
        assert listed(client, path) == [], path
    for name in ("webhooks", "events", "deliveries", "audit-log"):
        for application in ("other", two.other.id, "nothing"):
            answer = client("GET", f"/v1/{name}?application_id={application}")
            assert answer.status == 404, (name, application, answer.body)


def test_what_it_makes_is_its_applications(two: Two) -> None:
    mine = two.acme
    for named in ({}, {"application_id": "acme"}, {"application_id": mine.id}):
        webhook = mine.client("POST", "/v1/webhooks", {"name": "n", "url": NOWHERE, **named})
        assert (webhook.status, webhook.body["application_id"]) == (201, mine.id)
        event = mine.client("POST", "/v1/events", {"type": "a", "data": 1, **named})
        assert event.status == 202, event.body
        read = two.service.client("GET", f"/v1/events/{event.body['id']}").body
        assert read["application_id"] == mine.id


def test_it_makes_nothing_elsewhere(two: Two) -> None:
    before = {name: ids(two.service.client, f"/v1/{name}") for name in ("webhooks", "events")}
    for name in ("other", two.other.id, "nothing", "a b"):
        for path, body in (
            ("/v1/webhooks", {"name": "n", "url": NOWHERE}),
            ("/v1/events", {"type": "a", "data": 1}),
            ("/v1/events/batch", {"events": [{"type": "a", "data": 1, "application_id": name}]}),
        ):
            named = body if path.endswith("batch") else {**body, "application_id": name}
            answer = two.acme.client("POST", path, named)
            assert answer.status == 404, (path, name, answer.body)
            assert "application" in answer.body["error"]["message"]
    assert {name: ids(two.service.client, f"/v1/{name}") for name in before} == before


def test_an_event_id_of_another_application_tells_nothing_of_its_event(two: Two) -> None:
    theirs = two.other.client("POST", "/v1/events", {"type": "secret.plan", "data": 1, "id": "order-1"})
    assert theirs.status == 202
    for id in ("order-1", theirs.body["id"]):
        taken = two.acme.client("POST", "/v1/events", {"type": "a", "data": 2, "id": id})
        assert taken.status == 409, taken.body
        assert "secret.plan" not in str(taken.body)
        assert two.acme.client("GET", f"/v1/events/{id}").status == 404
        batch = {"events": [{"type": "a", "data": 2}, {"type": "a", "data": 2, "id": id}]}
        assert two.acme.client("POST", "/v1/events/batch", batch).status == 409
    again = two.other.client("POST", "/v1/events", {"type": "secret.plan", "data": 1, "id": "order-1"})
    assert (again.status, again.body) == (200, theirs.body)
    assert len(ids(two.acme.client, "/v1/events")) == 1


def test_the_same_idempotency_key_in_two_applications_is_two(two: Two) -> None:
    body, headers = {"name": "n", "url": NOWHERE}, {"idempotency-key": "same"}
    clients = (two.acme.client, two.other.client, two.service.client)
    made = [client("POST", "/v1/webhooks", body, headers=headers) for client in clients]
    assert [one.status for one in made] == [201, 201, 201]
    assert [one.body["application_id"] for one in made] == [two.acme.id, two.other.id, None]
    assert two.acme.client("POST", "/v1/webhooks", body, headers=headers).body == made[0].body


def test_levers_by_query_move_its_own_and_no_more(two: Two) -> None:
    client, everywhere = two.acme.client, window(two.service)
    created = {"created_after": everywhere["since"], "dry_run": True}
    for path in ("/v1/deliveries/retry", "/v1/dead-letters/redrive", "/v1/dead-letters/discard"):
        assert client("POST", path, created).body == {"dry_run": True, "matched": 1}, path
        assert two.service.client("POST", path, created).body["matched"] == 5, path
        for webhook in (two.other.webhook, two.everybodys):
            answer = client("POST", path, {**created, "webhook_id": webhook})
            assert answer.status == 422, (path, answer.body)
            assert answer.body["error"]["details"][0]["path"] == "webhook_id"


def test_it_replays_its_event_to_its_own_webhooks(two: Two) -> None:
    path = f"/v1/events/{two.acme.event}/replay"
    replayed = two.acme.client("POST", path, {})
    assert replayed.status in {200, 201, 202}, replayed.body
    assert {one["webhook_id"] for one in replayed.body["deliveries"]} == {two.acme.webhook}
    for webhook in (two.other.webhook, two.everybodys):
        assert two.acme.client("POST", path, {"webhook_id": webhook}).status in {404, 422}


def test_what_is_the_whole_projects_it_does_not_touch(two: Two) -> None:
    client, project = two.acme.client, two.service.project_id
    for method, path, body in (
        ("POST", "/v1/applications", {"name": "n"}),
        ("PATCH", "/v1/applications/acme", {"name": "n"}),
        ("DELETE", "/v1/applications/acme", None),
        ("PATCH", "/v1/applications/other", {"name": "n"}),
        ("DELETE", "/v1/applications/other", None),
        ("POST", "/v1/event-types", {"name": "a.b"}),
        ("PATCH", f"/v1/projects/{project}", {"name": "n"}),
        ("GET", f"/v1/projects/{project}/api-keys", None),
        ("POST", f"/v1/projects/{project}/api-keys", {"name": "k", "scopes": ["*"]}),
    ):
        assert client(method, path, body).status == 403, (method, path)
    assert client("GET", "/v1/applications/acme").status == 200
    for name in ("other", two.other.id, "nothing"):
        assert client("GET", f"/v1/applications/{name}").status == 404


def test_a_webhook_gets_its_own_applications_events(two: Two) -> None:
    """Bound to one: that one's. Bound to none: all."""
    got: dict[str, set[str]] = {}
    for delivery in listed(two.service.client, "/v1/deliveries"):
        got.setdefault(delivery["webhook_id"], set()).add(delivery["event_id"])
    assert got == {
        two.acme.webhook: {two.acme.event},
        two.other.webhook: {two.other.event},
        two.everybodys: {two.acme.event, two.other.event, two.nobodys},
    }


def test_an_application_of_another_project_is_nobody(two: Two, new_project: NewProject) -> None:
    project, stranger = new_project()
    assert listed(stranger, "/v1/applications") == []
    for name in ("acme", two.acme.id):
        for method, body in (("GET", None), ("PATCH", {"name": "n"}), ("DELETE", None)):
            assert stranger(method, f"/v1/applications/{name}", body).status == 404
        for path, body in (
            ("/v1/webhooks", {"name": "n", "url": NOWHERE, "application_id": name}),
            ("/v1/events", {"type": "a", "data": 1, "application_id": name}),
        ):
            answer = stranger("POST", path, body)
            assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, "application_id")
        wanted = {"name": "k", "scopes": ["*"], "application_id": name}
        assert two.service.admin("POST", f"/v1/projects/{project}/api-keys", wanted).status == 422
