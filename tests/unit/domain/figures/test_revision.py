"""The schema that this code was made for."""

from alembic.config import Config
from alembic.script import ScriptDirectory

from functions.domain.figures import revision
from tests.conftest import ROOT


def test_it_is_alembic_s_head() -> None:
    assert revision.expected() == ScriptDirectory.from_config(Config(str(ROOT / "alembic.ini"))).get_current_head()
