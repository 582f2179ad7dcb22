"""What Postgres does for the statements of functions/: each is explained while it is run."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from pg8000.exceptions import DatabaseError
from sqlalchemy import Engine, event

from functions.statements import NAME

EXPLAIN = "EXPLAIN (ANALYZE, TIMING OFF, BUFFERS, FORMAT JSON) "
EXPLAINED = ("SELECT", "WITH", "INSERT", "UPDATE", "DELETE")
PARTITION = re.compile(r"(?P<table>\w+?)_(?P<at>default|\d{4}_\d{2}(_\d{2})?)$")
KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}")
FLOOR = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-0000-0000-000000000000")  # domain/ids.py: uuid7_floor
FEW = 1_000  # rows that are read faster than an index of theirs
BEFORE = timedelta(minutes=5)  # by which the key of an event is older than those of its deliveries
EVER = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True)
class Scan:
    """A table or partition that was read: `rows` were looked at, wanted or not."""

    relation: str
    rows: float
    whole: float  # rows of it, where it is read from end to end; else 0


@dataclass(frozen=True)
class Run:
    """A statement that was run, and what Postgres did for it."""

    name: str
    sql: str
    parameters: Any
    plan: dict[str, Any]

    def nodes(self) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
        """What was really executed: each node of the plan, with the one above it."""
        waiting = [(self.plan, self.plan)]
        while waiting:
            node, parent = waiting.pop()
            if node["Actual Loops"] > 0:
                yield node, parent
                waiting += [(child, node) for child in node.get("Plans", ())]

    def scans(self) -> Iterator[Scan]:
        for node, _ in self.nodes():
            if node["Node Type"].endswith("Scan") and "Relation Name" in node:
                rows, is_whole = looked_at(node), node["Node Type"] == "Seq Scan"
                yield Scan(node["Relation Name"], rows * node["Actual Loops"], rows if is_whole else 0)

    def indexes(self) -> set[str]:
        """By which rows were found, or conflicts."""
        found = {node["Index Name"] for node, _ in self.nodes() if "Index Name" in node}
        return found.union(*(node.get("Conflict Arbiter Indexes", ()) for node, _ in self.nodes()))

    @property
    def pages(self) -> int:
        """Of 8 KiB, that were read."""
        return int(self.plan["Shared Hit Blocks"] + self.plan["Shared Read Blocks"])

    def may_look_into(self, relation: str) -> bool:
        """Whether rows can be there by the keys that the statement was told: its own, or the ends of a range.

        One end alone is the lower one. A range goes to the default partition too, which may have any key.
        """
        table, start, end = range_of(relation)
        if table == relation:
            return True
        told = json.dumps(self.parameters, default=str)
        ends = [made(key) for key in FLOOR.findall(told)]
        if ends and end > min(ends) - BEFORE and (len(ends) == 1 or start <= max(ends)):
            return True
        return (start, end) != EVER and any(start <= made(key) < end for key in KEY.findall(told))


def made(key: str) -> datetime:
    """When; those that are not of this millennium as far from now as dates go."""
    return datetime.fromtimestamp(min((UUID(key).int >> 80) / 1000, 4e9), UTC)


def looked_at(node: dict[str, Any]) -> float:
    """Rows, each time that the node is executed."""
    removed = node.get("Rows Removed by Filter", 0) + node.get("Rows Removed by Index Recheck", 0)
    return float(node["Actual Rows"] + removed)


def range_of(relation: str) -> tuple[str, datetime, datetime]:
    """The table that this is a partition of, and from when until when; that of another table is for ever."""
    found = PARTITION.fullmatch(relation)
    if found is None or found["at"] == "default":
        return found["table"] if found else relation, *EVER
    year, month, *day = map(int, found["at"].split("_"))
    start = datetime(year, month, *(day or [1]), tzinfo=UTC)
    end = start + timedelta(days=1 if day else 32)
    return found["table"], start, end if day else end.replace(day=1)


@contextmanager
def explained() -> Iterator[list[Run]]:
    """What this process runs meanwhile, each explained just before, in the same transaction."""
    runs: list[Run] = []

    def explain(connection: Any, _cursor: Any, sql: str, parameters: Any, context: Any, _many: bool) -> None:
        if sql.lstrip().startswith(EXPLAINED) and not connection.connection.dbapi_connection.autocommit:
            plan = _plan(connection.connection.cursor(), sql, parameters)
            name = context.execution_options.get(NAME, "of a test")
            runs.extend([Run(name, sql, parameters, plan)] if plan else [])

    event.listen(Engine, "before_cursor_execute", explain)
    try:
        yield runs
    finally:
        event.remove(Engine, "before_cursor_execute", explain)


def _plan(cursor: Any, sql: str, parameters: Any) -> dict[str, Any] | None:
    """What it does is undone. None for a statement that the database refuses, as it then does again."""
    cursor.execute("SAVEPOINT plan")
    try:
        cursor.execute(EXPLAIN + sql, parameters)
        (found,) = cursor.fetchone()
    except DatabaseError:
        return None
    finally:
        cursor.execute("ROLLBACK TO SAVEPOINT plan")
        cursor.execute("RELEASE SAVEPOINT plan")
    plan: dict[str, Any] = (json.loads(found) if isinstance(found, str) else found)[0]["Plan"]
    return plan
