"""Applications: the project's own customers, by id and by the project's own name for them."""

import threading
from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from functions.adapters import database
from functions.api.caller import Caller
from functions.api.queries import applications
from functions.api.queries.applications import Filter
from functions.deliver import handler as deliver
from functions.errors import Invalid, NotFound, Unauthorized
from functions.jobs import handler as jobs
from tests.integration.conftest import Answer, Client, Context, Service

NewProject = Callable[..., tuple[str, Client]]
NOBODY = "01a1f8b1-9224-7dd5-93c0-8632c1ed87f3"


def of(project_id: str, application_id: str = "") -> Caller:
    known = {"key_id": NOBODY, "correlation_id": "c", "request_id": "r", "source_ip": ""}
    return Caller(
        admin=False, project_id=project_id, application_id=application_id, scopes=frozenset({"*"}), **known
    )


def audited(service: Service, query: str) -> list[dict]:
    return service.client("GET", f"/v1/audit-log?{query}").body["data"]


def test_an_application_is_read_by_its_id_and_by_its_uid(service: Service) -> None:
    made = service.client("POST", "/v1/applications", {"name": "Acme", "uid": "acme.eu"})
    assert made.status == 201
    assert made.headers["etag"] == '"1"'
    assert made.body["created_by"] == made.body["updated_by"]
    for name in (made.body["id"], made.body["id"].upper(), "acme.eu"):
        read = service.client("GET", f"/v1/applications/{name}")
        assert (read.status, read.body, read.headers["etag"]) == (200, made.body, '"1"')
    assert service.client("GET", "/v1/applications").body == {"data": [made.body], "next_cursor": None}


def test_a_uid_is_one_living_applications_in_a_project(service: Service, new_project: NewProject) -> None:
    service.application(uid="acme")
    taken = service.client("POST", "/v1/applications", {"name": "B", "uid": "acme"})
    assert (taken.status, taken.body["error"]["details"][0]["path"]) == (409, "uid")
    other = service.application(uid="ACME")  # another name: case counts
    assert service.client("PATCH", f"/v1/applications/{other['id']}", {"uid": "acme"}).status == 409
    assert service.client("GET", "/v1/applications/ACME").body == other
    _, stranger = new_project()
    assert stranger("POST", "/v1/applications", {"name": "Acme", "uid": "acme"}).status == 201
    assert service.client("DELETE", "/v1/applications/acme").status == 204
    assert service.application(uid="acme")["uid"] == "acme"
    assert service.application()["uid"] is service.application()["uid"] is None


@pytest.mark.parametrize(
    "values",
    [
        {"name": ""},
        {"name": "x" * 256},
        {"name": None},
        {"name": "nul\0"},
        {"uid": ""},
        {"uid": "with space"},
        {"uid": "ü"},
        {"uid": "a\n"},
        {"uid": 1},
        {"uid": "x" * 256},
        {"uid": NOBODY},
        {"uid": NOBODY.upper()},
        {"unknown": 1},
    ],
)
def test_bad_values_are_422_and_store_nothing(service: Service, values: dict) -> None:
    answer = service.client("POST", "/v1/applications", {"name": "n", **values})
    assert answer.status == 422, answer.body
    if "nul" not in str(values.get("name")):
        assert answer.body["error"]["details"][0]["path"] == next(iter(values))
    assert service.client("GET", "/v1/applications").body["data"] == []
    made = service.application()
    assert service.client("PATCH", f"/v1/applications/{made['id']}", values).status == 422
    assert service.client("GET", f"/v1/applications/{made['id']}").body == made


def test_a_patch_changes_what_it_names_and_null_clears_the_uid(service: Service) -> None:
    made = service.application(uid="acme")
    path = f"/v1/applications/{made['id']}"
    renamed = service.client("PATCH", path, {"name": "Acme Ltd"})
    assert renamed.body == {**made, "name": "Acme Ltd", "updated_at": renamed.body["updated_at"]}
    assert renamed.headers["etag"] == '"2"'
    assert service.client("PATCH", path, {"uid": None}).body["uid"] is None
    assert service.client("GET", "/v1/applications/acme").status == 404
    assert service.client("PATCH", path, {}).status == 422
    last, first = audited(service, "event=application.updated")
    assert (first["before"]["name"], first["after"]["name"]) == ("Acme", "Acme Ltd")
    assert (last["before"]["uid"], last["after"]["uid"]) == ("acme", None)


