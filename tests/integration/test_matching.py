"""Which webhooks get an event: application, environment, filter, status (C1, C3, D2, D5)."""

import json
import random
from collections import Counter
from itertools import product
from typing import Any

import pytest

from functions.domain import filters
from functions.domain.event_types import patterns_matching
from functions.ingest import accepting
from tests.integration.conftest import Answer, Client, Service

LARGE = {"amount": {"gt": 100}}


def matched(service: Service, id: str) -> set[str]:
    """The names of the webhooks that have a delivery of the event; each has one."""
    rows = service.sql.run(
        "SELECT w.name FROM webhook.webhook_deliveries d JOIN webhook.webhooks w ON w.id = d.webhook_id"
        " WHERE d.event_id = :id",
        id=id,
    )
    names = [name for (name,) in rows]
    assert len(names) == len(set(names))
    return set(names)


def send(service: Service, client: Client | None = None, **values: Any) -> Answer:
    return (client or service.client)("POST", "/v1/events", {"type": "invoice.paid", "data": {}, **values})


def sent(service: Service, **values: Any) -> set[str]:
    """Who got it, which the answer says as well."""
    answer = send(service, **values)
    assert answer.status == 202, answer.body
    names = matched(service, answer.body["id"])
    assert answer.body["webhooks_matched"] == len(names)
    return names


def set_status(service: Service, webhook: dict[str, Any], status: str) -> None:
    service.sql.run("UPDATE webhook.webhooks SET status = :s WHERE id = :id", s=status, id=webhook["id"])


BINDINGS = {"none": None, "acme": "acme", "ajax": "ajax"}
PLACES = {"anywhere": None, "production": "production", "staging": "staging"}
FILTERS = {"all": None, "large": LARGE}
STATUSES = ("active", "paused", "disabled")


def test_the_whole_table_of_application_environment_filter_and_status(service: Service) -> None:
    for uid in ("acme", "ajax"):
        service.application(uid=uid)
    for binding, place, filter_, status in product(BINDINGS, PLACES, FILTERS, STATUSES):
        webhook = service.webhook(
            name=f"{binding} {place} {filter_} {status}",
            application_id=BINDINGS[binding],
            environment=PLACES[place],
            filter=FILTERS[filter_],
        )
        set_status(service, webhook, status)
    for application, environment, amount in product((None, "acme", "ajax"), (None, "production", "qa"), (50, 500)):
        expected = {
            f"{binding} {place} {filter_} {status}"
            for binding, place, filter_, status in product(BINDINGS, PLACES, FILTERS, STATUSES)
            if BINDINGS[binding] in {None, application}
            and PLACES[place] in {None, environment}
            and (filter_ == "all" or amount > 100)
            and status != "disabled"
        }
        got = sent(service, application_id=application, environment=environment, data={"amount": amount})
        assert got == expected, (application, environment, amount)


