"""Reading events: lists, what they are narrowed by, and how the deliveries stand."""

from datetime import UTC, datetime, timedelta

import pytest

from functions.domain.ids import uuid7, uuid7_floor
from tests.integration.conftest import Client, Service


def test_lists_page_newest_first_and_filter(service: Service) -> None:
    started = datetime.now(UTC)
    ids = [service.event(type=f"t.{n % 2}")["id"] for n in range(7)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        page = service.client("GET", f"/v1/events?limit=3&cursor={cursor}").body
        seen += [event["id"] for event in page["data"]]
        cursor = page["next_cursor"]
    assert seen == ids[::-1]
    assert len(service.client("GET", "/v1/events?type=t.1").body["data"]) == 3
    before = started.isoformat().replace("+00:00", "Z")
    assert service.client("GET", f"/v1/events?created_before={before}").body["data"] == []
    assert len(service.client("GET", f"/v1/events?created_after={before}").body["data"]) == 7
    later = (started + timedelta(hours=1)).isoformat().replace("+00:00", "Z")
    assert service.client("GET", f"/v1/events?created_after={later}").body["data"] == []


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=251",
        "limit=x",
        "cursor=%21",
        "cursor=abc",
        "created_after=x",
        "created_after=2026-01-01T00:00:00",
    ],
)
def test_a_bad_query_is_422(service: Service, query: str) -> None:
    assert service.client("GET", f"/v1/events?{query}").status == 422


@pytest.mark.parametrize("query", ["created_after", "created_before"])
@pytest.mark.parametrize("time", ["0001-01-01T00:00:00Z", "1969-12-31T00:00:00Z", "9999-12-31T23:59:59Z"])
def test_no_time_is_too_early_or_late_to_ask_for(service: Service, query: str, time: str) -> None:
    service.event()
    for path in ("/v1/events", "/v1/deliveries"):
        assert service.client("GET", f"{path}?{query}={time}").status == 200


def listed(service: Service, query: str = "", client: Client | None = None) -> list[str]:
    """Ids of all pages."""
    ids: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = (client or service.client)("GET", f"/v1/events?limit=2&cursor={cursor}&{query}".rstrip("&"))
        assert answer.status == 200, answer.body
        ids += [event["id"] for event in answer.body["data"]]
        cursor = answer.body["next_cursor"]
    return ids


