"""Fixtures of the tests that start the whole service."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.service import ROOT, Service

HERE = Path(__file__).parent


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkout's synthesized template, or a fresh one where there is none."""
    synthesized = ROOT / "cdk.out" / "hookline-dev.template.json"
    if synthesized.exists():
        return synthesized
    folder = tmp_path_factory.mktemp("synthesized")
    subprocess.run([sys.executable, "app.py", "--output", str(folder)], cwd=ROOT, check=True, timeout=120)
    return folder / synthesized.name


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory, template: Path) -> Iterator[Service]:
    """The running service. A test that ends one of its processes leaves it running again."""
    started = Service(tmp_path_factory.mktemp("service") / "state of hookline", template)
    try:
        started.start()
        yield started
    finally:
        started.stop()
