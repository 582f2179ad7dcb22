"""Replaying an event: to whom it goes, and when there is nothing to replay."""

from typing import Any

from tests.integration.conftest import Service
from tests.integration.endpoint import Endpoint
from tests.integration.levers_scene import (
    audited,
    bound_client,
    delivery,
    dispatch_all,
    run,
    sent,
    states,
)
from tests.integration.replays_scene import events, filtered, got_by, missing, replay

UNKNOWN = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def test_a_replay_sends_the_same_event_under_the_same_id(service: Service, receiver: Endpoint) -> None:
    webhook = service.webhook(url=receiver.url)
    (event,) = events(service)
    first = replay(service, event)
    assert first.status == 202
    assert first.body["event_id"] == event
    ((made),) = first.body["deliveries"]
    assert made["webhook_id"] == webhook["id"]
    run(service)
    again = replay(service, event)
    run(service)
    assert again.body["deliveries"][0]["id"] != made["id"]
    assert [one.headers["webhook-id"] for one in receiver.received] == [event, event]
    assert receiver.received[0].body == receiver.received[1].body
    assert delivery(service, made["id"])["status"] == "delivered"
    entries = audited(service, "event.replayed")
    assert [one["resource"]["id"] for one in entries] == [event, event]
    assert entries[0]["after"] == {"webhook_id": None, "deliveries": 1}


def test_a_replay_whose_message_is_lost_is_found_by_dispatch(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url)
    replay(service, events(service)[0])
    service.messages()
    assert dispatch_all(service)["deliveries"] == 1
    run(service)
    assert len(receiver.received) == 1


def test_a_replay_goes_to_whom_the_event_matches_now(service: Service) -> None:
    (acme,) = service.sql.run(
        "INSERT INTO webhook.applications (project_id, name) VALUES (:p, 'acme') RETURNING id",
        p=service.project_id,
    )[0]
    names = ("every", "type", "prefix", "twice", "paused", "other", "disabled", "off", "deleted", "fits", "not")
    hooks = {name: service.webhook(name=name) for name in (*names, "bound", "elsewhere", "test", "live")}
    (event,) = events(service, application=str(acme), environment="test", data='{"amount": 5}')

    def subscribe(name: str, *patterns: str) -> None:
        service.sql.run("DELETE FROM webhook.webhook_subscriptions WHERE webhook_id = :id", id=hooks[name]["id"])
        for pattern in patterns:
            service.sql.run(
                "INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type)"
                " VALUES (:p, :id, :pattern)",
                p=service.project_id,
                id=hooks[name]["id"],
                pattern=pattern,
            )

    def set(name: str, what: str, **values: Any) -> None:
        service.sql.run(f"UPDATE webhook.webhooks SET {what} WHERE id = :id", id=hooks[name]["id"], **values)

    subscribe("type", "invoice.paid")
    subscribe("prefix", "invoice.*")
    subscribe("twice", "invoice.*", "invoice.paid", "*")
    subscribe("other", "invoice.sent", "order.*")
    set("paused", "status = 'paused'")
    set("disabled", "status = 'disabled'")
    set("deleted", "deleted_at = now()")
    set("bound", "application_id = :a", a=acme)
    service.sql.run(
        "UPDATE webhook.webhook_subscriptions SET enabled = false WHERE webhook_id = :i", i=hooks["off"]["id"]
    )
    filtered(service, hooks["fits"], {"amount": {"gte": 5}})
    filtered(service, hooks["not"], {"missing": 1})
    (other,) = service.sql.run(
        "INSERT INTO webhook.applications (project_id, name) VALUES (:p, 'b') RETURNING id", p=service.project_id
    )[0]
    set("elsewhere", "application_id = :a", a=other)
    set("test", "environment = 'test'")
    set("live", "environment = 'live'")
    answer = replay(service, event)
    names_by_id = {hook["id"]: name for name, hook in hooks.items()}
    reached = [names_by_id[one["webhook_id"]] for one in answer.body["deliveries"]]
    wanted = ["bound", "every", "fits", "paused", "prefix", "test", "twice", "type"]
    assert sorted(reached) == wanted
    (bound,) = service.sql.run(
        "SELECT application_id FROM webhook.webhook_deliveries WHERE application_id IS NOT NULL"
    )
    assert bound == [acme]
    missing_of = {
        name: missing(service, hook)["total"]
        for name, hook in hooks.items()
        if name not in {"disabled", "deleted"}
    }
    assert all(count == 0 for count in missing_of.values()), "the same ones, found the other way round"
    service.sql.run("DELETE FROM webhook.webhook_deliveries")
    missing_of = {
        name: missing(service, hook)["total"]
        for name, hook in hooks.items()
        if name not in {"disabled", "deleted"}
    }
    assert sorted(name for name, count in missing_of.items() if count) == wanted