def test_lists_are_narrowed_by_type_application_environment_and_external_id(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    service.application(uid="ajax")
    kinds: dict[str, dict[str, str]] = {
        "paid": {"type": "invoice.paid", "application_id": "acme", "environment": "production"},
        "late": {"type": "invoice.paid.late", "application_id": "acme", "id": "order-7"},
        "void": {"type": "invoice.void", "application_id": "ajax", "environment": "staging"},
        "near": {"type": "invoices.paid"},
        "bare": {"type": "invoice", "environment": "production"},
    }
    ids = {name: service.event(**values)["id"] for name, values in kinds.items()}
    for query, wanted in {
        "type=invoice.paid": ["paid"],
        "type=invoice.*": ["void", "late", "paid"],
        "type=*": ["bare", "near", "void", "late", "paid"],
        "type=none": [],
        "application_id=acme": ["late", "paid"],
        f"application_id={acme}": ["late", "paid"],
        "application_id=acme&type=invoice.paid.*": ["late"],
        "environment=production": ["bare", "paid"],
        "environment=production&application_id=acme&type=invoice.*": ["paid"],
        "external_id=order-7": ["late"],
        f"external_id={ids['paid']}": ["paid"],
        "external_id=order-7&type=invoice.paid": [],
        "external_id=order-7&application_id=ajax": [],
        "external_id=none": [],
    }.items():
        assert listed(service, query) == [ids[name] for name in wanted], query


@pytest.mark.parametrize(
    "query", ["type=a b", "type=.", "type=a*", "environment=a b", "environment=" + "x" * 65, "application_id=none"]
)
def test_a_filter_that_cannot_match_anything_is_422(service: Service, query: str) -> None:
    assert service.client("GET", f"/v1/events?{query}").status == 422


def test_a_deleted_application_is_still_a_filter_by_its_id(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    id = service.event(application_id="acme")["id"]
    service.client("DELETE", "/v1/applications/acme")
    assert listed(service, f"application_id={acme}") == [id]
    assert service.client("GET", "/v1/events?application_id=acme").status == 422


def test_created_bounds_go_by_when_an_event_came_whatever_its_key_says(service: Service) -> None:
    """Senders' own keys may be a day old or five minutes ahead."""

    def key(at: datetime) -> str:
        return uuid7_floor(at)[:14] + "7" + "000-8000-" + uuid7()[-12:]

    now = datetime.now(UTC)
    old, ahead = key(now - timedelta(hours=23)), key(now + timedelta(minutes=4))
    ids = {service.event(id=id)["id"] for id in (old, ahead)}
    assert ids == {old, ahead}, "they are the keys"

    def text(at: datetime) -> str:
        return at.isoformat().replace("+00:00", "Z")

    after, before = text(now - timedelta(minutes=1)), text(now + timedelta(minutes=1))
    assert set(listed(service, f"created_after={after}&created_before={before}")) == ids
    assert listed(service, f"created_before={after}") == []
    assert listed(service, f"created_after={before}") == []


def test_counters_tell_how_the_deliveries_stand(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    for n in range(6):
        service.webhook(application_id="acme" if n < 2 else None)
    busy, idle = service.event(application_id="acme")["id"], service.event(type="x", environment="qa")["id"]
    service.sql.run("DELETE FROM webhook.webhook_deliveries WHERE event_id = :id", id=idle)
    ends = {
        "delivered": "sweep_at = NULL, scheduled_at = NULL, delivered_at = now()",
        "failed": "sweep_at = NULL, scheduled_at = NULL, failed_at = now()",
        "delivering": "lease_expires_at = now()",
    }
    for status, values in ends.items():
        service.sql.run(
            f"UPDATE webhook.webhook_deliveries SET status = '{status}', {values} WHERE id = (SELECT id FROM"
            " webhook.webhook_deliveries WHERE event_id = :id AND status = 'pending' AND application_id IS NULL"
            " LIMIT 1)",
            id=busy,
        )
    none, some = ({"pending": p, "delivered": d, "failed": f} for p, d, f in ((0, 0, 0), (4, 1, 1)))
    page = service.client("GET", "/v1/events").body["data"]
    assert [(one["id"], one["deliveries"]) for one in page] == [(idle, none), (busy, some)]
    assert [service.client("GET", f"/v1/events/{id}").body["deliveries"] for id in (idle, busy)] == [none, some]
    assert page[1]["webhooks_matched"] == 6
    bound = service.key(application_id=acme)
    (own,) = bound("GET", "/v1/events").body["data"]
    assert own["deliveries"] == {"pending": 2, "delivered": 0, "failed": 0}, "as many as it can read"
    assert len(bound("GET", f"/v1/events/{busy}/deliveries").body["data"]) == 2


def test_a_page_is_counted_by_one_query_that_reads_no_older_partition(service: Service) -> None:
    from sqlalchemy import event as hooks

    from functions.adapters import database

    service.webhook()
    for _ in range(3):
        service.event()
    seen: list[str] = []
    hooks.listen(database.engine(), "before_cursor_execute", lambda _c, _x, statement, *_: seen.append(statement))
    assert len(service.client("GET", "/v1/events").body["data"]) == 3
    (counting,) = [one for one in seen if "webhook_deliveries" in one]
    assert "GROUP BY" in counting
    assert "webhook_deliveries.id >= " in counting


def test_a_bound_key_sees_only_its_applications_events(service: Service) -> None:
    acme, ajax = service.application(uid="acme")["id"], service.application(uid="ajax")["id"]
    own = service.event(application_id="acme", id="own")["id"]
    others = [service.event(application_id="ajax", id="theirs")["id"], service.event(id="nobodys")["id"]]
    bound = service.key(application_id=acme)
    assert listed(service, client=bound) == [own]
    assert listed(service, "type=invoice.*", bound) == [own]
    assert listed(service, "external_id=theirs", bound) == []
    assert listed(service, "application_id=acme", bound) == [own]
    assert bound("GET", f"/v1/events?application_id={ajax}").status == 404
    assert bound("GET", "/v1/events/own").body["id"] == own
    for id in ("theirs", "nobodys", *others):
        assert bound("GET", f"/v1/events/{id}").status == 404
        assert bound("GET", f"/v1/events/{id}/deliveries").status == 404
