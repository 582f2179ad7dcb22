"""Reading deliveries and attempts: what each filter leaves, who sees what, pages that neither skip nor repeat."""

import json
import random
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import pytest

from functions.api import walk
from functions.api.paging import key_of
from functions.domain.ids import uuid7, uuid7_floor
from tests.integration.conftest import Client, Service

NewProject = Callable[..., tuple[str, Client]]
INSERT = """
INSERT INTO webhook.webhook_deliveries (id, project_id, webhook_id, application_id, event_id, event_type, status,
  attempts, sweep_at, lease_expires_at, failed_at, delivered_at, last_response_status, last_error_code,
  last_error_message, created_at)
SELECT id, CAST(:project AS uuid), webhook_id, application_id, event_id, event_type, status,
  CASE status WHEN 'pending' THEN 0 ELSE 1 END, CASE WHEN status IN ('pending', 'delivering') THEN now() END,
  CASE status WHEN 'delivering' THEN now() END, CASE status WHEN 'failed' THEN now() END,
  CASE status WHEN 'delivered' THEN now() END, last_response_status, error, error, created_at
FROM jsonb_to_recordset(CAST(:rows AS jsonb)) AS x (id uuid, webhook_id uuid, application_id uuid, event_id uuid,
  event_type text, status text, last_response_status smallint, error text, created_at timestamptz)
"""
ATTEMPT = """
INSERT INTO webhook.webhook_delivery_attempts (project_id, delivery_id, attempt_number, request_url,
  request_headers, request_sent_at, response_status, response_headers, response_body, remote_address, error_code,
  error_message, expunged_at)
VALUES (CAST(:project AS uuid), CAST(:delivery AS uuid), :number, 'https://x/', '{"a": "b"}', now(), :status,
  CASE WHEN CAST(:expunged AS timestamptz) IS NULL THEN CAST('{"c": "d"}' AS jsonb) END,
  CASE WHEN CAST(:expunged AS timestamptz) IS NULL THEN 'e' END,
  '127.0.0.1', CAST(:error AS text), CAST(:error AS text), CAST(:expunged AS timestamptz))
"""
OK = {"status": 200, "error": None, "expunged": None}
Row = dict[str, Any]


def add(service: Service, rows: list[Row], project: str = "") -> None:
    service.sql.run(INSERT, project=project or service.project_id, rows=json.dumps(rows, default=str))


def made(at: datetime | None = None, **values: Any) -> Row:
    """A delivery of `at` (now), pending and untried unless said otherwise."""
    at = at or datetime.now(UTC)
    key = uuid7_floor(at)[:14] + uuid7()[14:]
    return {
        "id": key,
        "event_id": uuid7(),
        "event_type": "invoice.paid",
        "status": "pending",
        "created_at": at,
    } | {**values}


def outcome(kind: str, chance: random.Random) -> Row:
    """What RECORD leaves of a delivery of this state: only a delivered one has a 2xx, and no error."""
    if kind == "delivered":
        return {"status": kind, "last_response_status": chance.choice([200, 204])}
    if kind == "failed" or chance.random() < 0.5:
        answered = chance.choice([None, 302, 404, 410, 500, 503])
        return {
            "status": kind,
            "last_response_status": answered,
            "error": "timeout" if answered is None else "http",
        }
    return {"status": kind}


@pytest.fixture
def deliveries(service: Service) -> list[Row]:
    """Some of every kind, of three webhooks of which two belong to applications, over three months."""
    chance = random.Random(4)
    applications = [None, service.application(uid="acme")["id"], service.application(uid="bolt")["id"]]
    webhooks = [(service.webhook(application_id=id)["id"], id) for id in applications]
    long_ago = datetime.now(UTC) - timedelta(days=72)  # no delivery is older than its event
    events = [made(long_ago)["id"] for _ in range(12)]
    rows = []
    for _ in range(160):
        webhook, application = chance.choice(webhooks)
        of = {"webhook_id": webhook, "application_id": application, "event_id": chance.choice(events)}
        kind = chance.choice(["pending", "delivering", "delivered", "delivered", "failed"])
        type_ = chance.choice(["invoice.paid", "invoice.sent", "invoice", "order_1.paid", "orderX1.paid"])
        at = datetime.now(UTC) - timedelta(days=chance.choice([0, 0, 0, 40, 70]), minutes=chance.randrange(1000))
        rows.append(made(at, **of, event_type=type_, **outcome(kind, chance)))
    add(service, rows)
    return sorted(rows, key=lambda row: row["id"], reverse=True)


