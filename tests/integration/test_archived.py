"""What the API says of events and deliveries that left the database."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from functions.domain.ids import uuid7_floor
from tests.integration.conftest import Service
from tests.integration.levers_scene import dead_letter_of, failed

THEN = datetime(2026, 5, 17, 12, tzinfo=UTC)
EVENTS = "; events of that time are archived, and can be restored by whoever operates Hookline"
DELIVERIES = EVENTS.replace("events", "deliveries")


def key_of(at: datetime) -> str:
    """A UUIDv7 of that time."""
    floor = uuid7_floor(at)
    return f"{floor[:14]}7{floor[15:19]}8{floor[20:]}"


def archive(service: Service, table: str, state: str = "dropped", days: int = 1, at: datetime = THEN) -> None:
    start = at.replace(hour=0, minute=0, second=0, microsecond=0)
    service.sql.run(
        "INSERT INTO webhook.archives (table_name, partition_name, range_from, range_to, state, schema_revision,"
        " manifest_key, written_at, verified_at, dropped_at, restored_at)"
        " VALUES (:table, 'p', :start, :end, :state, '0004', 'm', now(), now(), now(),"
        " CASE WHEN :state = 'restored' THEN now() END)",
        table=table,
        start=start,
        end=start + timedelta(days=days),
        state=state,
    )


def said(service: Service, method: str, path: str, body: Any = None) -> tuple[int, str]:
    answer = service.client(method, path, body)
    return answer.status, answer.body["error"]["message"]


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/events/{}"),
        ("GET", "/v1/events/{}/deliveries"),
        ("DELETE", "/v1/events/{}/payload"),
        ("POST", "/v1/events/{}/replay"),
    ],
)
def test_an_event_of_an_archived_day_is_404_and_says_so(service: Service, method: str, path: str) -> None:
    archive(service, "webhook_events")
    for at, more in ((THEN, EVENTS), (THEN - timedelta(days=1), ""), (THEN + timedelta(days=1), "")):
        assert said(service, method, path.format(key_of(at))) == (404, f"there is no such event{more}")
    for id in ("inv-1042", "ffffffff-ffff-7fff-8fff-ffffffffffff", "01a1f8b1-9224-4dd5-93c0-8632c1ed87f3"):
        assert said(service, method, path.format(id)) == (404, "there is no such event")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/v1/deliveries/{}"),
        ("GET", "/v1/deliveries/{}/attempts"),
        ("POST", "/v1/deliveries/{}/retry"),
        ("POST", "/v1/deliveries/{}/skip"),
    ],
)
def test_a_delivery_of_an_archived_month_is_404_and_says_so(service: Service, method: str, path: str) -> None:
    archive(service, "webhook_deliveries")
    archive(service, "webhook_events", days=3)
    for at, more in ((THEN, DELIVERIES), (THEN + timedelta(days=2), "")):
        assert said(service, method, path.format(key_of(at))) == (404, f"there is no such delivery{more}")


@pytest.mark.parametrize(
    ("state", "more"),
    [("writing", ""), ("written", ""), ("verified", ""), ("dropped", EVENTS), ("restored", EVENTS)],
)
def test_what_is_still_in_the_database_is_not_said_to_be_archived(service: Service, state: str, more: str) -> None:
    archive(service, "webhook_events", state)
    assert said(service, "GET", f"/v1/events/{key_of(THEN)}") == (404, f"there is no such event{more}")


def test_what_cannot_be_sent_again_because_it_is_archived_is_409_and_says_so(service: Service) -> None:
    (delivery,) = failed(service, service.webhook())
    letter = dead_letter_of(service, delivery)
    ((event,),) = service.sql.run("DELETE FROM webhook.webhook_events RETURNING created_at")
    archive(service, "webhook_events", at=event)
    gone = f"its event's payload is not kept any more: there is nothing left to send{EVENTS}"
    assert said(service, "POST", f"/v1/deliveries/{delivery}/retry") == (409, gone)
    assert said(service, "POST", f"/v1/dead-letters/{letter}/redrive") == (409, gone)
    service.sql.run("DELETE FROM webhook.webhook_deliveries")
    archive(service, "webhook_deliveries", at=event)
    gone = f"its delivery is not kept any more{DELIVERIES}"
    assert said(service, "POST", f"/v1/dead-letters/{letter}/redrive") == (409, gone)
