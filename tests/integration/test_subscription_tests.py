"""Trying subscriptions and filters on a sample event: whether they match, and why not."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.domain import subscription_matching
from tests.integration.conftest import Answer, Client, Service

NewProject = Callable[..., tuple[str, Client]]
PATH = "/v1/subscriptions/test"
SAMPLE = {"type": "invoice.paid", "data": {"amount": 50, "customer": {"country": "DE"}}}


def tried(service: Service, **values: Any) -> dict[str, Any]:
    answer = service.client("POST", PATH, {**SAMPLE, **values})
    assert answer.status == 200, answer.body
    return dict(answer.body)


def reasons(service: Service, **values: Any) -> list[tuple[str, str]]:
    """Why the only subscription there is does not match."""
    (row,) = tried(service, **values)["data"]
    assert row["matches"] is (row["reasons"] == [])
    return [(one["path"], one["message"]) for one in row["reasons"]]


def test_a_subscription_that_matches_is_shown_with_its_webhook(service: Service) -> None:
    webhook = service.webhook(event_types=["invoice.*"], filter={"amount": {"lt": 100}}, name="billing")
    assert tried(service) == {
        "data": [
            {
                "webhook_id": webhook["id"],
                "webhook_name": "billing",
                "subscription_id": webhook["subscriptions"][0]["id"],
                "event_type": "invoice.*",
                "filter": {"amount": {"lt": 100}},
                "matches": True,
                "reasons": [],
            }
        ],
        "webhooks_matched": 1,
        "next_cursor": None,
    }


def test_a_pattern_that_does_not_match(service: Service) -> None:
    service.webhook(event_types=["order.*"])
    assert reasons(service) == [("type", "invoice.paid is not matched by order.*")]


def test_a_subscription_that_is_not_enabled(service: Service) -> None:
    webhook = service.webhook(event_types=["*"])
    path = f"/v1/webhooks/{webhook['id']}/subscriptions/{webhook['subscriptions'][0]['id']}"
    service.client("PATCH", path, {"enabled": False})
    assert reasons(service) == [("subscription.enabled", "the subscription is not enabled")]


def test_the_filter_is_explained_at_its_place_in_the_data(service: Service) -> None:
    service.webhook(event_types=["*"], filter={"amount": {"gt": 100}, "customer": {"country": "US", "vip": True}})
    assert sorted(reasons(service)) == [
        ("data.amount", "amount is 50, wanted > 100"),
        ("data.customer.country", 'customer.country is "DE", wanted "US"'),
        ("data.customer.vip", "customer.vip is missing"),
    ]
    assert reasons(service, data=7)[0] == ("data.amount", "amount is missing")


@pytest.mark.parametrize(("status", "matched"), [("active", 1), ("paused", 1), ("disabled", 0)])
def test_a_paused_webhook_matches_and_a_disabled_one_does_not(service: Service, status: str, matched: int) -> None:
    service.webhook(event_types=["*"])
    service.sql.run("UPDATE webhook.webhooks SET status = :status", status=status)
    assert tried(service)["webhooks_matched"] == matched
    expected = [] if matched else [("webhook.status", "the webhook is disabled and gets no deliveries")]
    assert reasons(service) == expected


def test_another_application_and_another_environment(service: Service) -> None:
    acme, other = (service.application(uid=uid)["id"] for uid in ("acme", "other"))
    service.webhook(event_types=["*"], application_id=acme, environment="production")
    bound = f"the webhook is bound to the application {acme}, the event belongs"
    assert reasons(service) == [
        ("application_id", f"{bound} to no application"),
        ("environment", "the webhook wants production, the event has none"),
    ]
    assert reasons(service, application_id="other", environment="staging") == [
        ("application_id", f"{bound} to {other}"),
        ("environment", "the webhook wants production, the event has staging"),
    ]
    assert reasons(service, application_id="acme", environment="production") == []


def test_an_event_of_an_application_and_environment_is_for_unbound_webhooks_too(service: Service) -> None:
    service.application(uid="acme")
    service.webhook(event_types=["*"])
    assert reasons(service, application_id="acme", environment="production") == []


def test_the_answer_is_what_an_event_then_gets(service: Service) -> None:
    service.application(uid="acme")
    for values in (
        {"filter": {"amount": {"gte": 50}}},
        {"filter": {"amount": {"gt": 50}}},
        {"filter": {"not": {"customer.country": "US"}}},
        {"event_types": ["invoice.paid", "invoice.*"]},
        {"event_types": ["invoice"]},
        {"application_id": "acme"},
        {"environment": "production"},
        {"environment": "production", "application_id": "acme", "filter": {"customer": {"country": "DE"}}},
    ):
        service.webhook(**values)
    for values, matched in (
        ({}, 3),
        ({"application_id": "acme"}, 4),
        ({"application_id": "acme", "environment": "production"}, 6),
        ({"data": {"amount": 51}}, 4),
        ({"data": [1]}, 2),
        ({"type": "invoice"}, 3),
    ):
        assert tried(service, **values)["webhooks_matched"] == matched
        assert service.event(**{**SAMPLE, **values})["webhooks_matched"] == matched


def test_several_matching_subscriptions_of_a_webhook_count_as_one(service: Service) -> None:
    service.webhook(event_types=["*", "invoice.*", "invoice.paid", "order.*"])
    answer = tried(service)
    assert answer["webhooks_matched"] == 1
    assert [row["matches"] for row in answer["data"]].count(True) == 3


def test_pages_are_newest_first_and_the_count_is_over_all(service: Service) -> None:
    ids = [
        service.webhook(event_types=[pattern])["subscriptions"][0]["id"] for pattern in ("*", "a", "*", "a", "*")
    ]
    first = service.client("POST", f"{PATH}?limit=2", SAMPLE).body
    second = service.client("POST", f"{PATH}?limit=3&cursor={first['next_cursor']}", SAMPLE).body
    assert [row["subscription_id"] for row in first["data"] + second["data"]] == ids[::-1]
    assert (first["webhooks_matched"], second["webhooks_matched"], second["next_cursor"]) == (3, 3, None)
    assert service.client("POST", f"{PATH}?limit=251", SAMPLE).status == 422
    assert service.client("POST", f"{PATH}?cursor=x", SAMPLE).status == 422


def test_the_list_is_narrowed_to_a_webhook_and_to_what_matches(service: Service) -> None:
    one, other = service.webhook(event_types=["*", "a"]), service.webhook(event_types=["*"])
    of_one = tried(service, webhook_id=one["id"])
    assert ({row["webhook_id"] for row in of_one["data"]}, of_one["webhooks_matched"]) == ({one["id"]}, 1)
    assert len(of_one["data"]) == 2
    matching, others = (tried(service, matches=wanted) for wanted in (True, False))
    assert {row["webhook_id"] for row in matching["data"]} == {one["id"], other["id"]}
    assert [row["event_type"] for row in others["data"]] == ["a"]
    assert (matching["webhooks_matched"], others["webhooks_matched"]) == (2, 2)


def test_what_is_another_projects_or_applications_is_not_shown(service: Service, new_project: NewProject) -> None:
    acme = service.application(uid="acme")["id"]
    bound, unbound = service.webhook(application_id=acme), service.webhook()
    _, stranger = new_project()
    assert stranger("POST", PATH, SAMPLE).body == {"data": [], "webhooks_matched": 0, "next_cursor": None}
    own = service.key("webhooks:read", application_id=acme)
    (row,) = own("POST", PATH, SAMPLE).body["data"]
    assert (row["webhook_id"], row["matches"]) == (bound["id"], True)  # its events belong to its application
    for client, webhook in ((stranger, bound), (own, unbound)):
        answer = client("POST", PATH, {**SAMPLE, "webhook_id": webhook["id"]})
        assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, "webhook_id")
    assert stranger("POST", PATH, {**SAMPLE, "application_id": "acme"}).status == 422
    service.client("DELETE", f"/v1/webhooks/{unbound['id']}")
    assert [row["webhook_id"] for row in tried(service)["data"]] == [bound["id"]]


def filtered(service: Service, filter: Any, data: Any) -> tuple[bool, list[tuple[str, str]]]:
    answer = service.client("POST", PATH, {"filter": filter, "data": data})
    assert answer.status == 200, answer.body
    assert set(answer.body) == {"matches", "reasons"}
    return answer.body["matches"], [(one["path"], one["message"]) for one in answer.body["reasons"]]


def test_a_filter_is_tried_before_it_is_saved(service: Service) -> None:
    assert filtered(service, {"amount": {"gt": 100}}, {"amount": 101}) == (True, [])
    not_enough = [("data.amount", "amount is 50, wanted > 100")]
    assert filtered(service, {"amount": {"gt": 100}}, {"amount": 50}) == (False, not_enough)
    assert filtered(service, {"gt": 100}, 50) == (False, [("data", "the data is 50, wanted > 100")])
    assert filtered(service, {"eq": None}, None) == (True, [])
    assert service.client("GET", "/v1/webhooks").body["data"] == []


@pytest.mark.parametrize(
    ("filter", "data", "matches"),
    [
        ('{"n": {"gt": 0.3}}', '{"n": 0.3000000000000000000001}', True),
        ('{"n": 0.3}', '{"n": 0.3000000000000000000001}', False),
        ('{"n": 0.3}', '{"n": 0.30}', True),
        ('{"n": 12345678901234567890123}', '{"n": 12345678901234567890124}', False),
        ('{"n": 12345678901234567890123}', '{"n": 12345678901234567890123}', True),
        ('{"n": {"lt": 1e300}}', '{"n": 1e299}', True),
        ('{"n": 100}', '{"n": 1e2}', True),
    ],
)
def test_numbers_keep_every_digit_on_the_way(service: Service, filter: str, data: str, matches: bool) -> None:
    answer = service.client("POST", PATH, raw=f'{{"filter": {filter}, "data": {data}}}')
    assert (answer.body["matches"], answer.body["reasons"] == []) == (matches, matches)
    service.webhook(event_types=["*"], filter=json.loads(filter))
    answer = service.client("POST", PATH, raw=f'{{"type": "a", "data": {data}}}')
    assert [(row["matches"], row["reasons"] == []) for row in answer.body["data"]] == [(matches, matches)]


def test_of_very_large_data_only_the_first_filters_are_explained(service: Service) -> None:
    for n in range(3):
        service.webhook(event_types=["*"], filter={"items": {"any": {"gt": n}}})
    items = [0] * (subscription_matching.MAX_EFFORT // 2)
    rows = tried(service, data={"items": items})["data"]
    why = [(row["reasons"][0]["path"], row["reasons"][0]["message"]) for row in rows]
    explained = ("data.items", f"items has no element that matches, of {len(items)}")
    assert why == [explained, *[("data", subscription_matching.UNEXPLAINED)] * 2]


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"type": "a"}, "data"),
        ({"data": 1}, "type"),
        ({"data": 1, "type": None}, "type"),
        ({"data": 1, "type": "a b"}, "type"),
        ({"data": 1, "filter": None}, "filter"),
        ({"data": 1, "filter": {"a": 1}, "type": "a"}, "type"),
        ({"data": 1, "filter": {"a": 1}, "webhook_id": None}, "webhook_id"),
        ({"data": 1, "type": "a", "webhook_id": "x"}, "webhook_id"),
        ({"data": 1, "type": "a", "webhook_id": "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"}, "webhook_id"),
        ({"data": 1, "type": "a", "application_id": "nobody"}, "application_id"),
        ({"data": 1, "type": "a", "environment": "a b"}, "environment"),
        ({"data": 1, "type": "a", "matches": 1}, "matches"),
        ({"data": 1, "type": "a", "events": 1}, "events"),
    ],
)
def test_bad_values_are_422_and_name_the_field(service: Service, body: dict[str, Any], path: str) -> None:
    answer: Answer = service.client("POST", PATH, body)
    assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, path)


def test_data_that_no_event_may_have_is_413(service: Service) -> None:
    answer = service.client("POST", PATH, {**SAMPLE, "data": "x" * (256 << 10)})
    assert (answer.status, answer.body["error"]["details"][0]["path"]) == (413, "data")


def test_it_takes_the_scope_of_reading_webhooks(service: Service) -> None:
    assert service.key("webhooks:read")("POST", PATH, SAMPLE).status == 200
    assert service.key("events:write", "webhooks:write")("POST", PATH, SAMPLE).status == 403
    assert service.admin("POST", PATH, SAMPLE).status == 403


def test_the_manuals_examples_are_answered_as_it_says(service: Service) -> None:
    manual = (Path(__file__).parents[2] / "docs/filters.md").read_text()
    blocks = re.findall(r"call /v1/subscriptions/test -d '(.*?)'\n```\n```json\n(.*?)```", manual, re.DOTALL)
    service.webhook(
        name="orders", event_types=["order.*"], filter={"customer.country": "US"}, environment="production"
    )
    service.webhook(name="audit")
    assert len(blocks) == 2
    for sent, written in blocks:
        answer = service.client("POST", PATH, raw=sent)
        assert (answer.status, _without_ids(answer.body)) == (200, _without_ids(json.loads(written)))


def _without_ids(answer: dict[str, Any]) -> dict[str, Any]:
    for row in answer.get("data", []):
        del row["webhook_id"], row["subscription_id"]
    return answer
