"""The job that counts attempts: each once, whatever happens, as if somebody had counted them all by hand."""

import random
from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Thread
from typing import Any

import pytest
from pg8000.exceptions import DatabaseError
from sqlalchemy import Connection

from functions.adapters.database import connect_owner
from functions.dispatch import handler as dispatch
from functions.domain.event_types import TEST
from functions.domain.ids import uuid7_floor
from functions.domain.statistics.times import DAY, FIVE_MINUTES, HOUR
from functions.maintain import rollup, statistics
from functions.maintain.handler import JOBS
from functions.maintain.run import Run
from tests.integration.conftest import Context, Service
from tests.integration.deliver_scene import make_due, run
from tests.integration.endpoint import Endpoint
from tests.integration.statistics_scene import Attempt, Scene, key_of, run_statistics, same

KINDS: list[tuple[int | None, str | None]] = [
    *[(status, None) for status in (200, 204)],
    *[(status, "http_status") for status in (301, 404, 410, 429, 500, 503, 100, 700)],
    *[(None, code) for code in ("timeout", "dns_error", "connection_failed", "connect_timeout", "tls_error")],
    *[(None, code) for code in ("invalid_response", "response_too_large", "address_refused", "request_failed")],
    (200, "timeout"),  # its headers came in time
]
PROGRESS = "SELECT position, until FROM webhook.statistics_progress WHERE name = 'attempts'"


@pytest.fixture
def scene(service: Service) -> Scene:
    return Scene(service)


@pytest.fixture
def now() -> datetime:
    return datetime.now(UTC).replace(microsecond=0)


