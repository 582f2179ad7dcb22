"""Imports go one way: what is shared knows nothing of the functions, and no function of another's room."""

import ast
from pathlib import Path

import pytest

FUNCTIONS = Path(__file__).parents[2] / "functions"
SHARED = ("adapters", "domain", "ingest", "models")
ROOMS = sorted(path.parent.name for path in FUNCTIONS.glob("*/handler.py"))


def imported(folder: str) -> dict[str, set[str]]:
    """By module, the folders of functions/ that it imports from, wherever in it."""
    found: dict[str, set[str]] = {}
    for path in (FUNCTIONS / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = []
            if isinstance(node, ast.ImportFrom) and node.module == "functions":
                names = [f"functions.{alias.name}" for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.module:
                names = [node.module]
            elif isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            parts = [name.split(".") for name in names if name.startswith("functions.")]
            found.setdefault(str(path), set()).update(part[1] for part in parts)
    return found


@pytest.mark.parametrize("folder", SHARED)
def test_what_is_shared_imports_from_no_room(folder: str) -> None:
    assert {path: used for path, names in imported(folder).items() if (used := names & {*ROOMS})} == {}


def test_receive_is_a_room_of_its_own() -> None:
    assert "receive" in ROOMS
    strangers = {*ROOMS} - {"receive"}
    assert {path: used for path, names in imported("receive").items() if (used := names & strangers)} == {}
