"""The slowest statements, on a server that counts them as RDS does."""

from collections.abc import Iterator

import pytest

from local.postgres import Server
from tests.conftest import Databases
from tests.integration.conftest import Service, forget_caches
from tests.integration.figures_scene import gauges, newest


@pytest.fixture(scope="module")
def databases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Databases]:
    counting = {"shared_preload_libraries": "pg_stat_statements"}
    with Server(tmp_path_factory.mktemp("counting"), durable=False, settings=counting) as server:
        yield Databases(server)
    forget_caches()


def test_the_slowest_statements_are_told_without_their_values(service: Service) -> None:
    for _ in range(5):
        service.sql.run("SELECT pg_sleep(0.05), 'a secret', 7311")
    gauges()
    [slow] = [one for one in newest(service)["statements"] if "pg_sleep" in one["query"]]
    assert slow["query"] == "SELECT pg_sleep($1), $2, $3"
    assert slow["calls"] == 5
    assert slow["mean_ms"] >= 50
    assert slow["total_ms"] >= 250
    means = [one["mean_ms"] for one in newest(service)["statements"]]
    assert means == sorted(means, reverse=True)


def test_the_owner_sees_what_other_sessions_do(service: Service) -> None:
    service.sql.run("BEGIN")
    service.sql.run("SELECT 1")
    gauges()
    service.sql.run("COMMIT")
    assert newest(service)["sessions"]["idle_in_transaction"] == 1
