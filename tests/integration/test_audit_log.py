"""The audit log (E6): what is written, who reads it, that nobody changes it, and that a page of it is cheap."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy import event, text

from functions.adapters import database
from functions.api.caller import Caller
from functions.api.queries import audit_log
from functions.api.queries.audit_log import Filter
from functions.domain.partitions import make_missing
from tests.integration.conftest import Client, Service

NewProject = Callable[..., tuple[str, Client]]
NOBODY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def entries(client: Client, query: str = "") -> list[dict]:
    answer = client("GET", f"/v1/audit-log?{query}" if query else "/v1/audit-log")
    assert answer.status == 200, answer.body
    return answer.body["data"]


def test_an_entry_says_who_did_what_to_what_and_how_it_was_before(service: Service) -> None:
    made = service.application(uid="acme")
    headers = {"hookline-correlation-id": "ticket-7"}
    changed = service.client("PATCH", "/v1/applications/acme", {"name": "Acme Ltd"}, headers=headers).body
    (entry, *_) = entries(service.client)
    assert entry == {
        "id": entry["id"],
        "event": "application.updated",
        "level": "info",
        "actor": {"type": "api_key", "id": service.client("GET", "/v1/whoami").body["key_id"]},
        "resource": {"type": "application", "id": made["id"]},
        "application_id": made["id"],
        "before": made,
        "after": changed,
        "correlation_id": "ticket-7",
        "request_id": entry["request_id"],
        "source_ip": "127.0.0.1",
        "created_at": changed["updated_at"],
    }
    assert entry["request_id"] != "ticket-7"


def test_what_is_refused_or_repeated_is_not_written(service: Service) -> None:
    service.client("POST", "/v1/applications", {"name": "n", "uid": "acme"}, headers={"idempotency-key": "a"})
    service.client("POST", "/v1/applications", {"name": "n", "uid": "acme"}, headers={"idempotency-key": "a"})
    written = entries(service.client)
    assert service.client("POST", "/v1/applications", {"name": "n", "uid": "acme"}).status == 409
    assert service.client("PATCH", "/v1/applications/acme", {"name": ""}).status == 422
    assert service.client("DELETE", "/v1/applications/acme", headers={"if-match": '"9"'}).status == 412
    assert service.client("GET", "/v1/audit-log").status == 200
    assert entries(service.client) == written
    assert [one["event"] for one in written] == ["application.created", "api_key.created", "project.created"]


def test_it_is_narrowed_by_what_people_ask_for(service: Service) -> None:
    headers = {"hookline-correlation-id": "ticket-7"}
    acme = service.client("POST", "/v1/applications", {"name": "n", "uid": "acme"}, headers=headers).body["id"]
    other = service.application(uid="other")["id"]
    service.client("PATCH", "/v1/applications/acme", {"name": "m"})
    service.client("DELETE", "/v1/applications/other")
    me = service.client("GET", "/v1/whoami").body["key_id"]

    def found(query: str) -> list[tuple[str, str]]:
        return [(one["event"].partition(".")[2], one["resource"]["id"]) for one in entries(service.client, query)]

    assert found("event=application.created") == [("created", other), ("created", acme)]
    assert found("event=application.*") == found("resource_type=application") == found(f"actor_id={me}")
    assert len(found("event=application.*")) == 4
    assert found("event=application.*&level=warning") == found("level=warning") == [("deleted", other)]
    assert len(found("level=info")) == 5
    assert found(f"resource_id={acme}") == [("updated", acme), ("created", acme)]
    assert found("application_id=acme") == found(f"application_id={acme}") == found(f"resource_id={acme}")
    assert found(f"application_id={other}") == [("deleted", other), ("created", other)]
    assert found("correlation_id=ticket-7") == [("created", acme)]
    assert found(f"actor_id={NOBODY}") == found("correlation_id=x") == found("event=webhook.*") == []
    moment = entries(service.client, "event=application.updated")[0]["created_at"]
    assert len(found(f"created_before={moment}")) == 4
    assert len(found(f"created_after={moment}")) == 2


@pytest.mark.parametrize(
    "query",
    [
        *("event=webhook", "event=*", "event=.*", "event=Webhook.created", "event=a.b.c", "event=a.b\0"),
        *("level=error", "resource_type=a b", "resource_id=a\0", "correlation_id=a\0", "actor_id=x"),
        *("application_id=nothing", "application_id=a\0", "created_after=yesterday", "limit=251", "cursor=x"),
        *(f"project_id={NOBODY}", "project_id=x", f"resource_id={'x' * 256}"),
    ],
)
def test_a_bad_filter_is_422_and_named(service: Service, query: str) -> None:
    answer = service.client("GET", f"/v1/audit-log?{query}")
    assert answer.status == 422, answer.body
    assert [one["path"] for one in answer.body["error"]["details"]] == [query.partition("=")[0]]


def test_pages_follow_each_other_while_entries_are_added(service: Service) -> None:
    for n in range(5):
        service.application(name=f"a{n}")
    first = service.client("GET", "/v1/audit-log?event=application.created&limit=3").body
    service.application(name="late")
    path = f"/v1/audit-log?event=application.created&limit=3&cursor={first['next_cursor']}"
    second = service.client("GET", path).body
    assert [one["after"]["name"] for one in first["data"] + second["data"]] == ["a4", "a3", "a2", "a1", "a0"]
    assert second["next_cursor"] is None


def test_it_takes_its_scope_and_shows_one_project(service: Service, new_project: NewProject) -> None:
    service.application()
    other, stranger = new_project()
    stranger("POST", "/v1/applications", {"name": "theirs"})
    assert service.key("webhooks:write", "metrics:read")("GET", "/v1/audit-log").status == 403
    assert entries(service.key("audit:read"))[0]["event"] == "api_key.created"
    seen = {one["id"] for one in entries(service.client)}
    assert not seen & {one["id"] for one in entries(stranger)}
    assert entries(stranger, f"project_id={other}") == entries(stranger)
    assert stranger("GET", f"/v1/audit-log?project_id={service.project_id}").status == 422
    resource = entries(service.client, "event=application.created")[0]["resource"]["id"]
    assert entries(stranger, f"resource_id={resource}") == []


def test_the_admin_key_reads_the_log_of_the_project_it_names(service: Service) -> None:
    acme = service.application(uid="acme")["id"]
    assert entries(service.admin, f"project_id={service.project_id}") == entries(service.client)
    query = f"project_id={service.project_id.upper()}&application_id=acme"
    assert {one["application_id"] for one in entries(service.admin, query)} == {acme}
    for query in ("", f"?project_id={NOBODY}"):
        refused = service.admin("GET", f"/v1/audit-log{query}")
        assert (refused.status, refused.body["error"]["details"][0]["path"]) == (422, "project_id")


def test_a_bound_key_sees_what_concerns_its_application(service: Service) -> None:
    acme, other = service.application(uid="acme")["id"], service.application(uid="other")["id"]
    service.admin("PATCH", f"/v1/projects/{service.project_id}", {"name": "renamed"})
    bound = service.key("audit:read", application_id="acme")
    assert [one["event"] for one in entries(bound)] == ["api_key.created", "application.created"]
    assert {one["application_id"] for one in entries(bound)} == {acme}
    assert entries(bound, "application_id=acme") == entries(bound)
    assert entries(bound, f"resource_id={other}") == entries(bound, "event=project.*") == []
    for name in ("other", other, "nothing"):
        assert bound("GET", f"/v1/audit-log?application_id={name}").status == 404


def test_before_and_after_keep_every_digit(service: Service) -> None:
    digits = "12345678901234567890.12345678901234567890"
    service.sql.run(
        "INSERT INTO webhook.audit_log (project_id, event, actor_type, resource_type, resource_id, before, after,"
        " correlation_id, request_id) VALUES (:p, 'a.b', 'admin', 'a', '1', CAST(:before AS jsonb),"
        """ '{"n": 1e400}', 'c', 'r')""",
        p=service.project_id,
        before=f'{{"n": {digits}}}',
    )
    raw = service.sql.run(
        "SELECT before::text, after::text FROM webhook.audit_log WHERE event = 'a.b'",
    )
    caller = of(service.project_id)
    with database.transaction() as connection:
        page = audit_log.list_entries(connection, caller, Filter(event="a.b"), limit=1, cursor="")
    assert raw[0][0] == f'{{"n": {digits}}}'
    assert f'"before" : {{"n": {digits}}}' in page
    assert f'"after" : {raw[0][1]}' in page


def test_nobody_who_serves_requests_can_change_an_entry(service: Service) -> None:
    service.sql.run("DELETE FROM webhook.audit_log")  # as the server's owner: it stands in the way of a partition
    with database.connect_owner() as connection:
        make_missing(connection)
    service.application()
    partitions = service.sql.run(
        "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = 'webhook.audit_log'::regclass"
    )
    assert len(partitions) == 5
    written = service.sql.run("SELECT id, after FROM webhook.audit_log")
    assert len(written) == 1
    service.sql.run("SET ROLE hookline_app")
    assert service.sql.run("SELECT id, after FROM webhook.audit_log") == written
    for table in ("webhook.audit_log", *(name for (name,) in partitions)):
        for statement in (
            f"UPDATE {table} SET level = 'info'",
            f"DELETE FROM {table}",
            f"TRUNCATE {table}",
            f"ALTER TABLE {table} DISABLE TRIGGER ALL",
            f"DROP TABLE {table}",
        ):
            with pytest.raises(DatabaseError, match="42501"):
                service.sql.run(statement)
    service.sql.run("RESET ROLE")
    assert service.sql.run("SELECT id, after FROM webhook.audit_log") == written


def of(project_id: str, application_id: str = "") -> Caller:
    known = {"key_id": NOBODY, "correlation_id": "c", "request_id": "r", "source_ip": ""}
    return Caller(
        admin=False, project_id=project_id, application_id=application_id, scopes=frozenset({"*"}), **known
    )


ACTOR, ACME, RARE_ACTOR, RARE_ACME = (f"01a1f8b1-9224-7dd5-93c0-{n:012}" for n in range(4))
MANY = """
INSERT INTO webhook.audit_log (id, project_id, application_id, event, level, actor_type, actor_id, resource_type,
  resource_id, after, correlation_id, request_id, created_at)
