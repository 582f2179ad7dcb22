"""Alembic in this process: a subprocess takes seconds, and these tests run it dozens of times."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from unittest import mock

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory

from functions.settings import settings
from tests.conftest import ROOT

CONFIG = Config(str(ROOT / "alembic.ini"))
REVISIONS = [script.revision for script in ScriptDirectory.from_config(CONFIG).walk_revisions()][::-1]


def upgrade(url: str, revision: str = "head", config: Config = CONFIG) -> None:
    with _database(url):
        command.upgrade(config, revision)


def downgrade(url: str, revision: str = "base", *, lose: bool = True, config: Config = CONFIG) -> None:
    with _database(url, HOOKLINE_ALLOW_DATA_LOSS="1" if lose else "0"):
        command.downgrade(config, revision)


@contextmanager
def _database(url: str, **environment: str) -> Iterator[None]:
    settings.cache_clear()
    with mock.patch.dict(os.environ, {"WEBHOOK_DATABASE_URL": url, **environment}):
        try:
            yield
        finally:
            settings.cache_clear()