def test_a_change_of_what_was_changed_meanwhile_is_412_and_changes_nothing(service: Service) -> None:
    path = f"/v1/applications/{service.application()['id']}"
    first = service.client("PATCH", path, {"name": "first"}, headers={"if-match": '"1"'})
    assert first.status == 200
    for stale in ('"1"', '"x"', '"99999999999"'):
        assert service.client("PATCH", path, {"name": "second"}, headers={"if-match": stale}).status == 412
        assert service.client("DELETE", path, headers={"if-match": stale}).status == 412
    assert service.client("DELETE", path, headers={"if-match": "nonsense"}).status == 400
    assert service.client("GET", path).body == first.body
    assert service.client("PATCH", path, {"name": "third"}, headers={"if-match": "*"}).headers["etag"] == '"3"'
    assert service.client("DELETE", path, headers={"if-match": '"3"'}).status == 204


def test_lists_are_narrowed_by_uid_and_by_the_beginning_of_the_name(service: Service) -> None:
    names = ("Acme", "ACME Ltd", "50% off", "50x", "a_b", "axb", "back\\slash")
    ids = {name: service.application(name=name, uid=f"u{n}")["id"] for n, name in enumerate(names)}

    def found(query: str) -> set[str]:
        listed = service.client("GET", f"/v1/applications?{query}")
        assert listed.status == 200, listed.body
        return {one["id"] for one in listed.body["data"]}

    assert found("uid=u1") == {ids["ACME Ltd"]}
    assert found("uid=u") == set()
    assert found("name=aCmE") == {ids["Acme"], ids["ACME Ltd"]}
    assert found("name=50%") == {ids["50% off"]}
    assert found("name=a_") == {ids["a_b"]}
    assert found("name=back\\") == {ids["back\\slash"]}
    assert found("name=cme") == set()
    assert found("created_after=2000-01-01T00:00:00Z") == set(ids.values())
    assert found("created_before=2000-01-01T00:00:00Z") == set()


@pytest.mark.parametrize(
    "query", ["uid=a b", "name=a\0", f"name={'x' * 256}", "limit=0", "cursor=?", "created_after=x"]
)
def test_bad_filters_are_422_and_named(service: Service, query: str) -> None:
    answer = service.client("GET", f"/v1/applications?{query}")
    assert answer.status == 422
    assert answer.body["error"]["details"][0]["path"] == query.partition("=")[0]


def test_a_project_with_many_applications_finds_one_by_an_index(service: Service) -> None:
    service.sql.run(
        "INSERT INTO webhook.applications (project_id, name, uid)"
        " SELECT :project, 'Customer ' || n, 'c' || n FROM generate_series(1, 50000) AS n",
        project=service.project_id,
    )
    service.sql.run("ANALYZE webhook.applications")
    for wanted, count in (
        (Filter(), 51),
        (Filter(uid="c77"), 1),
        (Filter(uid="nothing"), 0),
        (Filter(name="customer 4999"), 11),
        (Filter(name="nobody"), 0),
    ):
        rows, read = pages_read(of(service.project_id), wanted)
        assert rows == count
        assert read < 150, wanted


def pages_read(caller: Caller, wanted: Filter) -> tuple[int, int]:
    """How many rows the statement of a page has, and how many of the table's and its indexes' pages it took."""
    asked: list[Any] = []

    def keep(_c: Any, _cursor: Any, statement: str, parameters: Any, _context: Any, _many: bool) -> None:
        asked.append((statement, parameters))

    event.listen(database.engine(), "before_cursor_execute", keep)
    with database.transaction() as connection:
        rows = applications.list_applications(connection, caller, wanted, limit=50, cursor="")
        event.remove(database.engine(), "before_cursor_execute", keep)
        ((statement, parameters),) = asked
        explain = f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}"
        plan = connection.exec_driver_sql(explain, parameters).scalar_one()[0]["Plan"]
    return len(rows), plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_applications_page(service: Service) -> None:
    ids = [service.application()["id"] for _ in range(5)]
    first = service.client("GET", "/v1/applications?limit=3").body
    second = service.client("GET", f"/v1/applications?limit=3&cursor={first['next_cursor']}").body
    assert [one["id"] for one in first["data"] + second["data"]] == ids[::-1]
    assert second["next_cursor"] is None


@pytest.mark.parametrize("name", ["nothing", NOBODY, "x" * 300, "a b", "a\0b", "*", "ü", "..", "%"])
def test_what_names_no_application_is_404(service: Service, name: str) -> None:
    service.application(uid="acme")
    for method, body in (("GET", None), ("PATCH", {"name": "n"}), ("DELETE", None)):
        assert service.client(method, f"/v1/applications/{name}", body).status == 404


