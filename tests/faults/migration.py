"""A migration while events flow: killed in the middle, then made again, then undone."""

import os
import subprocess
import sys
from pathlib import Path

from alembic.config import Config
from alembic.script import ScriptDirectory

from tests.faults.database import Database, until_it_works

ROOT = Path(__file__).parents[2]
VERSIONS = Path(__file__).parent / "versions"
COMMAND = "import sys; from alembic import command; from alembic.config import Config; c = Config('alembic.ini');"
COMMAND += f" c.set_main_option('version_locations', r'{ROOT / 'migrations' / 'versions'}{os.pathsep}{VERSIONS}');"
COMMAND += " getattr(command, sys.argv[1])(c, sys.argv[2])"
IN_THE_MIDDLE = "in the middle of the migration"
LOOK = """
SELECT (SELECT version_num FROM webhook.alembic_version), to_regclass('webhook.faults_copy') IS NOT NULL,
  (SELECT count(*) FROM information_schema.columns
   WHERE table_schema = 'webhook' AND column_name = 'faults_note'
     AND table_name IN ('webhook_deliveries', 'webhook_health'))
"""
TRIES = 5  # one that does not get its locks in 4 s ends, and is made again


class MigrationError(AssertionError):
    """What a migration that was killed leaves is not what there was before."""


def head() -> str:
    return str(ScriptDirectory.from_config(Config(ROOT / "alembic.ini")).get_current_head())


class Migration:
    def __init__(self, database: Database, url: str) -> None:
        self._database = database
        self._environment = {**os.environ, "WEBHOOK_DATABASE_URL": url, "HOOKLINE_FAULTS_HEAD": head()}

    def kill_in_the_middle(self) -> None:
        """It must leave nothing. Raises MigrationError."""
        tries = 0
        while not self._kill_one() and tries < TRIES:  # the database was away, or its locks were not to be had
            tries += 1
        self._expect(head(), made=False)

    def _kill_one(self) -> bool:
        """Whether it got to its middle, and no further."""
        reached = False
        with self._process("upgrade", "faults") as process:
            assert process.stdout is not None
            for line in process.stdout:
                if IN_THE_MIDDLE in line:
                    reached = True
                    process.kill()
        return reached

    def make(self) -> None:
        self._run("upgrade", "faults")
        self._expect("faults", made=True)

    def undo(self) -> None:
        self._run("downgrade", head())
        self._expect(head(), made=False)

    def _run(self, *arguments: str) -> None:
        said = ""
        for _ in range(TRIES):
            with self._process(*arguments) as process:
                said, _ = process.communicate(timeout=120)
            if process.returncode == 0:
                return
        raise MigrationError(f"{arguments} failed {TRIES} times:\n{said[-2000:]}")

    def _process(self, *arguments: str) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, "-c", COMMAND, *arguments],
            cwd=ROOT,
            env=self._environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def _expect(self, revision: str, *, made: bool) -> None:
        found = until_it_works(lambda: self._database.rows(LOOK))
        if found != [[revision, made, 2 if made else 0]]:
            raise MigrationError(f"expected {revision}, {made=}; found {found}")
