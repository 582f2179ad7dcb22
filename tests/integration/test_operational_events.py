"""Operational events: who is told of what, that it costs little, and that it never costs the outcome itself."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from sqlalchemy import Connection, event, text

from functions.adapters.database import engine, transaction
from functions.domain import operational
from functions.domain.event_types import TEST
from functions.domain.operational import DISABLED, EXHAUSTED, FAILING, RECOVERED, SLOW, Signal, notify
from tests.integration.conftest import Service
from tests.integration.endpoint import endpoint
from tests.integration.levers_scene import ago, dead_letter_of, delivery, dispatch_all, failed, run, start, work
from tests.integration.operational_scene import FAIL, slow, stored, tell, terminate_then, told


@pytest.fixture
def statements() -> Iterator[list[str]]:
    """What is asked of the database while this is open."""
    seen: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        seen.append(statement)

    event.listen(engine(), "before_cursor_execute", note)
    yield seen
    event.remove(engine(), "before_cursor_execute", note)


def test_an_event_about_a_webhook_goes_to_who_subscribed_to_it(service: Service) -> None:
    about = service.webhook(name="orders")
    listener = service.webhook(event_types=["hookline.webhook.slow"])
    (notice,) = tell(slow(about, since="2026-11-01T10:00:00Z"))
    (one,) = stored(service)
    assert one["type"] == "hookline.webhook.slow"
    assert one["data"] == {
        "webhook_id": about["id"],
        "webhook_name": "orders",
        "application_id": None,
        "environment": None,
        "since": "2026-11-01T10:00:00Z",
    }
    assert one["webhooks_matched"] == 1
    assert (notice.token, notice.project_id) == (1, service.project_id)
    made = delivery(service, notice.delivery_id)
    assert (made["event_id"], made["webhook_id"], made["status"]) == (one["id"], listener["id"], "pending")
    ((soon,),) = service.sql.run(
        "SELECT sweep_at - scheduled_at = interval '90 s' AND scheduled_at = created_at"
        " FROM webhook.webhook_deliveries"
    )
    assert soon, "its row is its own outbox"


def test_an_event_about_a_delivery_tells_what_became_of_it(service: Service) -> None:
    about = service.webhook(name="orders")
    service.webhook(event_types=["hookline.*"])
    (of,) = failed(service, about)
    service.sql.run(FAIL, id=of)
    tell(Signal(EXHAUSTED, about["id"], of, {}), Signal(FAILING, about["id"], of, {"attempts": 4}))
    exhausted, failing = stored(service)
    facts = {
        "webhook_id": about["id"],
        "webhook_name": "orders",
        "application_id": None,
        "environment": None,
        "delivery_id": of,
        "event_id": delivery(service, of)["event_id"],
        "event_type": "invoice.paid",
        "attempts": 2,
        "max_attempts": 2,
        "last_response_status": 500,
        "last_error": {"code": "http_status", "message": "the endpoint answered 500"},
    }
    assert (exhausted["type"], exhausted["data"]) == (
        EXHAUSTED,
        {**facts, "dead_letter_id": dead_letter_of(service, of)},
    )
    assert (failing["type"], failing["data"]) == (FAILING, {**facts, "attempts": 4})
    assert {exhausted["correlation_id"], failing["correlation_id"]} == {"scene"}, "that of the delivery's event"


def test_each_pattern_that_names_them_is_told_once_and_a_star_is_not(service: Service) -> None:
    about = service.webhook()
    patterns = ["hookline.webhook.disabled", "hookline.webhook.*", "hookline.*"]
    each = {pattern: service.webhook(event_types=[pattern])["id"] for pattern in patterns}
    several = service.webhook(event_types=[*patterns, "*"])["id"]
    for pattern in ("*", "hookline", "hookline.webhook", "hookline.delivery.*", "hookline.webhook.slow", "hook.*"):
        service.webhook(event_types=[pattern])
    tell(Signal(DISABLED, about["id"]))
    assert sorted(told(service)) == sorted((id, DISABLED) for id in (*each.values(), several))
    assert stored(service)[0]["webhooks_matched"] == 4


@pytest.mark.parametrize("type", [DISABLED, RECOVERED, SLOW, FAILING, EXHAUSTED])
def test_every_type_is_told(service: Service, type: str) -> None:
    about, listener = service.webhook(), service.webhook(event_types=[type])
    (of,) = failed(service, about)
    tell(Signal(type, about["id"], of, {}))
    assert told(service) == [(listener["id"], type)]


def test_what_nobody_subscribed_to_is_not_stored_and_costs_one_look(
    service: Service, new_project: Any, statements: list[str]
) -> None:
    about = service.webhook(event_types=["*"])
    _, stranger = new_project()
    stranger("POST", "/v1/webhooks", {"name": "x", "url": "http://127.0.0.1:9/", "event_types": ["hookline.*"]})
    ids = failed(service, about, 20)
    statements.clear()
    assert tell(*(Signal(EXHAUSTED, about["id"], of, {}) for of in ids)) == []
    assert len(statements) == 1
    assert stored(service) == []
    service.webhook(event_types=["hookline.webhook.*"])
    assert tell(*(Signal(EXHAUSTED, about["id"], of, {}) for of in ids)) == []
    assert stored(service) == []


def test_nothing_to_tell_asks_nothing(service: Service, statements: list[str]) -> None:
    statements.clear()
    assert tell() == []
    assert statements == []


def test_a_webhook_is_not_told_about_itself(service: Service) -> None:
    one = service.webhook(event_types=["hookline.*"])
    assert tell(slow(one)) == []
    assert stored(service) == []
    other = service.webhook(event_types=["hookline.*"])
    tell(slow(one), slow(other))
    assert told(service) == [(other["id"], SLOW), (one["id"], SLOW)]


@pytest.mark.parametrize("signal", [EXHAUSTED, FAILING, SLOW])
def test_deliveries_of_operational_events_and_of_tests_are_never_told_of(service: Service, signal: str) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])
    own = [failed(service, about, type=type)[0] for type in (SLOW, EXHAUSTED, TEST)]
    (other,) = failed(service, about)
    assert tell(*(Signal(signal, about["id"], of) for of in own)) == []
    assert stored(service) == []
    tell(*(Signal(signal, about["id"], of) for of in (*own, other)))
    assert [one["data"]["delivery_id"] for one in stored(service)] == [other]


def test_a_paused_listener_gets_it_later_and_disabled_or_deleted_ones_never(service: Service) -> None:
    about = service.webhook()
    active, paused, disabled, deleted = (service.webhook(event_types=["hookline.*"]) for _ in range(4))
    service.client("POST", f"/v1/webhooks/{paused['id']}/pause")
    service.sql.run("UPDATE webhook.webhooks SET status = 'disabled' WHERE id = :id", id=disabled["id"])
    service.sql.run("UPDATE webhook.webhooks SET deleted_at = now() WHERE id = :id", id=deleted["id"])
    tell(slow(about))
    assert {id for id, _ in told(service)} == {active["id"], paused["id"]}


def test_a_subscription_that_is_switched_off_is_none(service: Service) -> None:
    about, listener = service.webhook(), service.webhook(event_types=["hookline.*"])
    path = f"/v1/webhooks/{listener['id']}/subscriptions/{listener['subscriptions'][0]['id']}"
    assert service.client("PATCH", path, {"enabled": False}).status == 200
    assert tell(slow(about)) == []


def test_an_application_hears_of_its_own_webhooks_and_the_project_of_all(service: Service) -> None:
    acme, other = service.application(), service.application()
    of_acme, of_nobody = service.webhook(application_id=acme["id"]), service.webhook()
    listeners = {
        name: service.webhook(event_types=["hookline.*"], application_id=application)["id"]
        for name, application in (("acme", acme["id"]), ("other", other["id"]), ("project", None))
    }
    tell(slow(of_acme))
    assert {id for id, _ in told(service)} == {listeners["acme"], listeners["project"]}
    (one,) = stored(service)
    assert one["application_id"] == one["data"]["application_id"] == acme["id"]
    bound = service.sql.run("SELECT DISTINCT CAST(application_id AS text) FROM webhook.webhook_deliveries")
    assert sorted(bound, key=str) == sorted([[None], [acme["id"]]], key=str)
    service.sql.run("DELETE FROM webhook.webhook_deliveries")
    tell(slow(of_nobody))
    assert told(service) == [(listeners["project"], SLOW)]


def test_a_listener_with_an_environment_hears_of_webhooks_in_it(service: Service) -> None:
    live, nowhere = service.webhook(environment="live"), service.webhook()
    wants_all = service.webhook(event_types=["hookline.*"])["id"]
    wants_live = service.webhook(event_types=["hookline.*"], environment="live")["id"]
    service.webhook(event_types=["hookline.*"], environment="test")
    tell(slow(live))
    assert {id for id, _ in told(service)} == {wants_all, wants_live}
    assert stored(service)[0]["environment"] == stored(service)[0]["data"]["environment"] == "live"
    service.sql.run("DELETE FROM webhook.webhook_deliveries")
    tell(slow(nowhere))
    assert told(service) == [(wants_all, SLOW)]


def test_filters_are_asked_of_what_is_told(service: Service) -> None:
    chosen, other = service.webhook(), service.webhook()
    listener = service.webhook(event_types=["hookline.*"], filter={"webhook_id": chosen["id"]})["id"]
    service.webhook(event_types=["hookline.*"], filter={"last_error.code": "timeout"})
    tell(slow(other), slow(chosen))
    (one,) = stored(service)
    assert (one["data"]["webhook_id"], told(service)) == (chosen["id"], [(listener, SLOW)])


def test_projects_are_told_apart(service: Service, new_project: Any) -> None:
    ours = service.webhook()
    _, client = new_project()
    body = {"name": "x", "url": "http://127.0.0.1:9/"}
    theirs = client("POST", "/v1/webhooks", body).body
    mine = service.webhook(event_types=["hookline.*"])["id"]
    stranger = client("POST", "/v1/webhooks", {**body, "event_types": ["hookline.*"]}).body["id"]
    tell(slow(ours), slow(theirs))
    assert told(service) == [(mine, SLOW), (stranger, SLOW)]
    assert client("GET", "/v1/events").body["data"][0]["type"] == SLOW


def test_an_event_without_a_delivery_has_a_correlation_id_of_its_own_or_the_callers(service: Service) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])
    tell(slow(about))
    tell(slow(about))
    with transaction() as connection:
        notify(connection, [slow(about)], correlation_id="the sweep's")
    first, second, third = (one["correlation_id"] for one in stored(service))
    assert first != second
    assert third == "the sweep's"


def test_what_is_told_is_undone_with_what_it_tells_of(service: Service) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])

    def tell_and_fail() -> None:
        with transaction() as connection:
            notify(connection, [slow(about)])
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        tell_and_fail()
    assert stored(service) == []


@pytest.mark.parametrize(
    "broken",
    [
        "ALTER TABLE webhook.webhook_events ADD CONSTRAINT no_more CHECK (type NOT LIKE 'hookline.%') NOT VALID",
        "ALTER TABLE webhook.webhook_deliveries ADD CONSTRAINT no_more CHECK (sweep_at IS NULL) NOT VALID",
        "ALTER TABLE webhook.webhook_dlq RENAME TO webhook_dlq_away",
    ],
    ids=["events", "deliveries", "look-up"],
)
def test_an_outcome_is_kept_although_it_cannot_be_told(
    service: Service, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str], broken: str
) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])
    (of,) = failed(service, about)
    service.sql.run(broken)
    with transaction() as connection:
        connection.execute(text("UPDATE webhook.webhook_health SET failure_count = 7"))
        assert notify(connection, [Signal(EXHAUSTED, about["id"], of)]) == []
        connection.execute(text("UPDATE webhook.webhook_health SET failure_count = failure_count + 1"))
    assert service.sql.run("SELECT DISTINCT failure_count FROM webhook.webhook_health") == [[8]]
    assert stored(service) == []
    assert "operational events not stored" in capsys.readouterr().out + caplog.text


def test_a_text_that_postgres_does_not_take_costs_the_event_and_not_the_outcome(service: Service) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])
    with transaction() as connection:
        connection.execute(text("UPDATE webhook.webhook_health SET failure_count = 7"))
        assert notify(connection, [slow(about, reason="nul \x00")]) == []
    assert service.sql.run("SELECT DISTINCT failure_count FROM webhook.webhook_health") == [[7]]


def test_with_its_connection_gone_the_callers_transaction_fails_and_is_tried_again(service: Service) -> None:
    about = service.webhook()
    service.webhook(event_types=["hookline.*"])
    seen: list[Connection] = []

    def terminate(connection: Connection, *_: Any) -> None:
        if connection.in_nested_transaction():
            seen.append(connection)
            ((pid,),) = connection.exec_driver_sql("SELECT pg_backend_pid()").fetchall()
            service.sql.run("SELECT pg_terminate_backend(CAST(:pid AS integer))", pid=pid)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(operational, "_tell", terminate_then(terminate))
        with pytest.raises(Exception, match=r"network error|terminat"), transaction() as connection:
            notify(connection, [slow(about)])
    assert seen
    assert tell(slow(about)), "the next transaction has a new connection"


def test_a_thousand_at_once_are_a_handful_of_statements(service: Service, statements: list[str]) -> None:
    about = service.webhook()
    listener = service.webhook(event_types=["hookline.delivery.*"])["id"]
    ids = failed(service, about, 1000)
    statements.clear()
    notices = tell(*(Signal(EXHAUSTED, about["id"], of) for of in ids))
    assert len(statements) == 5, "a look, a savepoint, the deliveries, the events, the savepoint's end"
    assert len({one.delivery_id for one in notices}) == 1000
    assert told(service) == [(listener, EXHAUSTED)] * 1000
    assert [one["data"]["delivery_id"] for one in stored(service)] == ids, "in the order they were told in"


def test_they_arrive_signed_like_any_other_event(service: Service) -> None:
    about = service.webhook()
    with endpoint() as here:
        service.webhook(url=here.url, event_types=["hookline.*"])
        (notice,) = tell(slow(about, since="2026-11-01T10:00:00Z"))
        assert dispatch_all(service)["deliveries"] == 1
        run(service)
    (got,) = here.received
    assert got.headers["hookline-event-type"] == SLOW
    assert got.headers["hookline-delivery-id"] == notice.delivery_id
    assert json.loads(got.body)["webhook_id"] == about["id"]
    assert got.headers["webhook-signature"]


def test_a_replay_goes_to_whom_it_was_told_and_not_to_a_star_or_the_webhook_itself(service: Service) -> None:
    about = service.webhook(event_types=["*", "hookline.*"])
    service.webhook(event_types=["*"])
    listener = service.webhook(event_types=["hookline.*"])["id"]
    tell(slow(about))
    (one,) = stored(service)
    replayed = service.client("POST", f"/v1/events/{one['id']}/replay")
    assert replayed.status == 202
    assert told(service) == [(listener, SLOW)] * 2


@pytest.mark.parametrize("filter", [None, {"webhook_name": {"exists": True}}], ids=["any", "filtered"])
def test_who_subscribes_later_is_made_up_for_what_it_missed(service: Service, filter: Any) -> None:
    about = service.webhook(event_types=["*", "hookline.*"])
    everything = service.webhook(event_types=["*"])
    first, later = service.webhook(event_types=["hookline.*"]), service.webhook(event_types=["nothing"])
    tell(slow(about))
    path = f"/v1/webhooks/{later['id']}/subscriptions"
    assert service.client("POST", path, {"event_type": "hookline.webhook.*", "filter": filter}).status == 201
    for webhook, count in ((about, 0), (everything, 0), (first, 0), (later, 1)):
        start(service, f"/v1/webhooks/{webhook['id']}/replay-missing", {"since": ago(hours=1)})
        work(service)
        assert sum(id == webhook["id"] for id, _ in told(service)) == (webhook == first) + count