def test_what_a_delivery_is_bound_to_is_its_webhooks_application(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    service.webhook(name="bound", application_id="acme")
    service.webhook(name="unbound")
    send(service, application_id="acme")
    rows = service.sql.run(
        "SELECT w.name, d.application_id::text FROM webhook.webhook_deliveries d"
        " JOIN webhook.webhooks w ON w.id = d.webhook_id"
    )
    assert dict(rows) == {"bound": acme, "unbound": None}


def test_several_matching_subscriptions_make_one_delivery(service: Service) -> None:
    webhook = service.webhook(name="all ways", event_types=["*", "invoice.*", "invoice.paid"], filter=LARGE)
    path = f"/v1/webhooks/{webhook['id']}/subscriptions"
    assert sent(service, data={"amount": 500}) == {"all ways"}
    assert sent(service, data={"amount": 5}) == set()
    assert service.client("POST", path, {"event_type": "invoice.*"}).status == 201
    assert sent(service, data={"amount": 500}) == {"all ways"}
    assert sent(service, data={"amount": 5}) == {"all ways"}


@pytest.mark.parametrize("data", [None, "text", 500, [], {}, {"amount": None}, {"amount": "500"}, {"amount": [1]}])
def test_what_a_filter_cannot_tell_does_not_match(service: Service, data: Any) -> None:
    service.webhook(name="large", filter=LARGE)
    assert sent(service, data=data) == set()


def test_a_filter_that_comes_or_goes_counts_for_the_next_event(service: Service) -> None:
    webhook = service.webhook(name="w")
    (subscription,) = webhook["subscriptions"]
    path = f"/v1/webhooks/{webhook['id']}/subscriptions/{subscription['id']}"
    small = {"amount": 5}
    assert sent(service, data=small) == {"w"}
    assert service.client("PATCH", path, {"filter": LARGE}).status == 200
    assert sent(service, data=small) == set()
    assert sent(service, data={"amount": 500}) == {"w"}
    assert service.client("PATCH", path, {"filter": None}).status == 200
    assert sent(service, data=small) == {"w"}


def test_the_first_event_that_meets_a_filter_is_stored_once(service: Service) -> None:
    """What has no filters is tried first, and stores nothing where there is one after all."""
    accepting._filtered.clear()
    service.webhook(name="large", filter=LARGE)
    for _ in range(2):
        events = [{"type": "invoice.paid", "data": {"amount": n}, "id": f"o-{n}"} for n in (50, 500)]
        answer = service.client("POST", "/v1/events/batch", {"events": events})
        assert [one["webhooks_matched"] for one in answer.body["data"]] == [0, 1]
    counts = service.sql.run(
        "SELECT (SELECT count(*) FROM webhook.webhook_events), (SELECT count(*) FROM webhook.webhook_event_ids),"
        " (SELECT count(*) FROM webhook.webhook_deliveries)"
    )
    assert counts == [[2, 2, 1]]


def test_the_hints_about_filters_are_bounded(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(accepting, "HINTS", 3)
    accepting._filtered.clear()
    service.webhook(name="large", filter=LARGE)
    for n in range(10):
        assert sent(service, type=f"t{n}", data={"amount": 500}) == {"large"}
        assert len(accepting._filtered) <= 3


def test_an_application_is_named_by_its_id_or_its_uid(service: Service) -> None:
    acme = service.application(uid="acme")
    service.webhook(name="acme", application_id=acme["id"])
    for name in ("acme", acme["id"], acme["id"].upper()):
        answer = send(service, application_id=name)
        assert (answer.body["application_id"], answer.body["webhooks_matched"]) == (acme["id"], 1)
        assert service.client("GET", f"/v1/events/{answer.body['id']}").body["application_id"] == acme["id"]


@pytest.mark.parametrize("name", ["none", "01a1febd-8164-75e5-b9fa-9170b7f55d63", "Acme", "a b", "x" * 255, "ü"])
def test_an_unknown_application_is_422_and_stores_nothing(service: Service, name: str) -> None:
    service.application(uid="acme")
    refused = send(service, application_id=name, id="order-7")
    assert refused.status == 422
    assert refused.body["error"]["details"] == [
        {"path": "application_id", "message": "there is no such application"}
    ]
    events = [{"type": "a", "data": 1, "application_id": who} for who in ("acme", name, None, name)]
    batch = service.client("POST", "/v1/events/batch", {"events": events})
    paths = [one["path"] for one in batch.body["error"]["details"]]
    assert (batch.status, paths) == (422, ["events.1.application_id", "events.3.application_id"])
    assert service.sql.run("SELECT count(*) FROM webhook.webhook_event_ids") == [[0]]
    assert service.client("GET", "/v1/events").body["data"] == []


@pytest.mark.parametrize(
    "values",
    [
        {"application_id": ""},
        {"application_id": 1},
        {"application_id": "x" * 256},
        {"environment": ""},
        {"environment": "a b"},
        {"environment": "x" * 65},
        {"environment": 1},
    ],
)
def test_bad_bindings_are_422(service: Service, values: dict[str, Any]) -> None:
    assert send(service, **values).status == 422


def test_a_deleted_application_is_unknown_but_what_is_known_by_its_id_is_answered(service: Service) -> None:
    service.application(uid="acme")
    first = send(service, application_id="acme", id="order-7")
    assert service.client("DELETE", "/v1/applications/acme").status == 204
    again = send(service, application_id="acme", id="order-7")
    assert (first.status, again.status) == (202, 200)
    assert first.body == again.body
    assert send(service, application_id="acme", id="order-8").status == 422


def test_a_bound_key_sends_events_of_its_application(service: Service) -> None:
    acme, ajax = service.application(uid="acme"), service.application(uid="ajax")
    for name in ("acme", "ajax", None):
        service.webhook(name=name or "unbound", application_id=name)
    bound = service.key(application_id=acme["id"])
    for named in ({}, {"application_id": "acme"}, {"application_id": acme["id"]}):
        answer = send(service, bound, **named)
        assert answer.body["application_id"] == acme["id"]
        assert matched(service, answer.body["id"]) == {"acme", "unbound"}
    for named in ("ajax", ajax["id"], "none"):
        assert send(service, bound, application_id=named).status == 404


def test_a_bound_key_of_a_deleted_application_is_revoked_at_once(service: Service) -> None:
    """The gateway may know the key for a minute longer; here it is known as the authorizer found it."""
    acme = service.application(uid="acme")
    bound = service.key(application_id=acme["id"])
    service.sql.run("UPDATE webhook.applications SET deleted_at = now() WHERE id = :id", id=acme["id"])
    assert send(service, bound).status == 401
    assert service.client("GET", "/v1/events").body["data"] == []


def test_another_applications_event_id_is_a_conflict_for_a_bound_key(service: Service) -> None:
    acme, ajax = service.application(uid="acme"), service.application(uid="ajax")
    assert send(service, application_id="ajax", id="order-7").status == 202
    taken = send(service, service.key(application_id=acme["id"]), id="order-7")
    assert (taken.status, taken.body["error"]["details"]) == (409, [{"path": "id", "message": "is taken"}])
    own = send(service, service.key(application_id=ajax["id"]), id="order-7")
    assert own.status == 200


def test_a_batch_may_be_of_many_kinds(service: Service) -> None:
    for uid in ("acme", "ajax"):
        service.application(uid=uid)
        service.webhook(name=uid, application_id=uid)
    service.webhook(name="staging", environment="staging", event_types=["order.*"])
    service.webhook(name="large", filter=LARGE)
    kinds = [
        (type_, application, environment, amount)
        for type_ in ("order.new", "invoice.paid")
        for application in (None, "acme", "ajax")
        for environment in (None, "staging")
        for amount in (5, 500)
    ]
    events = [
        {"type": t, "application_id": a, "environment": e, "data": {"amount": n}, "id": f"{t}{a}{e}{n}"}
        for t, a, e, n in kinds
    ]
    answer = service.client("POST", "/v1/events/batch", {"events": events})
    assert answer.status == 202
    for (type_, application, environment, amount), event in zip(kinds, answer.body["data"], strict=True):
        expected = {application} if application else set()
        expected |= {"staging"} if (type_, environment) == ("order.new", "staging") else set()
        expected |= {"large"} if amount > 100 else set()
        assert matched(service, event["id"]) == expected
        assert (event["type"], event["environment"]) == (type_, environment)
        assert event["webhooks_matched"] == len(expected)


PARTS = ("a", "b", "c")
SOME_FILTERS: tuple[Any, ...] = (
    *(None, None, {"n": {"gt": 2}}, {"n": {"lt": 2}}, {"s": "x"}, {"or": [{"n": 1}, {"s": {"exists": False}}]}),
    *({"not": {"s": "x"}}, {"tags": "red"}, {"deep.n": {"in": [1, 2]}}),
)


def some_data(chance: random.Random) -> Any:
    return chance.choice(
        [
            {"n": chance.randrange(5)},
            {"n": chance.randrange(5), "s": chance.choice("xyz")},
            {"s": "x", "tags": chance.sample(["red", "green"], chance.randrange(3))},
            {"deep": {"n": chance.randrange(4)}},
            [1, 2],
            None,
        ]
    )


def some_pattern(chance: random.Random) -> str:
    exact = ".".join(chance.choice(PARTS) for _ in range(chance.randrange(1, 4)))
    return chance.choice(["*", exact, f"{exact}.*", f"{exact}.*"])


@pytest.mark.parametrize("seed", range(4))
def test_webhooks_matched_is_the_number_of_deliveries_and_who_should_gets_one(service: Service, seed: int) -> None:
    """At random, against the same rules in Python."""
    chance = random.Random(seed)
    for uid in ("acme", "ajax"):
        service.application(uid=uid)
    webhooks: dict[str, dict[str, Any]] = {}
    for n in range(25):
        binding = {
            "application_id": chance.choice([None, None, "acme", "ajax"]),
            "environment": chance.choice([None, None, "production", "qa"]),
        }
        patterns = list({some_pattern(chance) for _ in range(chance.randrange(1, 4))})
        filter_ = chance.choice(SOME_FILTERS)
        made = service.webhook(name=f"w{n}", **binding, event_types=patterns, filter=filter_)
        status = chance.choice(["active", "active", "paused", "disabled"])
        set_status(service, made, status)
        webhooks[f"w{n}"] = {**binding, "status": status, "wants": [(pattern, filter_) for pattern in patterns]}
        if chance.random() < 0.5:
            pattern, more = some_pattern(chance), chance.choice(SOME_FILTERS)
            path = f"/v1/webhooks/{made['id']}/subscriptions"
            if service.client("POST", path, {"event_type": pattern, "filter": more}).status == 201:
                webhooks[f"w{n}"]["wants"].append((pattern, more))
    events = [
        {
            "type": ".".join(chance.choice(PARTS) for _ in range(chance.randrange(1, 4))),
            "application_id": chance.choice([None, "acme", "ajax"]),
            "environment": chance.choice([None, "production", "qa"]),
            "data": some_data(chance),
        }
        for _ in range(60)
    ]
    answers = service.client("POST", "/v1/events/batch", {"events": events}).body["data"]
    for event, answer in zip(events, answers, strict=True):
        expected = {name for name, webhook in webhooks.items() if wants(webhook, event)}
        assert matched(service, answer["id"]) == expected, json.dumps(event)
        assert answer["webhooks_matched"] == len(expected)
    counts = service.sql.run(
        "SELECT e.webhooks_matched, count(d.id) FROM webhook.webhook_events e"
        " LEFT JOIN webhook.webhook_deliveries d ON d.event_id = e.id GROUP BY e.id, e.webhooks_matched"
    )
    assert all(said == made for said, made in counts)
    assert len(Counter(made for _, made in counts)) > 3, "not all alike"


def wants(webhook: dict[str, Any], event: dict[str, Any]) -> bool:
    bound = all(webhook[what] in {None, event[what]} for what in ("application_id", "environment"))
    patterns = patterns_matching(event["type"])
    return (
        bound
        and webhook["status"] != "disabled"
        and any(
            pattern in patterns and (filter_ is None or filters.matches(filter_, event["data"]))
            for pattern, filter_ in webhook["wants"]
        )
    )
