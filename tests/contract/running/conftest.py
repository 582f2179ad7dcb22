"""Fixtures of the contract's tests that need the whole service."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import template
from tests.e2e.service import Service as Running

__all__ = ["template"]  # a fixture of another folder that these tests take, too

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Running]:
    """The whole service as `make run` starts it: gateway, authorizer, functions, database, queues."""
    started = Running(tmp_path_factory.mktemp("contract") / "state", template)
    try:
        started.start()
        yield started
    finally:
        started.stop()
