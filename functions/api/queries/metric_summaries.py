"""Metrics added up, by time and by what they are of: no more than MOST_ROWS of them are read, the newest."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Column,
    ColumnElement,
    Connection,
    Double,
    Integer,
    Select,
    Table,
    Text,
    and_,
    case,
    cast,
    func,
    literal,
    literal_column,
    null,
    select,
)

from functions.api.queries.metrics import (
    FAILED,
    OperationFilter,
    Range,
    RequestFilter,
    of_operations,
    of_requests,
    ways_to_operations,
    ways_to_requests,
)
from functions.api.walk import Index
from functions.domain.ids import uuid7_floor
from functions.errors import Detail, Invalid
from functions.models import operation_metrics, request_metrics
from functions.statements import named

r, o = request_metrics.c, operation_metrics.c
# A second or two; a month of a quiet service, a few hours of one that is asked 50 times a second.
MOST_ROWS = 500_000
MOST_GROUPS = 5_000  # rows of an answer: a MB
STATUS_CLASS = cast(r.status_code // 100, Text).op("||")("xx")
REQUEST_GROUPS: dict[str, ColumnElement[Any]] = {
    "path": r.path,
    "method": r.method,
    "status_class": STATUS_CLASS,
}
OPERATION_GROUPS: dict[str, ColumnElement[Any]] = {
    "operation_type": o.operation_type,
    "operation_name": o.operation_name,
}
Columns = Mapping[str, ColumnElement[Any]]  # `times`, `failed`, `ms`; p50, p95, p99, most where they are not it
ONE = literal_column("1", Integer)
UNITS = {"1m": "minute", "1h": "hour", "1d": "day"}  # of date_trunc


@dataclass(frozen=True)
class Shape:
    """How it is added up; an empty group means not by what it is of."""

    bucket: str = "none"  # or one of UNITS
    group_by: str = ""


@dataclass(frozen=True)
class Summary:
    """`covered_from` is when the first row was that was read: later than the range where there are too many."""

    rows: list[dict[str, Any]]
    complete: bool
    covered_from: datetime | None


def requests(connection: Connection, of: Range, wanted: RequestFilter, shape: Shape) -> Summary:
    """A request succeeded unless it failed on our side: one that was refused did what it should."""
    columns: Columns = {"times": ONE, "failed": case((r.status_code >= FAILED, 1), else_=0), "ms": r.duration_ms}
    [way, *_] = ways_to_requests(of, wanted)
    newest = _newest(request_metrics, way, of, of_requests(request_metrics, of, wanted))
    summed = _summed(newest, REQUEST_GROUPS.get(shape.group_by), shape, columns)
    return _read(connection.execute(named("request_metrics.summary", summed)).all())


def operations(connection: Connection, of: Range, wanted: OperationFilter, shape: Shape) -> Summary:
    """A row of type `query` stands for as many as its process asked in that minute."""
    [way, *_] = ways_to_operations(of, wanted)
    newest = _newest(operation_metrics, way, of, of_operations(operation_metrics, of, wanted))
    columns = _of_operations(plain=wanted.operation_type not in {"", "query"})
    summed = _summed(newest, OPERATION_GROUPS.get(shape.group_by), shape, columns)
    return _read(connection.execute(named("operation_metrics.summary", summed)).all())


def _of_operations(*, plain: bool) -> Columns:
    failed = case((o.success, 0), else_=1)
    if plain:
        return {"times": ONE, "failed": failed, "ms": o.duration_ms}

    def of_queries(name: str, otherwise: ColumnElement[Any], type_: type[Any]) -> ColumnElement[Any]:
        told = cast(o.extra_metadata[name].astext, type_)
        return case((o.operation_type == "query", func.coalesce(told, otherwise)), else_=otherwise)

    return {
        "times": of_queries("count", ONE, Integer),
        "failed": of_queries("errors", failed, Integer),
        "ms": o.duration_ms,
        **{name: of_queries(f"{name}_ms", o.duration_ms, Double) for name in ("p50", "p95", "p99")},
        "most": of_queries("max_ms", o.duration_ms, Double),
    }


def _newest(
    table: Table, way: Sequence[Index], of: Range, conditions: Sequence[ColumnElement[bool]]
) -> Select[Any]:
    """MOST_ROWS along an index, however few of them are wanted: which are is told by the row."""
    [index] = way
    key: Column[Any] = table.c.id
    within = (key >= uuid7_floor(of.after), key < uuid7_floor(of.before))
    return (
        select(table.c.timestamp, and_(*conditions).label("wanted"))
        .where(*index.only, *(column == value for column, value in index.at), *within)
        .order_by(key.desc())
        .limit(MOST_ROWS)
    )


def _summed(newest: Select[Any], group: ColumnElement[Any] | None, shape: Shape, columns: Columns) -> Select[Any]:
    """A row for each bucket and group, and one, of neither, for what was read and is not wanted."""
    rows = newest.add_columns(
        (null() if group is None else group).label("of"), *(column.label(name) for name, column in columns.items())
    ).subquery("m")
    c = rows.c
    unit = UNITS.get(shape.bucket)
    at = func.date_trunc(literal(unit), c.timestamp, "UTC") if unit else null()
    bucket = case((c.wanted, at)).label("bucket")
    name = case((c.wanted, cast(c.of, Text))).label("name")

    def ms(name: str) -> ColumnElement[Any]:
        return case((c.wanted, c[name if name in columns else "ms"]))

    figures = select(
        c.wanted,
        bucket,
        name,
        func.sum(c.times).label("times"),
        func.sum(c.failed).label("failed"),
        (func.sum(c.ms * c.times) / func.sum(c.times)).label("mean"),
        *(func.percentile_cont(p / 100).within_group(ms(f"p{p}")).label(f"p{p}") for p in (50, 95, 99)),
        func.max(ms("most")).label("most"),
        func.count().label("read"),
        func.min(c.timestamp).label("first"),
    )
    by: list[ColumnElement[Any]] = [literal_column(str(number)) for number in (1, 2, 3)]
    return figures.group_by(*by).order_by(*by).limit(MOST_GROUPS + 2)


def _read(found: Any) -> Summary:
    """Raises Invalid for what would be too much of an answer."""
    wanted = [row for row in found if row.wanted]
    if len(wanted) > MOST_GROUPS:
        what = Detail("bucket", "makes too many rows with this range and group: take a longer one")
        raise Invalid("the summary would be too long", details=(what,))
    rows = [
        {
            "bucket": row.bucket,
            "group": row.name,
            "count": int(row.times),
            "success_rate": round(1 - row.failed / row.times, 6),
            "avg_ms": round(row.mean, 3),
            "p50_ms": round(row.p50, 3),
            "p95_ms": round(row.p95, 3),
            "p99_ms": round(row.p99, 3),
            "max_ms": round(row.most, 3),
        }
        for row in wanted
    ]
    complete = sum(row.read for row in found) < MOST_ROWS
    return Summary(rows, complete, min((row.first for row in found), default=None))