def pages(client: Client, path: str, limit: int = 50) -> Iterator[list[Row]]:
    """Every page of a list, as a client reads it: until there is no cursor."""
    query = f"{path}{'&' if '?' in path else '?'}limit={limit}"
    cursor: str | None = ""
    while cursor is not None:
        answer = client("GET", f"{query}&cursor={cursor}" if cursor else query)
        assert answer.status == 200, answer.body
        yield answer.body["data"]
        cursor = answer.body["next_cursor"]


def ids(client: Client, path: str, limit: int = 50) -> list[str]:
    return [row["id"] for page in pages(client, path, limit) for row in page]


CONDITIONS: dict[str, Callable[[Row, str], bool]] = {
    "webhook_id": lambda row, asked: row["webhook_id"] == asked,
    "event_id": lambda row, asked: row["event_id"] == asked,
    "status": lambda row, asked: row["status"] == asked,
    "event_type": lambda row, asked: (
        row["event_type"].startswith(asked[:-1]) if asked.endswith("*") else row["event_type"] == asked
    ),
    "application_id": lambda row, asked: row["application_id"] == asked,
    "response_status": lambda row, asked: str(row.get("last_response_status")).startswith(asked.rstrip("x")),
    "has_error": lambda row, asked: (row.get("error") is not None) == (asked == "true"),
    "created_after": lambda row, asked: row["created_at"] >= datetime.fromisoformat(asked),
    "created_before": lambda row, asked: row["created_at"] < datetime.fromisoformat(asked),
}


def some_filters(rows: list[Row], chance: random.Random) -> dict[str, str]:
    sample = chance.choice(rows)
    at = datetime.now(UTC) - timedelta(days=chance.choice([0, 1, 41, 60]))
    possible = {
        "webhook_id": sample["webhook_id"],
        "event_id": sample["event_id"],
        "status": chance.choice(["pending", "delivering", "delivered", "failed"]),
        "event_type": chance.choice(["invoice.paid", "invoice.*", "order_1.*", "*", "nothing"]),
        "application_id": sample["application_id"] or "",
        "response_status": chance.choice(["200", "503", "4xx", "2xx", "3xx"]),
        "has_error": chance.choice(["true", "false"]),
        "created_after": at.isoformat().replace("+00:00", "Z"),
        "created_before": at.isoformat().replace("+00:00", "Z"),
    }
    known = [name for name, value in possible.items() if value]
    return {name: possible[name] for name in chance.sample(known, chance.choice([1, 1, 2, 2, 3]))}


