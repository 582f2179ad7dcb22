from pathlib import Path

import pytest

from tests.infrastructure.synthesized import Template, synthesize


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "registry: downloads wheels from the package registry")


@pytest.fixture(scope="session")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return _template(tmp_path_factory.mktemp("dev"), "dev")


@pytest.fixture(scope="session")
def prod(tmp_path_factory: pytest.TempPathFactory) -> Template:
    return _template(tmp_path_factory.mktemp("prod"), "prod")


@pytest.fixture(scope="session", params=["dev", "prod"])
def template(request: pytest.FixtureRequest) -> Template:
    """Each test that takes this holds for every stage."""
    return request.getfixturevalue(request.param)


def _template(folder: Path, stage: str) -> Template:
    synthesize(folder / "out", "-c", f"stage={stage}")
    return Template.read(folder / "out" / f"hookline-{stage}.template.json")
