"""Fixtures of the tests that hold the service to its OpenAPI document."""

import pytest

from tests.contract.documented import Document, load
from tests.integration.conftest import new_project, service

__all__ = ["new_project", "service"]  # fixtures of another folder that these tests take, too


@pytest.fixture(scope="session")
def document() -> Document:
    return load()
