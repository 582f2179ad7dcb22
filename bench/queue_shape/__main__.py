"""`python -m bench.queue_shape`: fan-out, claim and record of 100 deliveries at a time, in each shape."""

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.table import Column, Table

from bench.database import connected, cpu_us
from bench.figures import terminal
from bench.machine import machine
from bench.queue_shape.shapes import SHAPES, Shape
from local.postgres import Server

FAN_OUT = 100
FILL = {"deliveries": "WITH (fillfactor = 45)", "attempts": ""}
HEADERS = {
    "content-type": "application/json",
    "webhook-signature": "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
}
STEPS = ("fan-out", "claim", "record")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.queue_shape", description=__doc__)
    parser.add_argument("--batches", type=int, default=200, help="batches of 100 deliveries a run (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each shape, in turn (%(default)s)")
    arguments = parser.parse_args()
    console = terminal()
    console.print(str(machine()))
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "postgres") as server:
        runs = [[measure(server, shape, arguments.batches) for shape in SHAPES] for _ in range(arguments.repeat)]
    table = Table(
        Column("shape", no_wrap=True),
        *(f"{step} µs" for step in STEPS),
        "server CPU µs",
        "ratio",
        "WAL bytes",
        "heap-only",
    )
    medians = [_median([run[number] for run in runs]) for number in range(len(SHAPES))]
    best = min(sum(one[:3]) for one in medians)
    for shape, (fan_out, claim, record, wal, hot) in zip(SHAPES, medians, strict=True):
        total = fan_out + claim + record
        figures = (f"{fan_out:.1f}", f"{claim:.1f}", f"{record:.1f}", f"{total:.1f}", f"{total / best:.2f}")
        table.add_row(shape.name, *figures, f"{wal:.0f}", f"{hot:.0%}")
    console.print(f"per delivery, medians of {arguments.repeat} runs of {arguments.batches * FAN_OUT} deliveries:")
    console.print(table)


def measure(server: Server, shape: Shape, batches: int) -> tuple[float, ...]:
    """Per delivery: server CPU in µs of fan-out, claim and record; bytes of WAL; share of heap-only updates."""
    with connected(server.url()) as connection:
        cursor = connection.cursor()
        project = _create(cursor, shape)
        pid, start = _one(cursor, "SELECT pg_backend_pid(), CAST(pg_current_wal_insert_lsn() AS text)")
        spent = dict.fromkeys(STEPS, 0.0)
        for _ in range(batches):
            for step, statement, parameters in _batch(cursor, shape, project):
                before = cpu_us(pid)
                cursor.execute(statement, parameters)
                cursor.connection.commit()
                spent[step] += cpu_us(pid) - before
        (wal,) = _one(cursor, "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), CAST(%s AS pg_lsn))", (start,))
        deliveries = batches * FAN_OUT
        return (*(spent[step] / deliveries for step in STEPS), float(wal) / deliveries, _heap_only(cursor))


def _batch(cursor: Any, shape: Shape, project: str) -> Iterator[tuple[str, str, tuple[Any, ...]]]:
    """The three statements of one batch; the ids of the later ones come from the first one's answer."""
    yield "fan-out", shape.fan_out, (str(uuid.uuid4()),)
    ids = json.loads(cursor.fetchone()[0])
    yield "claim", shape.claim, (ids, [1] * len(ids), ids)
    rows = json.dumps(
        [{"id": id, "token": token, "headers": HEADERS} for id, token in json.loads(cursor.fetchone()[0])]
    )
    yield "record", shape.record, (rows, *([ids] * (2 if shape.records_twice else 1)), project)


def _create(cursor: Any, shape: Shape) -> str:
    for statement in ["DROP SCHEMA IF EXISTS m CASCADE", *shape.tables.split(";\n")]:
        if statement.strip():
            cursor.execute(statement)
    for table, options in FILL.items():
        for number, (start, end) in enumerate(pairwise(_months())):
            cursor.execute(
                f"CREATE TABLE m.{table}_{number} PARTITION OF m.{table}"
                f" FOR VALUES FROM ('{start}') TO ('{end}') {options}"
            )
    (project,) = _one(cursor, "INSERT INTO m.projects DEFAULT VALUES RETURNING CAST(id AS text)")
    cursor.execute(
        f"INSERT INTO m.webhooks (project_id) SELECT CAST(%s AS uuid) FROM generate_series(1, {FAN_OUT})",
        (project,),
    )
    cursor.connection.commit()
    return str(project)


def _months() -> list[str]:
    """The keys at which fourteen months begin, the present one in their middle."""
    first = datetime.now(UTC).year * 12 + datetime.now(UTC).month - 7
    starts = (datetime(n // 12, n % 12 + 1, 1, tzinfo=UTC) for n in range(first, first + 15))
    return [str(uuid.UUID(int=int(start.timestamp() * 1000) << 80)) for start in starts]


def _heap_only(cursor: Any) -> float:
    time.sleep(1)  # a session's statistics are sent on at most once a second
    (share,) = _one(
        cursor,
        "SELECT sum(n_tup_hot_upd) / sum(n_tup_upd) FROM pg_stat_user_tables"
        " WHERE schemaname = 'm' AND relname LIKE 'deliveries_%%'",
        (),
    )
    return float(share)


def _one(cursor: Any, statement: str, parameters: tuple[Any, ...] = ()) -> Any:
    cursor.execute(statement.replace("%%", "%") if not parameters else statement, parameters)
    return cursor.fetchone()


def _median(runs: list[tuple[float, ...]]) -> list[float]:
    return [statistics.median(values) for values in zip(*runs, strict=True)]


if __name__ == "__main__":
    main()
