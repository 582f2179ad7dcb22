"""Pages of lists that are long: an index is walked newest first, for so long and no longer.

What `WHERE … ORDER BY id DESC LIMIT 51` costs depends on what the planner guesses: it walks the primary key when
it takes the rows for common, and then reads everybody's to find none of a webhook that ended weeks ago. Here it
has nothing to guess (docs/decisions/bounded-lists.md):

- A range of (last column before the key, key), ordered by both, is what the index has and no other. The values and
  the LIMIT it cannot see, and so walks the index, where it might sort what it takes for few rows.
- The ends of the partitions that the range lies in are given, from the newest on, so that no other is planned.
- It is done in steps of STEP rows of the index. After a step that used up the time the page ends, found or not: it
  is short, or empty, and its cursor leads on.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    FromClause,
    Row,
    Select,
    Table,
    Text,
    and_,
    cast,
    func,
    literal,
    or_,
    select,
    true,
    tuple_,
    union_all,
)
from sqlalchemy.types import TypeEngine

from functions.api import paging
from functions.domain.ids import KEY_SKEW, uuid7_floor
from functions.domain.partitions import made_at, series_of, start_of
from functions.statements import named

STEP = 500  # rows of an index: half a ms when they are in memory, several when they have to be read
LOOK_SECONDS = 0.01
PATIENCE = 5  # times as long while nothing was found: most clients take an empty page for the last one
PROBE = 100  # rows by which two indexes are compared
FIRST = str(UUID(int=0))
AHEAD = 2 * KEY_SKEW  # by which the clocks of those who make keys may be before ours, and more


@dataclass(frozen=True)
class Index:
    """The rows that have these values in an index's columns before the key; `only` is its predicate.

    Without columns it is the key's own, or that of a partial index: every row of the table, for the admin key.

    The caller must be allowed to know of them: a cursor may be the key of any of them.
    """

    at: Sequence[tuple[Column[Any], str]]
    only: Sequence[ColumnElement[bool]] = ()


@dataclass(frozen=True)
class Walk:
    """What is looked for. Each of `ways` is one index, or several without a row in common, with all of it.

    Without any way there is nothing to be found.
    """

    table: Table
    shown: Callable[[FromClause], ColumnElement[Any]]  # a row as JSON
    wanted: Callable[[FromClause], list[ColumnElement[bool]]]
    ways: Sequence[Sequence[Index]]
    after: datetime | None = None  # inclusive
    before: datetime | None = None  # exclusive
    oldest: str = field(default=FIRST)  # key below which there can be none
    few: bool = False  # all ways have so few rows that one statement for all partitions is the cheapest

    @property
    def room(self) -> str:
        """What its statements are named by: `deliveries`."""
        return self.table.name.removeprefix("webhook_")


def page(connection: Connection, walk: Walk, *, limit: int, cursor: str) -> str:
    """The answer of a list as JSON text. Raises Invalid for what is no cursor."""
    found: list[str] = []
    last, started = None, time.monotonic()
    for row in _rows(connection, walk, cursor, limit + 1):
        if row.wanted and len(found) == limit:
            return paging.rendered(found, last)
        if row.wanted:
            found.append(row.shown)
        last = row.id
        looked = time.monotonic() - started
        if row.ends_step and looked > LOOK_SECONDS * (1 if found else PATIENCE):
            return paging.rendered(found, last)
    return paging.rendered(found, None)


def _rows(connection: Connection, walk: Walk, cursor: str, most: int) -> Iterator[Row[Any]]:
    """What is wanted, in order, and the last row of each step, wanted or not; not more than `most` of a step."""
    for low, high in _spans(walk, cursor) if walk.ways else ():
        way = _sparsest(connection, walk, low, high)
        until = high
        while until > low:
            asked = named(f"{walk.room}.list", statement(walk, way, low, until, most))
            step = connection.execute(asked).all()
            until = low
            for row in step:
                yield row
                if row.ends_step:
                    until = row.id
                    break


def _spans(walk: Walk, cursor: str) -> Iterator[tuple[str, str]]:
    """Ranges of keys, lower end inclusive and upper end exclusive: that of the newest partition, then the rest."""
    low, high = _bounds(walk, cursor)
    if not walk.few and (series := series_of(walk.table.name)):
        start = uuid7_floor(start_of(series, min(made_at(high), datetime.now(UTC)), 0))
        if low < start < high:
            yield start, high
            high = start
    if low < high:
        yield low, high


def _bounds(walk: Walk, cursor: str) -> tuple[str, str]:
    """The keys between which all is that is wanted and not on an earlier page."""
    ends = [uuid7_floor(datetime.now(UTC) + AHEAD)]
    if cursor:
        ends.append(paging.key_of(cursor))
    if walk.before is not None:
        ends.append(paging.ceiling(walk.before))
    return max(walk.oldest, FIRST if walk.after is None else uuid7_floor(walk.after)), min(ends)


def _sparsest(connection: Connection, walk: Walk, low: str, high: str) -> Sequence[Index]:
    """The way that reaches furthest back in PROBE rows: it has the fewest that are not wanted."""
    if len(walk.ways) == 1:
        return walk.ways[0]
    probes = [_probe(walk.table, index, low, high) for way in walk.ways for index in way]
    asked = named(f"{walk.room}.probe", select(*(probe.scalar_subquery() for probe in probes)))
    reached = iter(connection.execute(asked).one())
    return min(walk.ways, key=lambda way: max(str(next(reached) or FIRST) for _ in way))


def _probe(table: Table, index: Index, low: str, high: str) -> Select[Any]:
    return _in_order(select(table.c.id), table, index, low, high).offset(_unseen(PROBE)).limit(1)


def statement(walk: Walk, way: Sequence[Index], low: str, high: str, most: int) -> Select[Any]:
    """One step along the indexes of `way`."""
    legs = [_leg(walk, index, low, high, most) for index in way]
    if len(legs) == 1:
        return legs[0]
    merged = union_all(*legs).subquery()
    return select(merged).order_by(merged.c.id.desc()).limit(most)


def _leg(walk: Walk, index: Index, low: str, high: str, most: int) -> Select[Any]:
    number = func.row_number().over(order_by=_order(walk.table, index)).label("number")
    every = _in_order(select(*walk.table.c, number), walk.table, index, low, high)
    rows = every.limit(_unseen(STEP)).subquery("d")
    ends_step, wanted = rows.c.number == STEP, and_(true(), *walk.wanted(rows))
    columns: list[ColumnElement[Any]] = [
        cast(rows.c.id, Text).label("id"),
        wanted.label("wanted"),
        ends_step.label("ends_step"),
        cast(walk.shown(rows), Text).label("shown"),
    ]
    return select(*columns).where(or_(wanted, ends_step)).order_by(*_order(rows, index)).limit(most)


def _in_order(statement: Select[Any], table: Table, index: Index, low: str, high: str) -> Select[Any]:
    return statement.where(
        *_places(table.c.id, index, low, high),
        *_in_partitions(table, low, high),
        *index.only,
    ).order_by(*_order(table, index))


def _places(key: Column[Any], index: Index, low: str, high: str) -> Iterator[ColumnElement[bool]]:
    if not index.at:
        yield key >= _unseen(low, key.type)
        yield key < _unseen(high, key.type)
        return
    *fixed, (lead, value) = index.at
    yield from (column == _unseen(of, column.type) for column, of in fixed)
    place, at = tuple_(lead, key), _unseen(value, lead.type)
    yield place >= tuple_(at, literal(low, key.type))
    yield place < tuple_(at, literal(high, key.type))


def _in_partitions(table: Table, low: str, high: str) -> list[ColumnElement[bool]]:
    """What the planner is to see of the range: the partitions that it lies in, as a whole.

    From a range within one it would guess at so few rows that it might as well read and sort everybody's there.
    """
    if (series := series_of(table.name)) is None:
        return []
    last = str(UUID(int=UUID(high).int - 1))
    start, end = start_of(series, made_at(low), 0), start_of(series, made_at(last), 1)
    return [table.c.id >= uuid7_floor(start), table.c.id < uuid7_floor(end)]


def _order(rows: FromClause, index: Index) -> tuple[ColumnElement[Any], ...]:
    """By the key alone in effect, and yet no order of any other index."""
    if not index.at:
        return (rows.c.id.desc(),)
    return rows.c[index.at[-1][0].name].desc(), rows.c.id.desc()


def _unseen(value: object, type_: TypeEngine[Any] | None = None) -> ColumnElement[Any]:
    """A value that the planner does not know: it takes a range for a ninth of all rows and a LIMIT for a tenth.

    What it knows of the values, it knows from a sample of the rows that were there some time ago.
    """
    return select(literal(value, type_)).scalar_subquery()