def test_creating_twice_with_an_idempotency_key_makes_one(service: Service) -> None:
    def create(name: str) -> Answer:
        return service.client("POST", "/v1/applications", {"name": name}, headers={"idempotency-key": "a"})

    first, again = create("Acme"), create("Acme")
    assert (again.status, again.body, again.headers["etag"]) == (201, first.body, '"1"')
    assert again.headers["idempotency-replayed"] == "true"
    assert create("Other").status == 409
    assert len(service.client("GET", "/v1/applications").body["data"]) == 1
    assert len(audited(service, "event=application.created")) == 1


def test_it_takes_the_scope_and_the_projects_own_key(service: Service) -> None:
    made = service.application(uid="acme")
    reader = service.key("webhooks:read")
    assert reader("GET", "/v1/applications/acme").status == reader("GET", "/v1/applications").status == 200
    for method, path, body in (
        ("POST", "/v1/applications", {"name": "n"}),
        ("PATCH", "/v1/applications/acme", {"name": "n"}),
        ("DELETE", "/v1/applications/acme", None),
    ):
        for refused in (reader, service.key(application_id="acme"), service.admin):
            assert refused(method, path, body).status == 403
    assert service.client("GET", "/v1/applications/acme").body == made


def test_a_deleted_application_takes_its_webhooks_and_keys_along(service: Service) -> None:
    acme, other = service.application(uid="acme"), service.application(uid="other")
    bound = service.webhook(application_id="acme", auth={"type": "bearer", "token": "abcdefgh"})
    rotated = service.client("POST", f"/v1/webhooks/{bound['id']}/rotate-secret", {})
    assert rotated.status == 200, rotated.body
    spared = [service.webhook(application_id="other"), service.webhook()]
    keys = [service.key(application_id="acme"), service.key(application_id=acme["id"])]
    safe = service.key(application_id=other["id"])
    assert service.client("DELETE", f"/v1/applications/{acme['id']}").status == 204
    assert service.client("DELETE", f"/v1/applications/{acme['id']}").status == 404
    assert service.client("GET", f"/v1/webhooks/{bound['id']}").status == 404
    assert {one["id"] for one in service.client("GET", "/v1/webhooks").body["data"]} == {w["id"] for w in spared}
    assert [key("GET", "/v1/whoami").status for key in keys] == [401, 401]
    assert safe("GET", "/v1/whoami").status == 200
    ((secret, credentials),) = service.sql.run(
        "SELECT signing_secret, credentials FROM webhook.webhooks WHERE id = :id", id=bound["id"]
    )
    assert (bytes(secret), credentials) == (b"", None)
    for table in ("webhook_subscriptions", "webhook_expiring_secrets"):
        left = service.sql.run(f"SELECT count(*) FROM webhook.{table} WHERE webhook_id = :id", id=bound["id"])
        assert left == [[0]]


def test_a_deletion_is_audited_with_all_that_it_took_along(service: Service) -> None:
    acme = service.application(uid="acme")
    ids = {service.webhook(application_id="acme")["id"] for _ in range(2)}
    key = service.key(application_id="acme")("GET", "/v1/whoami").body["key_id"]
    service.client("DELETE", "/v1/applications/acme", headers={"hookline-correlation-id": "goodbye"})
    entries = audited(service, "correlation_id=goodbye")
    assert {one["level"] for one in entries} == {"warning"}
    assert {one["application_id"] for one in entries} == {acme["id"]}
    by_event: dict[str, set[str]] = {}
    for one in entries:
        by_event.setdefault(one["event"], set()).add(one["resource"]["id"])
    assert by_event == {"application.deleted": {acme["id"]}, "webhook.deleted": ids, "api_key.revoked": {key}}
    (deleted,) = (one for one in entries if one["event"] == "application.deleted")
    assert (deleted["before"], deleted["after"]) == (acme, None)