def some(scene: Scene, webhooks: list[str], now: datetime, count: int, *, seed: int = 1) -> list[Attempt]:
    """Attempts of the last days, most of them lately, of every kind."""
    chance = random.Random(seed)
    made = []
    for _ in range(count):
        status, code = chance.choice(KINDS)
        at = now - timedelta(minutes=3) - timedelta(minutes=10) * 10 ** chance.uniform(-1, 3.5)
        ms = chance.choice([0, 15, 16, 30_000, int(2 ** chance.uniform(0, 15))])
        made.append(
            Attempt(
                chance.choice(webhooks),
                at.replace(microsecond=at.microsecond // 1000 * 1000),
                status,
                code,
                ms,
                number=chance.choice([1, 1, 1, 2, 6]),
                is_dead=code is not None and chance.random() < 0.2,
                type=chance.choice(["invoice.paid"] * 9 + [TEST]),
            )
        )
    return [one if one.type != TEST else _without_letter(one) for one in made]


def _without_letter(one: Attempt) -> Attempt:
    return Attempt(**{**vars(one), "is_dead": False})


def test_what_is_counted_is_what_counting_by_hand_finds(scene: Scene, now: datetime) -> None:
    application = scene.service.application()["id"]
    webhooks = [scene.webhook(), scene.webhook(), scene.webhook(application_id=application)]
    attempts = some(scene, webhooks, now, 400)
    scene.add(*attempts)
    counts = run_statistics(now)
    assert (counts["attempts"], counts["unsettled"]) == (400, 0)
    assert counts["counted"] == sum(one.type != TEST for one in attempts)
    assert counts["dead_letters"] == sum(one.is_dead for one in attempts) > 0
    assert same(scene.stored(), scene.expected(now))
    assert {minutes for _, minutes, _ in scene.stored()} == {5, 60, 1440}


@pytest.mark.parametrize("seed", range(3))
def test_in_batches_of_any_size_and_in_runs_of_any_number_each_is_counted_once(
    scene: Scene, now: datetime, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    chance = random.Random(seed)
    webhooks = [scene.webhook(), scene.webhook()]
    later = now + timedelta(minutes=30)
    for number in range(6):
        monkeypatch.setattr(rollup, "BATCH", chance.choice([1, 7, 1000]))
        at = now + timedelta(minutes=5) * number
        scene.add(*(_late(one, at) for one in some(scene, webhooks, at, 30, seed=seed * 10 + number)))
        run_statistics(at)
        run_statistics(at)
    run_statistics(later)
    assert same(scene.stored(), scene.expected(later))


def _late(one: Attempt, at: datetime) -> Attempt:
    """Not before the job last ran, as far as rows may be behind it."""
    since = at - timedelta(minutes=5) - statistics.LAG
    ended = max(one.at, since + (one.at - since) % timedelta(minutes=6))
    return Attempt(**{**vars(one), "at": ended.replace(microsecond=ended.microsecond // 1000 * 1000)})


def test_what_appears_within_the_lag_is_counted_by_the_next_run(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(Attempt(webhook, now - timedelta(minutes=10)))
    assert run_statistics(now)["counted"] == 1
    scene.add(Attempt(webhook, now - timedelta(seconds=119)))  # was sent when the run before began
    assert run_statistics(now)["counted"] == 0
    assert run_statistics(now + timedelta(minutes=1))["counted"] == 1
    assert same(scene.stored(), scene.expected(now))


def test_an_attempt_on_the_edge_is_in_the_bucket_that_begins_there(scene: Scene, now: datetime) -> None:
    webhook, edge = scene.webhook(), DAY.floor(now)
    before = edge - timedelta(milliseconds=1)
    scene.add(Attempt(webhook, edge), Attempt(webhook, before, 500, "http_status"))
    run_statistics(now + timedelta(hours=1))
    stored = scene.stored()
    for resolution in (FIVE_MINUTES, HOUR, DAY):
        assert stored[webhook, resolution.minutes, edge].counts["succeeded"] == 1
        assert stored[webhook, resolution.minutes, edge - resolution.length].counts["server_error"] == 1


def test_of_two_attempts_of_a_delivery_one_delivered_it(scene: Scene, now: datetime) -> None:
    """The lease ended, another process took over, and both were answered 204."""
    webhook, at, delivery = scene.webhook(), now - timedelta(minutes=10), key_of(now - timedelta(minutes=11))
    stale = Attempt(webhook, at, is_latest=False, delivery=delivery)
    scene.add(stale, Attempt(webhook, at + timedelta(seconds=70), delivery=delivery))
    run_statistics(now)
    figures = scene.stored()[webhook, 1440, DAY.floor(at)]
    assert (figures.counts["succeeded"], figures.counts["deliveries_delivered"]) == (2, 1)


def test_what_the_delivery_function_records_is_counted(service: Service, receiver: Endpoint) -> None:
    service.webhook(url=receiver.url, event_types=["a.b"], max_attempts=2)
    receiver.status = 500
    service.event(type="a.b")
    run(service)
    service.messages("retry")
    make_due(service)
    dispatch.handler({}, Context())
    run(service, "retry")
    receiver.status = 200
    service.event(type="a.b")
    run(service)
    counts = run_statistics(datetime.now(UTC) + timedelta(minutes=5))
    assert (counts["counted"], counts["dead_letters"]) == (3, 1)
    ((attempts, errors, succeeded, first, delivered, failed),) = service.sql.run(
        "SELECT succeeded + server_error, server_error, succeeded, first_attempts, deliveries_delivered,"
        " deliveries_failed FROM webhook.delivery_statistics WHERE subject_id = :id AND resolution = 1440",
        id=service.project_id,
    )
    assert (attempts, errors, succeeded, first, delivered, failed) == (3, 2, 1, 2, 1, 1)


def _dies(monkeypatch: pytest.MonkeyPatch, statement: str, after: int) -> None:
    """The statement of rollup.py of that name is answered so often, and then the connection is gone."""
    real, left = getattr(rollup, statement), [after]

    class Broken(Exception):
        pass

    def execute(self: Any, asked: Any, *given: Any, **more: Any) -> Any:
        if asked is real:
            left[0] -= 1
            if left[0] < 0:
                raise Broken
        return original(self, asked, *given, **more)

    original: Callable[..., Any] = Connection.execute
    monkeypatch.setattr(Connection, "execute", execute)
    with pytest.raises(Broken):
        run_statistics()
    monkeypatch.setattr(Connection, "execute", original)


@pytest.mark.parametrize("statement", ["BEGUN", "FIRST", "BEGIN", "POSITION", "BEHIND", "ROLL", "ADVANCE"])
def test_a_run_that_dies_anywhere_loses_nothing_and_counts_nothing_twice(
    scene: Scene, now: datetime, monkeypatch: pytest.MonkeyPatch, statement: str
) -> None:
    webhook = scene.webhook()
    scene.add(*some(scene, [webhook], now, 40))
    monkeypatch.setattr(rollup, "BATCH", 10)
    for after in (0, 0) if statement in {"BEGUN", "FIRST", "BEGIN"} else (0, 2, 1):
        _dies(monkeypatch, statement, after)
    run_statistics(now)
    assert same(scene.stored(), scene.expected(now))


def test_two_runs_at_once_count_each_attempt_once(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(*(Attempt(webhook, now - timedelta(minutes=9, seconds=n)) for n in range(20)))
    bound = uuid7_floor(now)
    with connect_owner() as one, connect_owner() as other:
        with one.begin():
            rollup.begin(one, now, bound)
        first = one.begin()
        assert rollup.roll(one, now, bound, 8).attempts == 8
        seen: list[rollup.Rolled] = []

        def second() -> None:
            with other.begin():
                seen.append(rollup.roll(other, now, bound, 100))

        thread = Thread(target=second)
        thread.start()
        first.commit()
        thread.join(30)
    assert [one.attempts for one in seen] == [12]
    assert same(scene.stored(), scene.expected(now))


def test_nothing_is_counted_before_transactions_under_way_are_over(
    scene: Scene, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A row whose key is old, in a transaction that hangs: it is counted when it is there, and not passed by."""
    monkeypatch.setattr(statistics, "PATIENCE_SECONDS", 0.3)
    webhook = scene.webhook()
    scene.add(Attempt(webhook, now - timedelta(minutes=20)))
    scene.service.sql.run("BEGIN")
    scene.add(Attempt(webhook, now - timedelta(minutes=10)))
    assert run_statistics(now) == dict.fromkeys(run_statistics(now), 0) | {"unsettled": 1}
    scene.service.sql.run("COMMIT")
    assert run_statistics(now)["counted"] == 2
    assert same(scene.stored(), scene.expected(now))


def test_the_first_run_begins_with_the_oldest_attempt_that_days_are_kept_for(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(*(Attempt(webhook, now - timedelta(days=days)) for days in (401, 398, 60, 20, 1)))
    assert run_statistics(now)["attempts"] == 4
    kept = Counter(minutes for subject, minutes, _ in scene.stored() if subject == webhook)
    assert kept == {5: 1, 60: 2, 1440: 4}


def test_where_nothing_happened_it_begins_now(service: Service, now: datetime) -> None:
    run_statistics(now)
    ((position, until),) = service.sql.run(PROGRESS)
    assert str(position) == statistics.bound(now)
    assert until == now - statistics.LAG


def test_restored_attempts_are_not_counted_again(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(Attempt(webhook, now - timedelta(days=3)))
    run_statistics(now)
    before = scene.stored()
    scene.service.sql.run(
        "WITH gone AS (DELETE FROM webhook.webhook_delivery_attempts RETURNING *)"
        " INSERT INTO webhook.webhook_delivery_attempts SELECT * FROM gone"
    )
    assert run_statistics(now + timedelta(minutes=5))["counted"] == 0
    assert same(scene.stored(), before)


def test_an_attempt_whose_delivery_is_gone_is_nobodys(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(Attempt(webhook, now - timedelta(minutes=5)))
    scene.service.sql.run("DELETE FROM webhook.webhook_deliveries")
    counts = run_statistics(now)
    assert (counts["attempts"], counts["counted"], scene.stored()) == (1, 0, {})


def test_a_deleted_webhook_is_counted_as_long_as_something_came_of_it(scene: Scene, now: datetime) -> None:
    webhook = scene.webhook()
    scene.add(Attempt(webhook, now - timedelta(minutes=5)))
    assert scene.service.client("DELETE", f"/v1/webhooks/{webhook}").status == 204
    run_statistics(now)
    assert same(scene.stored(), scene.expected(now))


def test_buckets_go_when_they_are_too_old_and_others_stay(
    scene: Scene, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statistics, "PRUNED", 2)
    webhook = scene.webhook()
    scene.add(*(Attempt(webhook, now - timedelta(hours=hours)) for hours in range(1, 30)))
    run_statistics(now)
    for days in (1, 3, 36, 300, 402):
        later = now + timedelta(days=days)
        assert run_statistics(later)["pruned"] >= 0
        assert same(scene.stored(), scene.expected(later))
    assert scene.stored() == {}


def test_without_time_nothing_is_done_and_the_next_run_does_it(scene: Scene, now: datetime) -> None:
    scene.add(Attempt(scene.webhook(), now - timedelta(minutes=5)))
    assert set(run_statistics(now, seconds=0).values()) == {0}
    assert run_statistics(now)["counted"] == 1


def test_the_application_s_role_reads_statistics_and_writes_none(service: Service) -> None:
    service.sql.run("SET ROLE hookline_app")
    for table in ("delivery_statistics", "endpoint_rankings", "statistics_progress"):
        service.sql.run(f"SELECT count(*) FROM webhook.{table}")
        with pytest.raises(DatabaseError, match="permission denied"):
            service.sql.run(f"DELETE FROM webhook.{table}")
    service.sql.run("RESET ROLE")


def test_the_job_is_what_the_maintenance_function_knows(service: Service) -> None:
    assert JOBS["statistics"](Run())["unsettled"] == 0
