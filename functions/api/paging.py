"""Pages: newest first by UUIDv7 key, so a cursor is the last key seen and stays put while rows are added."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from aws_lambda_powertools.event_handler.openapi.params import Query
from pydantic import AfterValidator, AwareDatetime, BeforeValidator
from sqlalchemy import ColumnElement, RowMapping, Select

from functions.domain.ids import uuid7_floor
from functions.domain.times import rfc3339
from functions.errors import Detail, Invalid

DEFAULT_LIMIT = 50
MAX_LIMIT = 250


def _storable(text: str) -> str:
    """What Postgres takes as text: it has no NUL, and no half of a surrogate pair."""
    if "\x00" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise ValueError("must not have NUL or lone surrogates")
    return text


def _true_or_false(value: object) -> object:
    if value not in ("true", "false"):  # a list when it was sent twice
        raise ValueError("must be true or false")
    return value


def _utc(at: datetime) -> datetime:
    """In UTC; hours of the first and the last day that Python has no date for there are its ends."""
    try:
        return at.astimezone(UTC)
    except OverflowError:
        return datetime.min.replace(tzinfo=UTC) if at.year == 1 else datetime.max.replace(tzinfo=UTC)


Limit = Annotated[int, Query(ge=1, le=MAX_LIMIT, description="Rows a page")]
Cursor = Annotated[str, Query(max_length=64, description="The `next_cursor` of the page before")]
Id = Annotated[str, Query(pattern="^$|^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$")]
Text = Annotated[str, AfterValidator(_storable)]
Flag = Annotated[bool | None, BeforeValidator(_true_or_false)]
Time = Annotated[AwareDatetime, BeforeValidator(rfc3339), AfterValidator(_utc)]
After = Annotated[Time | None, Query(description="Only what was created then or later (RFC 3339)")]
Before = Annotated[Time | None, Query(description="Only what was created earlier (RFC 3339)")]

# A row's created_at is when its transaction began, its key when the row was made: never more than this later.
TRANSACTION = timedelta(minutes=1)
LATEST = datetime(9999, 1, 1, tzinfo=UTC)  # as far as dates can be added to


def after(statement: Select[Any], key: ColumnElement[Any], *, limit: int, cursor: str) -> Select[Any]:
    """The statement for one page: `limit` + 1 rows, the one too many telling that there is a next page."""
    if cursor:
        statement = statement.where(key < key_of(cursor))
    return statement.order_by(key.desc()).limit(limit + 1)


def created_between(
    key: ColumnElement[Any], created: ColumnElement[Any], after: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    """`after` inclusive, `before` exclusive, on the time and on the key that partitions go by."""
    bounds = created_within(created, after, before)
    if after is not None:
        bounds.append(key >= uuid7_floor(after))
    if before is not None:
        bounds.append(key < ceiling(before))
    return bounds


def created_within(
    created: ColumnElement[Any], after: datetime | None, before: datetime | None
) -> list[ColumnElement[bool]]:
    """The same on the time alone, for what is found by a walk: that bounds the keys."""
    bounds = [] if after is None else [created >= after]
    return bounds if before is None else [*bounds, created < before]


def ceiling(before: datetime) -> str:
    """The smallest key that no row created before then can have."""
    return uuid7_floor(min(before, LATEST) + TRANSACTION)


def page(rows: Sequence[RowMapping | dict[str, Any]], limit: int) -> dict[str, Any]:
    """The answer of a list: `{"data": […], "next_cursor": … | null}`."""
    data = [dict(mapping) for mapping in rows[:limit]]
    return {"data": data, "next_cursor": _encode(data[-1]["id"]) if len(rows) > limit else None}


def rendered(rows: Sequence[str], last: str | None) -> str:
    """The same of rows that are JSON text; `last` is the key that the next page begins after."""
    cursor = "null" if last is None else f'"{_encode(last)}"'
    return f'{{"data":[{",".join(rows)}],"next_cursor":{cursor}}}'


def key_of(cursor: str) -> str:
    """The key that a page begins after. Raises Invalid unless `cursor` is one as it was answered."""
    try:
        key = str(UUID(bytes=base64.urlsafe_b64decode(cursor + "==")))
    except ValueError:
        key = ""
    if not key or _encode(key) != cursor:
        wrong = Detail("cursor", "is not a cursor of this list")
        raise Invalid("the cursor is not valid", details=(wrong,))
    return key


def _encode(key: str) -> str:
    return base64.urlsafe_b64encode(UUID(str(key)).bytes).decode().rstrip("=")
