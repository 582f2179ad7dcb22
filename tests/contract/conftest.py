"""Fixtures of the tests that hold the service to its OpenAPI document."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.contract.documented import Document, load
from tests.e2e.conftest import template
from tests.e2e.service import Service as Running
from tests.integration.conftest import new_project, service

__all__ = ["new_project", "service", "template"]  # fixtures of other folders that these tests take, too

RUNNING = ("test_clients.py", "test_fuzzing.py", "test_gateway.py")  # against the whole service


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that need the whole service are run in one process, which starts it once; it is not e2e's own."""
    here = Path(__file__).parent
    for item in items:
        if item.path.parent == here and item.path.name in RUNNING:
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.xdist_group("contract"))


@pytest.fixture(scope="session")
def document() -> Document:
    return load()


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Running]:
    """The whole service as `make run` starts it: gateway, authorizer, functions, database, queues."""
    started = Running(tmp_path_factory.mktemp("contract") / "state", template)
    try:
        started.start()
        yield started
    finally:
        started.stop()
