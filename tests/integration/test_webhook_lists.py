"""Lists of webhooks, and what they are narrowed by."""

import pytest

from functions.adapters.database import engine
from functions.api.caller import Caller
from functions.api.queries import webhooks as queries
from functions.api.queries.webhooks import Filter
from tests.integration.conftest import Service


def test_webhooks_page(service: Service) -> None:
    ids = [service.webhook()["id"] for _ in range(5)]
    first = service.client("GET", "/v1/webhooks?limit=3").body
    second = service.client("GET", f"/v1/webhooks?limit=3&cursor={first['next_cursor']}").body
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


def test_lists_are_narrowed_to_what_people_ask_for(service: Service) -> None:
    application = service.client("POST", "/v1/applications", {"name": "Acme", "uid": "acme"}).body["id"]
    orders = service.webhook(name="Orders of ACME", application_id="acme", event_types=["order.*"])["id"]
    url = "http://127.0.0.1:9/Invoices_all"
    invoices = service.webhook(name="x", url=url, environment="staging", event_types=["invoice.paid"])["id"]
    all = service.webhook(name="y", description="50% of everything")["id"]
    service.client("POST", f"/v1/webhooks/{all}/pause", {})
    for query, expected in {
        "status=paused": [all],
        "status=active": [invoices, orders],
        "application_id=acme": [orders],
        f"application_id={application}": [orders],
        "environment=staging": [invoices],
        "event_type=order.paid": [all, orders],
        "event_type=order.*": [orders],
        "event_type=invoice.paid": [all, invoices],
        "event_type=*": [all],
        "event_type=other": [all],
        "search=acme": [orders],
        "search=invoices_": [invoices],
        "search=50%": [all],
        "search=%": [all],
        "search=nothing": [],
        "created_before=2020-01-01T00:00:00Z": [],
        "created_after=2020-01-01T00:00:00Z": [all, invoices, orders],
        "environment=staging&status=paused": [],
    }.items():
        answer = service.client("GET", f"/v1/webhooks?{query}")
        assert answer.status == 200, (query, answer.body)
        assert [one["id"] for one in answer.body["data"]] == expected, query


@pytest.mark.parametrize(
    ("query", "path"),
    [
        ("status=broken", "status"),
        ("application_id=nobody", "application_id"),
        ("environment=a%20b", "environment"),
        ("event_type=a*", "event_type"),
        ("search=\x00", "search"),
        (f"search={'x' * 256}", "search"),
    ],
)
def test_a_filter_that_cannot_be_is_422(service: Service, query: str, path: str) -> None:
    answer = service.client("GET", f"/v1/webhooks?{query}")
    assert (answer.status, [one["path"] for one in answer.body["error"]["details"]]) == (422, [path])


@pytest.mark.parametrize(
    "wanted",
    [
        Filter(),
        Filter(status="paused"),
        Filter(environment="production", search="w1"),
        Filter(event_type="invoice.paid"),
        Filter(application_id="01a1fe72-ea55-79f8-866d-8ca332142423"),
    ],
)
def test_among_many_webhooks_a_list_reads_its_own_projects_only(service: Service, wanted: Filter) -> None:
    service.sql.run("INSERT INTO webhook.projects (name, data_key) SELECT 'p', 'x' FROM generate_series(1, 100)")
    service.sql.run(
        "INSERT INTO webhook.webhooks (project_id, name, url, signing_secret)"
        " SELECT p.id, 'w' || n, 'https://example.com/', 'x' FROM webhook.projects p, generate_series(1, 500) n"
    )
    service.sql.run("INSERT INTO webhook.webhook_health (webhook_id) SELECT id FROM webhook.webhooks")
    service.sql.run(
        "INSERT INTO webhook.webhook_subscriptions (project_id, webhook_id, event_type)"
        " SELECT project_id, id, 'invoice.*' FROM webhook.webhooks"
    )
    service.sql.run("ANALYZE")
    caller = Caller(False, service.project_id, "", "", frozenset(), "", "", "")
    statement = queries.selected(caller, wanted, limit=50, cursor="")
    written = str(statement.compile(dialect=engine().dialect, compile_kwargs={"literal_binds": True}))
    plan = "\n".join(line for (line,) in service.sql.run(f"EXPLAIN {written}"))
    assert "webhooks_by_project" in plan or "webhooks_by_application" in plan, plan
    assert "Seq Scan" not in plan, plan
