"""What a caller may see: its project's rows, and of those only its application's when its key is bound to one."""

from typing import Any

from sqlalchemy import Column, ColumnElement, FromClause, Table

from functions.api.caller import Caller
from functions.api.walk import Index


def within(table: FromClause, caller: Caller) -> list[ColumnElement[Any]]:
    """Conditions that every query on a table with `project_id` and `application_id` begins with (C1)."""
    conditions = [table.c.project_id == caller.project_id]
    if caller.application_id:
        conditions.append(table.c.application_id == caller.application_id)
    return conditions


def index(table: Table, caller: Caller, *narrower: tuple[Column[Any], str]) -> Index:
    """The index that has those rows alone, so that not even a cursor tells of others; `narrower` follows in it."""
    if caller.application_id:
        bound = table.c.application_id
        return Index([(bound, caller.application_id), *narrower], [bound.is_not(None)])
    return Index([(table.c.project_id, caller.project_id), *narrower])
