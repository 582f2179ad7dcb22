"""The code of the previous release on today's schema, by its own tests (expand now, contract one release later).

While a deployment is under way, and after one that was rolled back, that is what runs.
"""

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.conftest import ROOT

RELEASE = Path(__file__).parent / "previous" / "release.zip"
SHARED = ("migrations", "alembic.ini", "local", "pyproject.toml")  # of today
# What callers and the queues bring about. Left out: tests that write rows by hand which no release ever wrote.
FILES = {
    "test_events": "accepts events, one by one and in batches",
    "test_deliver": "delivers, retries, and dispatches what was lost",
    "test_disabling": "disables webhooks",
    "test_console_redrive": "takes back what the console redrives",
}
# What is refused before it reaches the database says nothing of the schema.
STORED = "not bad_input and not plain_json and not json_value and not cannot_be_kept"


@pytest.fixture(scope="module")
def checkout(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The previous release's functions and tests, with the migrations of today."""
    folder = tmp_path_factory.mktemp("previous")
    with zipfile.ZipFile(RELEASE) as archive:
        archive.extractall(folder)
    shutil.copy(RELEASE.with_name("quicker.py"), folder)
    for name in SHARED:
        (folder / name).symlink_to(ROOT / name)
    return folder


def run(checkout: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("PYTEST", "PYTHONPATH"))
    }
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=checkout,
        env={**environment, "PYTHONDONTWRITEBYTECODE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_it_is_the_previous_code_that_runs_on_todays_revisions(checkout: Path) -> None:
    asked = "import functions, migrations; print(functions.__path__[0]); print(migrations.__path__[0])"
    functions, migrations = run(checkout, "-c", asked).stdout.split()
    assert Path(functions).resolve() == (checkout / "functions").resolve()
    assert Path(migrations).resolve() == ROOT / "migrations"


@pytest.mark.timeout(900)
@pytest.mark.parametrize("file", FILES)
def test_the_previous_release_works_on_todays_schema(checkout: Path, file: str) -> None:
    done = run(
        checkout,
        *("-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "quicker"),
        *("-k", STORED, f"tests/integration/{file}.py"),
    )
    assert done.returncode == 0, f"it no longer {FILES[file]}:\n{done.stdout[-5000:]}{done.stderr[-2000:]}"
