"""Metrics added up, by time and by what they are of: the newest MOST_ROWS of the range and no more."""

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
)
from functions.domain.ids import uuid7_floor
from functions.errors import Detail, Invalid
from functions.models import operation_metrics, request_metrics
from functions.statements import named

r, o = request_metrics.c, operation_metrics.c
# A second or two of reading; a month of a quiet service, a few hours of one that is asked 50 times a second.
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
ONE = literal_column("1", Integer)
UNITS = {"1m": "minute", "1h": "hour", "1d": "day"}  # of date_trunc


@dataclass(frozen=True)
class Shape:
    """How it is added up; an empty group means not by what it is of."""

    bucket: str = "none"  # or one of UNITS
    group_by: str = ""


@dataclass(frozen=True)
class Summary:
    """`covered_from` is when the first row was that was read: later than the range where there were too many."""

    rows: list[dict[str, Any]]
    complete: bool
    covered_from: datetime | None


def requests(connection: Connection, of: Range, wanted: RequestFilter, shape: Shape) -> Summary:
    """A request succeeded unless it failed on our side: one that was refused did what it should."""
    columns = {
        "times": ONE,
        "failed": case((r.status_code >= FAILED, 1), else_=0),
        **dict.fromkeys(("mean", "p50", "p95", "p99", "most"), r.duration_ms),
    }
    conditions = of_requests(request_metrics, of, wanted)
    summed = _summed(request_metrics, REQUEST_GROUPS.get(shape.group_by), shape, columns, conditions, of)
    return _read(connection.execute(named("request_metrics.summary", summed)).all())


def operations(connection: Connection, of: Range, wanted: OperationFilter, shape: Shape) -> Summary:
    """A row of type `query` stands for as many as its process asked in that minute."""
    conditions = of_operations(operation_metrics, of, wanted)
    plain = wanted.operation_type not in {"", "query"}
    group = OPERATION_GROUPS.get(shape.group_by)
    summed = _summed(operation_metrics, group, shape, _of_operations(plain=plain), conditions, of)
    return _read(connection.execute(named("operation_metrics.summary", summed)).all())


def _of_operations(*, plain: bool) -> dict[str, ColumnElement[Any]]:
    failed = case((o.success, 0), else_=1)
    if plain:
        durations = dict.fromkeys(("mean", "p50", "p95", "p99", "most"), o.duration_ms)
        return {"times": ONE, "failed": failed, **durations}

    def of_queries(name: str, otherwise: ColumnElement[Any], type_: type[Any]) -> ColumnElement[Any]:
        told = cast(o.extra_metadata[name].astext, type_)
        return case((o.operation_type == "query", func.coalesce(told, otherwise)), else_=otherwise)

    return {
        "times": of_queries("count", ONE, Integer),
        "failed": of_queries("errors", failed, Integer),
        "mean": o.duration_ms,
        **{name: of_queries(f"{name}_ms", o.duration_ms, Double) for name in ("p50", "p95", "p99")},
        "most": of_queries("max_ms", o.duration_ms, Double),
    }


def _summed(
    table: Table,
    group: ColumnElement[Any] | None,
    shape: Shape,
    columns: dict[str, ColumnElement[Any]],
    conditions: list[ColumnElement[bool]],
    of: Range,
) -> Select[Any]:
    key: Column[Any] = table.c.id
    rows = (
        select(
            table.c.timestamp,
            (null() if group is None else group).label("of"),
            *(column.label(name) for name, column in columns.items()),
        )
        .where(*conditions, key >= uuid7_floor(of.after), key < uuid7_floor(of.before))
        .order_by(key.desc())
        .limit(MOST_ROWS)
        .subquery("m")
    )
    c = rows.c
    unit = UNITS.get(shape.bucket)
    at = func.date_trunc(literal(unit), c.timestamp, "UTC") if unit else null()
    bucket, name = at.label("bucket"), cast(c.of, Text).label("name")
    figures = select(
        bucket,
        name,
        func.sum(c.times).label("times"),
        func.sum(c.failed).label("failed"),
        (func.sum(c.mean * c.times) / func.sum(c.times)).label("mean"),
        *(func.percentile_cont(at / 100).within_group(c[f"p{at}"]).label(f"p{at}") for at in (50, 95, 99)),
        func.max(c.most).label("most"),
        func.count().label("read"),
        func.min(c.timestamp).label("first"),
    )
    return (
        figures.group_by(literal_column("1"), literal_column("2"))
        .order_by("bucket", "name")
        .limit(MOST_GROUPS + 1)
    )


def _read(found: Any) -> Summary:
    """Raises Invalid for what would be too much of an answer."""
    if len(found) > MOST_GROUPS:
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
        for row in found
        if row.times
    ]
    complete = sum(row.read for row in found) < MOST_ROWS
    return Summary(rows, complete, min((row.first for row in found if row.first), default=None))
