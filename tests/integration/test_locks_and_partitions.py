"""Rows that change while a statement waits to lock them, in tables cut into partitions.

PostgreSQL 18 uses freed memory where such a statement also chooses partitions while it runs, and the whole server
goes down (docs/decisions/locks-and-partitions.md). Here freed memory is overwritten at once, so that it does each
time and not now and then.
"""

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy

from functions.adapters.database import transaction
from functions.deliver import dead_letters
from functions.deliver.dead_letters import Fate
from functions.dispatch.sweeps import due_deliveries
from functions.domain import reopening
from functions.domain.messages import DeadLetter
from functions.domain.partitions import make_missing
from local import cluster
from local.postgres import Server
from tests.conftest import Databases
from tests.integration.conftest import Service
from tests.integration.levers_scene import dead_letter_of, delivery, failed, waiting

OVERWRITE = {"MALLOC_PERTURB_": "165"}  # glibc: what is freed is filled with this
LAST_MONTH = "UPDATE webhook.webhook_deliveries SET id = uuidv7(interval '-35 days') WHERE id = :id RETURNING id"


class Cut(Databases):
    """Databases whose partitions are made before anything is in them."""

    def migrated(self) -> str:
        url = super().migrated()
        engine = sqlalchemy.create_engine(url.replace("postgresql:", "postgresql+pg8000:"))
        with engine.connect() as connection:
            for back in (timedelta(days=35), timedelta()):
                make_missing(connection, datetime.now(UTC) - back)
        engine.dispose()
        return url


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    """A server of its own, whose freed memory is overwritten."""
    environment = cluster.environment
    cluster.environment = lambda: {**environment(), **OVERWRITE}
    try:
        with Server(tmp_path_factory.mktemp("postgres"), durable=False) as server:
            yield Cut(server)
    finally:
        cluster.environment = environment


def in_two_partitions(service: Service, ids: list[str]) -> list[str]:
    """The same deliveries, every second one in another partition; with their keys of now, in order."""
    moved = {id: str(service.sql.run(LAST_MONTH, id=id)[0][0]) for id in ids[::2]}
    for old, new in moved.items():
        service.sql.run(
            "UPDATE webhook.webhook_dlq SET delivery_id = :new WHERE delivery_id = :old", new=new, old=old
        )
    return sorted(moved.get(id, id) for id in ids)


def while_it_changes(service: Service, change: str, work: Callable[[], Any]) -> Any:
    """What `work` returns, which had to wait for `change`."""
    answers: list[Any] = []
    service.sql.run("BEGIN")
    service.sql.run(change)
    working = threading.Thread(target=lambda: answers.append(work()))
    working.start()
    waiting_ = "SELECT count(*) FROM pg_locks WHERE NOT granted"
    end = time.monotonic() + 10
    while not service.sql.run(waiting_)[0][0]:
        assert time.monotonic() < end, "it does not wait"
        time.sleep(0.01)
    service.sql.run("COMMIT")
    working.join(20)
    return answers[0]


def reopen(ids: list[str]) -> list[tuple[str, int]]:
    with transaction() as connection:
        return reopening.reopen(connection, ids, by=None)


@pytest.mark.parametrize(
    "change", ["webhook_dlq SET updated_by = NULL", "webhook_deliveries SET last_attempt_at = now()"]
)
def test_reopening_what_is_changed_meanwhile(service: Service, change: str) -> None:
    ids = in_two_partitions(service, failed(service, service.webhook(), 300))
    assert while_it_changes(service, f"UPDATE webhook.{change}", lambda: reopen(ids)) == [(id, 2) for id in ids]


def test_hurrying_what_is_changed_meanwhile(service: Service) -> None:
    ids = in_two_partitions(service, waiting(service, service.webhook(), 300))

    def hurry() -> list[tuple[str, int]]:
        with transaction() as connection:
            return reopening.hurry(connection, ids)

    change = "UPDATE webhook.webhook_deliveries SET last_attempt_at = now()"
    assert while_it_changes(service, change, hurry) == [(id, 2) for id in ids]


def test_retrying_one_that_is_changed_meanwhile(service: Service) -> None:
    (id,) = failed(service, service.webhook())
    answer = while_it_changes(
        service,
        "UPDATE webhook.webhook_dlq SET updated_by = NULL",
        lambda: service.client("POST", f"/v1/deliveries/{id}/retry"),
    )
    assert (answer.status, answer.body["status"]) == (200, "pending")


def test_redriving_from_the_queue_what_is_changed_meanwhile(service: Service) -> None:
    (id,) = in_two_partitions(service, failed(service, service.webhook()))
    letter = DeadLetter(dead_letter_of(service, id), 1)
    assert dead_letters.judge(letter, "m1").fate is Fate.DYING
    judged = while_it_changes(
        service, "UPDATE webhook.webhook_dlq SET updated_by = NULL", lambda: dead_letters.judge(letter, "m2")
    )
    assert (judged.fate, judged.delivery_id) == (Fate.REOPENED, id)
    assert delivery(service, id)["status"] == "pending"


def test_sweeping_what_is_due_in_two_partitions(service: Service) -> None:
    ids = in_two_partitions(service, waiting(service, service.webhook(), 300))
    service.sql.run("UPDATE webhook.webhook_deliveries SET sweep_at = now()")
    assert sorted(one.id for one in due_deliveries(1000) or ()) == ids