def test_deliveries_under_way_end_with_the_application_and_its_events_stay_readable(service: Service) -> None:
    acme = service.application(uid="acme")
    webhook = service.webhook(application_id="acme")
    sent = service.event(application_id="acme", id="order-1")
    waiting = service.messages()
    service.client("DELETE", "/v1/applications/acme")
    assert deliver.handler({"Records": waiting}, Context()) == {"batchItemFailures": []}
    (delivery,) = service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}").body["data"]
    assert (delivery["status"], delivery["last_error"]["code"]) == ("failed", "webhook_deleted")
    for name in (sent["id"], "order-1"):
        read = service.client("GET", f"/v1/events/{name}")
        assert (read.status, read.body["application_id"], read.body["data"]) == (200, acme["id"], {"n": 1})
    listed = service.client("GET", f"/v1/events?application_id={acme['id']}").body["data"]
    assert [one["id"] for one in listed] == [sent["id"]]
    assert len(service.client("GET", f"/v1/deliveries/{delivery['id']}/attempts").body["data"]) == 0
    assert audited(service, f"application_id={acme['id']}")[0]["application_id"] == acme["id"]


def test_what_waited_for_a_paused_webhook_ends_with_its_application(service: Service) -> None:
    service.application(uid="acme")
    webhook = service.webhook(application_id="acme")
    assert service.client("POST", f"/v1/webhooks/{webhook['id']}/pause").status == 200
    service.event(application_id="acme")
    deliver.handler({"Records": service.messages()}, Context())
    held = "SELECT count(*) FROM webhook.webhook_deliveries WHERE sweep_at = 'infinity'"
    assert service.sql.run(held) == [[1]]
    assert service.client("DELETE", "/v1/applications/acme").status == 204
    assert jobs.handler({"Records": service.messages("jobs")}, Context()) == {"batchItemFailures": []}
    deliver.handler({"Records": service.messages("retry")}, Context())
    (delivery,) = service.client("GET", f"/v1/deliveries?webhook_id={webhook['id']}").body["data"]
    assert (delivery["status"], delivery["last_error"]["code"]) == ("failed", "webhook_deleted")


def test_nothing_is_bound_to_a_deleted_application(service: Service) -> None:
    id = service.application(uid="acme")["id"]
    service.client("DELETE", "/v1/applications/acme")
    for name in (id, "acme"):
        for path, body in (
            ("/v1/webhooks", {"name": "n", "url": "http://127.0.0.1:9/", "application_id": name}),
            ("/v1/events", {"type": "a", "data": 1, "application_id": name}),
        ):
            answer = service.client("POST", path, body)
            assert (answer.status, answer.body["error"]["details"][0]["path"]) == (422, "application_id")


def test_a_deletion_waits_for_what_is_being_bound_and_takes_it_along(service: Service) -> None:
    acme, webhook = service.application(uid="acme"), service.webhook()
    deleted: list[int] = []
    thread = threading.Thread(
        target=lambda: deleted.append(service.client("DELETE", "/v1/applications/acme").status)
    )
    with create_engine(database.database_url()).connect() as connection:
        id = applications.resolve(connection, of(service.project_id), "acme")
        assert id == acme["id"]
        thread.start()
        thread.join(1)
        assert thread.is_alive(), "the deletion did not wait"
        bind = "UPDATE webhook.webhooks SET application_id = CAST(:to AS uuid) WHERE id = CAST(:id AS uuid)"
        connection.execute(text(bind), {"to": id, "id": webhook["id"]})
        connection.commit()
    thread.join(10)
    assert deleted == [204]
    assert service.client("GET", f"/v1/webhooks/{webhook['id']}").status == 404


def test_what_a_new_thing_is_bound_to(service: Service, new_project: NewProject) -> None:
    acme, other = service.application(uid="acme")["id"], service.application(uid="other")["id"]
    _, stranger = new_project()
    elsewhere = stranger("POST", "/v1/applications", {"name": "n", "uid": "elsewhere"}).body["id"]
    project, bound = of(service.project_id), of(service.project_id, acme)
    with database.transaction() as connection:
        assert applications.binding(connection, project, None) is None
        assert applications.binding(connection, project, "acme") == acme
        assert applications.binding(connection, bound, None) == acme
        assert applications.binding(connection, bound, "acme") == acme
        for wanted in ("other", other, "nothing", elsewhere, "", "a\0"):
            with pytest.raises(NotFound):
                applications.binding(connection, bound, wanted)
        for wanted in ("nothing", "elsewhere", elsewhere, "", "a\0"):
            with pytest.raises(Invalid) as refused:
                applications.resolve(connection, project, wanted, path="filter.application_id")
            assert refused.value.details[0].path == "filter.application_id"
    service.client("DELETE", "/v1/applications/acme")
    with database.transaction() as connection:
        with pytest.raises(Unauthorized):  # the gateway may still know the key
            applications.binding(connection, bound, None)
        assert applications.resolve_for_reading(connection, project, acme) == acme
        with pytest.raises(Invalid):
            applications.resolve_for_reading(connection, project, "acme")
