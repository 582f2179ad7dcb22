"""The statements of functions/, as their source has them; and a guard that refuses to run one without a name."""

import ast
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

from functions.statements import NAME

FUNCTIONS = Path(__file__).parents[1] / "functions"
EXECUTING = {"execute", "scalar", "scalars", "exec_driver_sql"}


def refuse_unnamed(
    _connection: Any, _cursor: Any, statement: str, _parameters: Any, context: Any, _: bool
) -> None:
    """Before every statement (tests/conftest.py): the test that runs one of ours without a name fails."""
    if NAME not in context.execution_options and _is_ours(sys._getframe()):
        raise AssertionError(f"a statement without a name: {statement}")


def _is_ours(frame: FrameType | None) -> bool:
    """Whether the first frame outside SQLAlchemy is in functions/, and executes something there."""
    entered = ""
    while frame is not None and ("sqlalchemy" in frame.f_code.co_filename or not entered):
        entered, frame = frame.f_code.co_name, frame.f_back
    if frame is None or entered not in EXECUTING:
        return False
    return Path(frame.f_code.co_filename).is_relative_to(FUNCTIONS)


@cache
def sources() -> dict[Path, ast.Module]:
    """The modules of functions/ by their paths."""
    return {path: ast.parse(path.read_text()) for path in sorted(FUNCTIONS.rglob("*.py"))}


def calls(tree: ast.AST, *names: str) -> Iterator[ast.Call]:
    """Calls of functions or methods with one of these names."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if called in names:
                yield node


def given_names() -> list[str]:
    """Every name as often as it is given: those too that are put together, of accepting and of lists."""
    from functions import models
    from functions.ingest.accept_statement import ACCEPT

    literal = [
        call.args[0].value
        for tree in sources().values()
        for call in calls(tree, "named", "_named")
        if isinstance(call.args[0], ast.Constant)
    ]
    accepting = [statement.get_execution_options()[NAME] for statement in ACCEPT.values()]
    walked = [
        getattr(models, keyword.value.id).name.removeprefix("webhook_")
        for tree in sources().values()
        for call in calls(tree, "Walk")
        for keyword in call.keywords
        if keyword.arg == "table" and isinstance(keyword.value, ast.Name)
    ]
    return [*literal, *accepting, *(f"{room}.{what}" for room in walked for what in ("list", "probe"))]
