"""The schema that this code was made for."""

from functools import cache
from pathlib import Path

VERSIONS = Path(__file__).parents[3] / "migrations" / "versions"


@cache
def expected() -> str:
    """The newest revision beside this code. Their files begin with it, and the history is one line: no Alembic is
    needed, which a cold start would wait for."""
    return max(path.name.partition("_")[0] for path in VERSIONS.glob("[0-9]*_*.py"))
