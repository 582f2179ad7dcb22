"""Rows as JSON that Postgres writes: a page of 250 costs 0.4 ms of our CPU that way, column by column 12 ms."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ColumnElement, case, func, literal_column
from sqlalchemy.dialects.postgresql import JSON


def json_object(members: Mapping[str, ColumnElement[Any]]) -> ColumnElement[Any]:
    """`{name: value}` in this order. Names are our own, never a caller's."""
    pairs = [part for name, value in members.items() for part in (literal_column(f"'{name}'"), value)]
    return func.json_build_object(*pairs, type_=JSON)


def rfc3339(at: ColumnElement[Any]) -> ColumnElement[Any]:
    """A time in UTC as rendering.rfc3339 writes it."""
    return func.webhook.rfc3339(at)


def error(code: ColumnElement[Any], message: ColumnElement[Any]) -> ColumnElement[Any]:
    """`{"code", "message"}`, or null where nothing went wrong."""
    return case((code.is_not(None), json_object({"code": code, "message": message})))
