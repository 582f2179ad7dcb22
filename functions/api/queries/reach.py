"""What a caller may see: its project's rows, and of those only its application's when its key is bound to one."""

from typing import Any

from sqlalchemy import ColumnElement, FromClause

from functions.api.caller import Caller


def within(table: FromClause, caller: Caller) -> list[ColumnElement[Any]]:
    """Conditions that every query on a table with `project_id` and `application_id` begins with (C1)."""
    conditions = [table.c.project_id == caller.project_id]
    if caller.application_id:
        conditions.append(table.c.application_id == caller.application_id)
    return conditions
