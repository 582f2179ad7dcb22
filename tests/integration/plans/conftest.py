"""A database as after a year of use, filled once a process; and all that the product asks of a copy of it."""

from collections.abc import Iterator

import pytest

from functions.adapters.vault import new_data_key
from tests.conftest import Databases
from tests.integration.conftest import Client, Service, forget_caches
from tests.integration.endpoint import endpoint
from tests.integration.plans import crowd
from tests.integration.plans.crowd import Crowd
from tests.integration.plans.explained import Run, explained
from tests.integration.plans.tour import tour


@pytest.fixture(scope="session")
def filled(databases: Databases) -> tuple[str, Crowd]:
    url = databases.migrated()
    with databases.connect(url) as sql:
        return url, crowd.fill(sql)


@pytest.fixture
def full(filled: tuple[str, Crowd], aws: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Crowd]:
    """For reading."""
    url, made = filled
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", url)
    forget_caches()
    yield made
    forget_caches()


@pytest.fixture(scope="session")
def toured() -> list[Run]:
    """What the tour ran, once it was made."""
    return []


@pytest.fixture
def runs(toured: list[Run], request: pytest.FixtureRequest) -> list[Run]:
    """Every statement of the product, with what Postgres did for it."""
    if not toured:
        request.getfixturevalue("take_the_tour")
    return toured


@pytest.fixture
def take_the_tour(
    toured: list[Run],
    databases: Databases,
    filled: tuple[str, Crowd],
    aws: dict[str, str],
    sqs_client: object,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url, made = databases.copy(filled[0]), filled[1]
    monkeypatch.setenv("WEBHOOK_DATABASE_URL", url)
    monkeypatch.setenv("EGRESS_SCHEMES", "http,https")
    monkeypatch.setenv("EGRESS_ALLOWED_NETWORKS", "127.0.0.0/8,::1/128")
    forget_caches()
    project = made.names["project"]
    with databases.connect(url) as sql, endpoint() as receiver:
        sql.run(
            "UPDATE webhook.projects SET data_key = :key WHERE id = :id", key=new_data_key(project), id=project
        )
        with explained() as found:
            tour(Service(Client("the-admin-key"), Client(made.key), project, sql, sqs_client), receiver, made)
    toured += found
    forget_caches()
