"""Conditions of lists on texts that people type."""

from typing import Any

from sqlalchemy import Column, ColumnElement, func

SPECIAL = str.maketrans({"\\": r"\\", "%": r"\%", "_": r"\_"})  # in a LIKE pattern


def begins_with(column: Column[str], beginning: str) -> ColumnElement[Any]:
    """Whatever the case; an index on `lower(column) text_pattern_ops` serves it."""
    return func.lower(column).like(func.lower(beginning.translate(SPECIAL) + "%"))
