"""That every statement has a name of its own is seen from the source, whether or not a test runs it."""

import ast
import importlib
import re
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.sql.base import Executable
from sqlalchemy.sql.selectable import FromClause

from functions.statements import NAME, named
from tests.statements import EXECUTING, FUNCTIONS, calls, given_names, sources

MODULES = [path for path in sources() if path.name != "__main__.py"]
CHOSEN = {"statement"}  # a variable or parameter that is one of several constants


def functions_in(tree: ast.Module) -> list[ast.FunctionDef]:
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def assigned(function: ast.FunctionDef, name: str) -> list[ast.expr]:
    """What this variable of a function is set to, wherever it is."""
    return [
        node.value
        for node in ast.walk(function)
        if isinstance(node, ast.Assign) and any(getattr(target, "id", "") == name for target in node.targets)
    ]


def has_name(argument: ast.expr, function: ast.FunctionDef, module: ast.Module) -> bool:
    """Whether what is executed is named here, is a variable of what was, or is a constant.

    The field of an object may be anything: of that only the guard can tell, when it is run.
    """
    if isinstance(argument, ast.Attribute):
        return True
    if isinstance(argument, ast.Call):
        return next(calls(argument, "named"), None) is argument or _makes_named(argument, module)
    if not isinstance(argument, ast.Name):
        return False
    if argument.id.isupper() or argument.id in CHOSEN:
        return True
    values = assigned(function, argument.id)
    return bool(values) and all(has_name(value, function, module) for value in values)


def _makes_named(call: ast.Call, module: ast.Module) -> bool:
    """Whether it calls a function of its module that returns nothing but named statements."""
    for function in functions_in(module):
        if function.name == getattr(call.func, "id", ""):
            returned = [node.value for node in ast.walk(function) if isinstance(node, ast.Return) and node.value]
            return bool(returned) and all(has_name(value, function, module) for value in returned)
    return False


def test_what_is_executed_is_named_or_a_constant() -> None:
    unnamed = [
        f"{path}:{call.lineno}: {ast.unparse(call)}"
        for path in MODULES
        for module in [sources()[path]]
        for function in functions_in(module)
        for call in calls(function, *EXECUTING)
        if call.args
        and not has_name(call.args[0], function, module)
        and not any(given.arg == "execution_options" for given in call.keywords)
    ]
    assert unnamed == []


def test_every_constant_that_is_a_statement_has_a_name() -> None:
    unnamed = []
    for path in MODULES:
        module = importlib.import_module(".".join(path.relative_to(FUNCTIONS.parent).with_suffix("").parts))
        for name, value in vars(module).items():
            found = value.values() if isinstance(value, dict) else [value]
            unnamed += [
                f"{path}: {name}"
                for one in found
                if isinstance(one, Executable)
                and not isinstance(one, FromClause)
                and NAME not in one.get_execution_options()
            ]
    assert unnamed == []


def test_each_name_is_given_once_and_says_where_and_what() -> None:
    names = given_names()
    assert len(names) > 150
    assert sorted(names) == sorted(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+)*(\.[a-z]+(_[a-z]+)*)+", name)] == []


def test_a_statement_of_ours_without_a_name_does_not_run() -> None:
    """By the guard that every test runs under."""
    source = "def run(connection, statement): return connection.execute(statement)"
    module: dict[str, Any] = {}
    exec(compile(source, FUNCTIONS / "api" / "made_up.py", "exec"), module)  # noqa: S102 - code of ours, as it seems
    with create_engine("sqlite://").connect() as connection:
        with pytest.raises(AssertionError, match="a statement without a name: SELECT 1"):
            module["run"](connection, text("SELECT 1"))
        assert module["run"](connection, named("health.ping", text("SELECT 1"))).scalar_one() == 1
        assert connection.execute(text("SELECT 1")).scalar_one() == 1, "what a test asks is not meant"
