"""Revisions behind the head that a test makes up, and what it sees of them in the database."""

import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pg8000.native
from alembic.config import Config

from tests.conftest import ROOT
from tests.migrations.alembic_here import REVISIONS

ID = "scratch"
HEAD = REVISIONS[-1]
TEMPLATE = """
from alembic import op

from migrations import online

revision = "{id}"
down_revision = "{head}"


def upgrade():
    {upgrade}


def downgrade():
    {downgrade}
"""
COMMAND = """
import sys
from alembic import command
from alembic.config import Config
config = Config("alembic.ini")
config.set_main_option("version_locations", sys.argv[1])
command.upgrade(config, "scratch")
"""


def behind_the_head(folder: Path, *upgrade: str, downgrade: str = "pass") -> Config:
    """The configuration for a history that ends with a revision of these lines."""
    lines = "\n    ".join(upgrade)
    (folder / "scratch.py").write_text(TEMPLATE.format(id=ID, head=HEAD, upgrade=lines, downgrade=downgrade))
    config = Config(str(ROOT / "alembic.ini"))
    config.set_main_option("version_locations", f"{ROOT / 'migrations' / 'versions'}:{folder}")
    return config


def start(config: Config, url: str, environment: dict[str, str]) -> subprocess.Popen[str]:
    """The upgrade as a process that can be killed."""
    locations = config.get_main_option("version_locations") or ""
    return subprocess.Popen(
        [sys.executable, "-c", COMMAND, locations],
        cwd=ROOT,
        env={**environment, "WEBHOOK_DATABASE_URL": url},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        text=True,
    )


def until(condition: Callable[[], bool], seconds: float = 60) -> None:
    """Wait for it; fail when it takes longer than anything should."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.05)


def running(sql: pg8000.native.Connection, statement: str, *, waiting: bool = False) -> bool:
    """Whether another session is at a statement like this, and waits for a lock."""
    found = sql.run(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
        " AND state = 'active' AND query LIKE :statement AND (NOT :waiting OR wait_event_type = 'Lock')",
        statement=statement,
        waiting=waiting,
    )
    return found != [[0]]


def revision_of(sql: pg8000.native.Connection) -> str:
    return str(sql.run("SELECT version_num FROM webhook.alembic_version")[0][0])