def test_a_replay_to_one_needs_no_subscription_but_its_binding(service: Service) -> None:
    (acme,) = service.sql.run(
        "INSERT INTO webhook.applications (project_id, name) VALUES (:p, 'acme') RETURNING id",
        p=service.project_id,
    )[0]
    webhook = service.webhook(event_types=["nothing.else"])
    service.webhook()
    (event,) = events(service)
    answer = replay(service, event, webhook_id=webhook["id"])
    assert [one["webhook_id"] for one in answer.body["deliveries"]] == [webhook["id"]]
    for change, said in (
        ("application_id = :a", "another application"),
        ("application_id = NULL, environment = 'live'", "another environment"),
        ("environment = NULL, status = 'disabled'", "disabled"),
        ("status = 'paused', deleted_at = now()", "deleted"),
    ):
        values = {"a": acme} if ":a" in change else {}
        service.sql.run(f"UPDATE webhook.webhooks SET {change} WHERE id = :id", id=webhook["id"], **values)
        refused = replay(service, event, webhook_id=webhook["id"])
        assert refused.status == 409
        assert said in refused.body["error"]["message"]
    for wrong in (UNKNOWN, "x", 1):
        refused = replay(service, event, webhook_id=wrong)
        assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "webhook_id")
    service.sql.run("UPDATE webhook.webhooks SET deleted_at = NULL WHERE id = :id", id=webhook["id"])
    assert replay(service, event, webhook_id=webhook["id"]).status == 202, "a paused one's waits for it"
    assert len(got_by(service, webhook)) == 2


def test_a_replay_is_refused_where_there_is_nothing_to_send(service: Service) -> None:
    webhook = service.webhook()
    (event,) = events(service)
    service.sql.run("UPDATE webhook.webhook_events SET data = NULL, expunged_at = now() WHERE id = :id", id=event)
    assert replay(service, event).status == 409
    test = service.client("POST", f"/v1/webhooks/{webhook['id']}/test", {"type": "invoice.paid"}).body["event_id"]
    refused = replay(service, test)
    assert (refused.status, "test" in refused.body["error"]["message"]) == (409, True)
    for unknown in (UNKNOWN, "x", "never-seen"):
        assert replay(service, unknown).status == 404
    assert states(service) == {"pending": 1}


def test_an_event_is_replayed_by_the_callers_own_id_too(service: Service) -> None:
    service.webhook()
    event = service.event(id="order-7")
    assert replay(service, "order-7").body["event_id"] == event["id"]


def test_a_replay_is_made_once_for_an_idempotency_key(service: Service) -> None:
    service.webhook()
    (event,) = events(service)
    path, key = f"/v1/events/{event}/replay", {"idempotency-key": "r"}
    first, again = (service.client("POST", path, headers=key) for _ in range(2))
    assert first.body == again.body
    assert states(service) == {"pending": 1}
    assert len(sent(service, "delivery")) == 1


def test_a_replay_stays_within_the_callers_reach(service: Service, new_project: Any) -> None:
    application, bound = bound_client(service)
    _, stranger = new_project()
    _, reader = new_project("deliveries:read", "events:read", "events:write")
    of_all = service.webhook()
    own = bound("POST", "/v1/webhooks", {"name": "own", "url": "http://127.0.0.1:9/"}).body
    (event,) = events(service)
    (its,) = events(service, application=application)
    for client in (bound, stranger):
        assert client("POST", f"/v1/events/{event}/replay").status == 404
    assert reader("POST", f"/v1/events/{event}/replay").status == 403
    answer = bound("POST", f"/v1/events/{its}/replay")
    assert [one["webhook_id"] for one in answer.body["deliveries"]] == [own["id"]]
    assert bound("POST", f"/v1/events/{its}/replay", {"webhook_id": of_all["id"]}).status == 422
    assert len(replay(service, its).body["deliveries"]) == 2