@pytest.mark.parametrize("step", [walk.STEP, 7])
def test_every_mix_of_filters_leaves_what_it_says(
    service: Service, deliveries: list[Row], monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """By short steps as well, each of which uses up its call's time."""
    monkeypatch.setattr(walk, "STEP", step)
    monkeypatch.setattr(walk, "PROBE", step // 2)
    monkeypatch.setattr(walk, "LOOK_SECONDS", 0.0)
    chance = random.Random(7)
    for _ in range(120):
        asked = some_filters(deliveries, chance)
        expected = [
            row["id"] for row in deliveries if all(CONDITIONS[name](row, value) for name, value in asked.items())
        ]
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        assert ids(service.client, f"/v1/deliveries?{query}", chance.choice([1, 10, 50])) == expected, asked


def test_a_key_of_an_application_sees_its_own_only(
    service: Service, deliveries: list[Row], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "STEP", 7)
    monkeypatch.setattr(walk, "LOOK_SECONDS", 0.0)
    own = service.client("GET", "/v1/applications/acme").body["id"]
    client = service.key("deliveries:read", application_id=own)
    visible = [row["id"] for row in deliveries if row["application_id"] == own]
    assert ids(client, "/v1/deliveries") == visible
    assert ids(client, "/v1/deliveries?application_id=acme") == visible
    foreign = next(row for row in deliveries if row["application_id"] != own)
    assert client("GET", f"/v1/deliveries/{visible[0]}").status == 200
    assert client("GET", f"/v1/deliveries/{foreign['id']}").status == 404
    assert client("GET", f"/v1/deliveries/{foreign['id']}/attempts").status == 404
    assert client("GET", "/v1/deliveries?application_id=bolt").status == 404
    chance = random.Random(8)
    for _ in range(60):
        asked = some_filters([row for row in deliveries if row["application_id"] == own], chance)
        query = "&".join(f"{name}={value}" for name, value in asked.items())
        expected = [
            row["id"]
            for row in deliveries
            if row["application_id"] == own and all(CONDITIONS[name](row, value) for name, value in asked.items())
        ]
        assert ids(client, f"/v1/deliveries?{query}") == expected, asked


def cursors(client: Client, path: str) -> Iterator[str]:
    cursor = client("GET", path).body["next_cursor"]
    while cursor is not None:
        yield key_of(cursor)
        cursor = client("GET", f"{path}&cursor={cursor}").body["next_cursor"]


def test_not_even_a_cursor_tells_of_others_rows(
    service: Service, deliveries: list[Row], new_project: NewProject, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(walk, "STEP", 3)
    monkeypatch.setattr(walk, "LOOK_SECONDS", 0.0)
    _, stranger = new_project()
    own = service.client("GET", "/v1/applications/acme").body["id"]
    bound = service.key("deliveries:read", application_id=own)
    visible = {row["id"] for row in deliveries if row["application_id"] == own}
    for row in deliveries[:20]:
        for query in (f"webhook_id={row['webhook_id']}", f"event_id={row['event_id']}"):
            assert stranger("GET", f"/v1/deliveries?{query}").body == {"data": [], "next_cursor": None}
            assert set(cursors(bound, f"/v1/deliveries?{query}&limit=2")) <= visible
    for query in ("status=failed", "status=pending", "has_error=true", "event_type=invoice.paid"):
        assert set(cursors(bound, f"/v1/deliveries?{query}&limit=2")) <= visible


def test_a_page_may_be_short_or_empty_before_the_end(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    webhook = service.webhook()["id"]
    now = datetime.now(UTC)
    add(service, [made(now - timedelta(seconds=n), webhook_id=webhook) for n in range(1, 40)])
    rare = made(now - timedelta(minutes=5), webhook_id=webhook, event_type="rare.one")
    add(service, [rare])
    monkeypatch.setattr(walk, "STEP", 10)
    monkeypatch.setattr(walk, "LOOK_SECONDS", 0.0)
    found = list(pages(service.client, "/v1/deliveries?event_type=rare.*"))
    assert [len(page) for page in found[:4]] == [0, 0, 0, 1]
    monkeypatch.setattr(walk, "LOOK_SECONDS", 60.0)
    assert [len(page) for page in pages(service.client, "/v1/deliveries?event_type=rare.*")] == [1]


@pytest.mark.parametrize("query", ["", "?status=pending", "?has_error=false"])
def test_a_walk_while_rows_are_added_gives_each_that_was_there_once(service: Service, query: str) -> None:
    """Added rows get keys before and behind the page that is read, as those of slow transactions do."""
    webhook = service.webhook()["id"]
    start = datetime.now(UTC) - timedelta(minutes=10)
    before = [made(start + timedelta(seconds=n), webhook_id=webhook) for n in range(300)]
    add(service, before)
    done = threading.Event()

    def insert() -> None:
        chance = random.Random(3)
        while not done.is_set():
            at = start + timedelta(seconds=chance.uniform(-100, 700))
            add(service, [made(at, webhook_id=webhook) for _ in range(5)])

    writer = threading.Thread(target=insert)
    writer.start()
    try:
        seen = ids(service.client, f"/v1/deliveries{query}", limit=10)
    finally:
        done.set()
        writer.join()
    assert len(seen) == len(set(seen))
    assert seen == sorted(seen, reverse=True)
    assert set(seen) >= {row["id"] for row in before}
    assert len(seen) > len(before), "rows were added meanwhile, and those behind the page are seen"


def test_an_event_is_named_by_its_key_or_its_own_id_even_when_it_is_no_more(service: Service) -> None:
    service.webhook()
    event = service.event(id="order 1/ä")
    for id in (event["id"], event["id"].upper(), "order 1/ä"):
        (row,) = service.client("GET", f"/v1/deliveries?event_id={id}").body["data"]
        assert row["event_id"] == event["id"]
    assert ids(service.client, f"/v1/events/{quote(event['id'])}/deliveries") == [row["id"]]
    service.sql.run("DELETE FROM webhook.webhook_events")
    assert ids(service.client, f"/v1/deliveries?event_id={event['id']}") == [row["id"]]
    for unknown in ("order-2", uuid7()):
        assert ids(service.client, f"/v1/deliveries?event_id={unknown}") == []


def test_deliveries_of_a_deleted_webhook_stay_readable(service: Service) -> None:
    webhook = service.webhook()
    add(service, [made(webhook_id=webhook["id"])])
    assert service.client("DELETE", f"/v1/webhooks/{webhook['id']}").status == 204
    assert len(ids(service.client, f"/v1/deliveries?webhook_id={webhook['id']}")) == 1


BAD = [
    ("webhook_id=1", "webhook_id"),
    ("event_id=a%00".replace("%00", "\x00"), "event_id"),
    ("event_id=\ud800", "event_id"),
    (f"event_id={'a' * 256}", "event_id"),
    ("status=lost", "status"),
    ("event_type=a b", "event_type"),
    ("event_type=a.*.b", "event_type"),
    ("event_type=a*", "event_type"),
    ("event_type=a\x00", "event_type"),
    ("application_id=none", "application_id"),
    ("application_id=01a1fea5-0829-701f-8416-458b4c41b617", "application_id"),
    ("application_id=\x00", "application_id"),
    ("response_status=99", "response_status"),
    ("response_status=1000", "response_status"),
    ("response_status=5x", "response_status"),
    ("response_status=0xx", "response_status"),
    ("response_status=५xx", "response_status"),
    ("has_error=1", "has_error"),
    ("has_error=True", "has_error"),
    ("created_after=2026-01-01", "created_after"),
    ("created_before=2026-01-01T00:00:00", "created_before"),
    ("created_before=yesterday", "created_before"),
    ("limit=0", "limit"),
    ("limit=251", "limit"),
    ("limit=many", "limit"),
    ("cursor=x", "cursor"),
    ("cursor=AaH44JxFfRKxoBZ8pxs5_g!", "cursor"),
    ("cursor=AaH44JxFfRKxoBZ8pxs5_h", "cursor"),  # bits that belong to no byte
    ("cursor=é", "cursor"),
]


@pytest.mark.parametrize(("query", "path"), BAD)
def test_what_a_filter_cannot_be_is_said_where(service: Service, query: str, path: str) -> None:
    answer = service.client("GET", f"/v1/deliveries?{query}")
    assert answer.status == 422, answer.body
    assert [detail["path"] for detail in answer.body["error"]["details"]] == [path]


@pytest.mark.parametrize(
    "query",
    [
        "created_after=0001-01-01T00:00:00Z",
        "created_before=9999-12-31T23:59:59Z",
        "created_after=0001-01-01T00:00:00%2B14:00".replace("%2B", "+"),
        "created_before=9999-12-31T23:59:59-14:00",
        f"cursor={'_' * 21}w",  # the last key there can be
    ],
)
def test_the_ends_of_time_are_times(service: Service, query: str) -> None:
    add(service, [made(webhook_id=service.webhook()["id"])])
    assert len(ids(service.client, f"/v1/deliveries?{query}")) == 1


@pytest.mark.parametrize("query", ["created_before=0001-01-01T00:00:00Z", f"cursor={'A' * 22}"])
def test_before_the_first_key_there_is_nothing(service: Service, query: str) -> None:
    add(service, [made(webhook_id=service.webhook()["id"])])
    assert ids(service.client, f"/v1/deliveries?{query}") == []


def test_a_delivery_reads_as_it_is_listed(service: Service, deliveries: list[Row]) -> None:
    listed = {row["id"]: row for page in pages(service.client, "/v1/deliveries") for row in page}
    assert set(listed) == {row["id"] for row in deliveries}
    for id, row in list(listed.items())[:20]:
        assert service.client("GET", f"/v1/deliveries/{id}").body == row


def test_attempts_come_page_by_page_with_what_was_erased(service: Service, new_project: NewProject) -> None:
    row = made(webhook_id=service.webhook()["id"])
    add(service, [row])
    for number in range(1, 6):
        values = {"status": 200, "error": None} if number == 5 else {"status": None, "error": "timeout"}
        erased = "2026-01-01T00:00:00Z" if number == 1 else None
        service.sql.run(
            ATTEMPT, project=service.project_id, delivery=row["id"], number=number, expunged=erased, **values
        )
    path = f"/v1/deliveries/{row['id']}/attempts"
    found = list(pages(service.client, path, limit=2))
    assert [[attempt["attempt_number"] for attempt in page] for page in found] == [[5, 4], [3, 2], [1]]
    assert found[2][0]["expunged_at"] == "2026-01-01T00:00:00.000000Z"
    assert found[0][0]["expunged_at"] is None
    assert found[0][0]["error"] is None
    assert found[0][1]["error"] == {"code": "timeout", "message": "timeout"}
    assert (found[0][0]["request_headers"], found[0][0]["remote_address"]) == ({"a": "b"}, "127.0.0.1")
    assert len(ids(service.client, f"{path}?has_error=true")) == 4
    assert len(ids(service.client, f"{path}?has_error=false")) == 1
    assert service.client("GET", f"{path}?has_error=0").status == 422
    _, stranger = new_project()
    assert stranger("GET", path).status == 404


@pytest.mark.parametrize("last", [None, "2026-03-02T00:00:00Z", "2026-09-30T23:59:59Z"])
def test_attempts_of_all_months_are_found_up_to_a_day_after_the_last(service: Service, last: str | None) -> None:
    """One that a function kept although it had lost its claim may come after the delivery's last."""
    months = [datetime(2026, month, 1, tzinfo=UTC) for month in (3, 6, 10)]
    row = made(months[0], webhook_id=service.webhook()["id"])
    add(service, [row])
    service.sql.run(
        "UPDATE webhook.webhook_deliveries SET last_attempt_at = CAST(:last AS timestamptz)", last=last
    )
    for number, month in enumerate(months, 1):
        service.sql.run(ATTEMPT, project=service.project_id, delivery=row["id"], number=number, **OK)
        moved = "UPDATE webhook.webhook_delivery_attempts SET id = :id WHERE attempt_number = :number"
        service.sql.run(moved, id=uuid7_floor(month)[:14] + uuid7()[14:], number=number)
    found = service.client("GET", f"/v1/deliveries/{row['id']}/attempts").body["data"]
    until = datetime.fromisoformat(last) + timedelta(days=1) if last else datetime.now(UTC)
    assert [one["attempt_number"] for one in found] == [
        number for number, month in reversed([*enumerate(months, 1)]) if month < until
    ]