SELECT uuidv7(-age), CAST(:project_id AS uuid),
  CASE WHEN n = 70000 THEN CAST(:rare_acme AS uuid) WHEN n % 3 = 0 THEN CAST(:acme AS uuid) END,
  CASE WHEN n = 70000 THEN 'event_type.archived' WHEN n % 2 = 0 THEN 'webhook.updated' ELSE 'webhook.paused' END,
  CASE WHEN n = 70000 THEN 'warning' ELSE 'info' END, 'api_key',
  CASE WHEN n = 70000 THEN CAST(:rare_actor AS uuid) ELSE CAST(:actor AS uuid) END,
  CASE WHEN n = 70000 THEN 'event_type' ELSE 'webhook' END, 'r' || n % 5000, '{"name": "n"}', 'c' || n, 'q',
  now() - age
FROM (SELECT n, n * interval '40 s' AS age FROM generate_series(1, CAST(:count AS integer)) AS n)
"""


@pytest.fixture
def big(service: Service) -> Service:
    """120,000 entries of one project and some of another, over three months of partitions."""
    service.sql.run("DELETE FROM webhook.audit_log")
    with database.connect_owner() as connection:
        for months in (2, 1, 0):
            make_missing(connection, datetime.now(UTC) - timedelta(days=31 * months))
    ids = {"acme": ACME, "rare_acme": RARE_ACME, "actor": ACTOR, "rare_actor": RARE_ACTOR}
    for project, count in ((service.project_id, 120_000), (NOBODY, 5_000)):
        service.sql.run(MANY, project_id=project, count=count, **ids)
    service.sql.run("ANALYZE webhook.audit_log")
    return service


def plan(caller: Caller, wanted: Filter) -> tuple[int, dict[str, Any]]:
    """How many rows there are, one more than the page has if it is not the last, and what Postgres did for it."""
    asked: list[tuple[str, Any]] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine(), "before_cursor_execute", keep)
    with database.transaction() as connection:
        page = json.loads(audit_log.list_entries(connection, caller, wanted, limit=50, cursor=""))
        plans = []
        for statement, parameters in list(asked):
            explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
            plans.append(connection.exec_driver_sql(explain, parameters).scalar_one()[0]["Plan"])
    event.remove(database.engine(), "before_cursor_execute", keep)
    read = {name: sum(one[name] for one in plans) for name in ("Shared Hit Blocks", "Shared Read Blocks")}
    whole = {"Node Type": "Page", "Actual Rows": 0, "Plans": plans, **read}
    return len(page["data"]) + (page["next_cursor"] is not None), whole


def nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for one in node.get("Plans", ()):
        yield from nodes(one)


def assert_cheap(told: dict[str, Any], what: object, *, looked_past: int = 0) -> None:
    """No scan of a whole partition, few pages, few rows read for nothing."""
    for node in nodes(told):
        if node["Node Type"] in {"Seq Scan", "Bitmap Heap Scan"}:
            assert node["Actual Rows"] + node.get("Rows Removed by Filter", 0) <= 1_000, (what, node)
        assert node.get("Rows Removed by Filter", 0) <= looked_past, (what, node)
    assert told["Shared Hit Blocks"] + told["Shared Read Blocks"] < 600, (what, told)


def test_each_filter_reads_about_what_it_answers(big: Service) -> None:
    project, now = of(big.project_id), datetime.now(UTC)
    for wanted, expected in (
        (Filter(), 51),
        (Filter(event="webhook.updated"), 51),
        (Filter(event="event_type.archived"), 1),
        (Filter(event="event_type.*"), 1),
        (Filter(event="webhook.*"), 51),
        (Filter(event="source.*"), 0),
        (Filter(level="warning"), 1),
        (Filter(level="info"), 51),
        (Filter(resource_type="event_type"), 1),
        (Filter(resource_id="r7"), 24),
        (Filter(resource_id="nothing"), 0),
        (Filter(actor_id=ACTOR), 51),
        (Filter(actor_id=RARE_ACTOR), 1),
        (Filter(actor_id=NOBODY), 0),
        (Filter(application_id=ACME), 51),
        (Filter(application_id=RARE_ACME), 1),
        (Filter(correlation_id="c70000"), 1),
        (Filter(correlation_id="nothing"), 0),
        (Filter(created_before=now - timedelta(days=40)), 51),
        (Filter(created_after=now - timedelta(seconds=60)), 1),
        (Filter(created_after=now - timedelta(days=41), created_before=now - timedelta(days=40)), 51),
    ):
        rows, told = plan(project, wanted)
        assert rows == expected, wanted
        assert_cheap(told, wanted, looked_past=100)


def test_several_filters_read_what_the_narrowest_leaves(big: Service) -> None:
    project = of(big.project_id)
    for wanted, expected in (
        (Filter(event="webhook.paused", actor_id=ACTOR), 51),
        (Filter(event="webhook.updated", resource_id="r7"), 0),
        (Filter(resource_type="webhook", correlation_id="c7"), 1),
        (Filter(event="webhook.*", level="warning"), 0),
        (Filter(actor_id=ACTOR, resource_id="r8"), 24),
    ):
        rows, told = plan(project, wanted)
        assert rows == expected, wanted
        assert_cheap(told, wanted, looked_past=200)


def test_a_bound_keys_page_reads_its_application_only(big: Service) -> None:
    for wanted, expected in (
        (Filter(), 1),
        (Filter(event="webhook.*"), 0),
        (Filter(level="warning"), 1),
        (Filter(actor_id=ACTOR), 0),
    ):
        rows, told = plan(of(big.project_id, RARE_ACME), wanted)
        assert rows == expected, wanted
        assert_cheap(told, wanted, looked_past=100)


def test_entries_are_small(service: Service) -> None:
    """An entry holds what the API shows of one thing: some hundred bytes beside it."""
    service.application()
    with database.transaction() as connection:
        size = text("SELECT max(pg_column_size(l)) FROM webhook.audit_log l")
        assert connection.execute(size).scalar_one() < 1_000
