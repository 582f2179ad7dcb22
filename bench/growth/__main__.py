"""`python -m bench.growth`: reads, lists, claim, record and due scan after a year, against an empty database."""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path

import pg8000.native
from rich.console import Console
from sqlalchemy import create_engine

from bench.database import address
from bench.figures import columns, number, terminal
from bench.growth import rows
from bench.growth.disposal import disposal
from bench.growth.worker import OPERATIONS
from bench.machine import machine
from functions.domain.partitions import make_missing
from local.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
EMPTY, GROWN = "empty", "grown"
TARGET = 1.3
WARM_UP = 5  # rounds that count for nothing
# As an instance with 8 GB has them; the wheel's own defaults are for tests.
SETTINGS = {
    "shared_buffers": "2GB",
    "max_wal_size": "8GB",
    "maintenance_work_mem": "512MB",
    "random_page_cost": "1.1",
}


def main() -> int:
    arguments = _arguments()
    console = terminal()
    console.print(str(machine()), soft_wrap=True, highlight=False)
    with (
        tempfile.TemporaryDirectory() as folder,
        Server(Path(folder) / "postgres", settings=SETTINGS) as server,
    ):
        for name, count in ((EMPTY, 0), (GROWN, arguments.rows)):
            _make(server, name, count, arguments.months, console)
        timed = _measure(server, arguments.rounds, console)
        met = _report(console, timed, arguments)
        console.print(disposal(server.url(database=GROWN), arguments.months))
    return 0 if met else 1


def _make(server: Server, name: str, count: int, months: int, console: Console) -> None:
    with closing(pg8000.native.Connection(**address(server.url()))) as sql:
        sql.run(f"CREATE DATABASE {name}")
    url = server.url(database=name)
    environment = {**os.environ, "WEBHOOK_DATABASE_URL": url}
    alembic = [sys.executable, "-m", "alembic", "upgrade", "head"]
    subprocess.run(alembic, check=True, cwd=ROOT, env=environment, capture_output=True)
    now = datetime.now(UTC)
    with create_engine(url.replace("postgresql:", "postgresql+pg8000:")).connect() as connection:
        make_missing(connection, now)
    with closing(pg8000.native.Connection(**address(url))) as sql:
        rows.make_scene(sql, now)
        for start in rows.months(months, now):
            before = time.monotonic()
            rows.make_month(sql, start, count // months)
            if count:
                console.print(f"{start:%B %Y}: {count // months:,} deliveries, {time.monotonic() - before:.0f} s")
        rows.make_days(sql, now)
        sql.run("VACUUM ANALYZE")  # as autovacuum and the job have, in a year
        sql.run("CHECKPOINT")


def _measure(server: Server, rounds: int, console: Console) -> dict[str, dict[str, list[int]]]:
    """By operation and database, ns. The databases take turns, each round in another order."""
    names = list(OPERATIONS)
    timed: dict[str, dict[str, list[int]]] = {name: {EMPTY: [], GROWN: []} for name in names}
    with _worker(server.url(database=EMPTY)) as empty, _worker(server.url(database=GROWN)) as grown:
        console.print("measuring …", highlight=False)
        for round_number in range(WARM_UP + rounds):
            for name in names:
                pair = [(EMPTY, empty), (GROWN, grown)]
                random.shuffle(pair)
                for database, worker in pair:
                    taken = _asked(worker, name)
                    if round_number >= WARM_UP:
                        timed[name][database].append(taken)
    return timed


@contextmanager
def _worker(url: str) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.growth.worker"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "WEBHOOK_DATABASE_URL": url, "POWERTOOLS_LOG_LEVEL": "ERROR"},
    )
    try:
        _answer(process)
        yield process
    finally:
        if process.stdin is not None:
            process.stdin.close()
        process.wait()


def _asked(worker: subprocess.Popen[str], name: str) -> int:
    if worker.stdin is None:
        raise RuntimeError("a worker takes orders")
    worker.stdin.write(f"{name}\n")
    worker.stdin.flush()
    return int(_answer(worker))


def _answer(worker: subprocess.Popen[str]) -> str:
    line = worker.stdout.readline() if worker.stdout is not None else ""
    if not line:
        raise RuntimeError(f"the worker ended with {worker.wait()}")
    return line


def _report(console: Console, timed: dict[str, dict[str, list[int]]], arguments: argparse.Namespace) -> bool:
    title = f"ms, {arguments.rows:,} deliveries and attempts of {arguments.months} months, and none"
    table = columns(title, ["empty p50", "p95", "grown p50", "p95", "ratio of p50"])
    worst = 0.0
    for name, by in timed.items():
        cuts = {database: statistics.quantiles(ns, n=20, method="inclusive") for database, ns in by.items()}
        ratio = cuts[GROWN][9] / cuts[EMPTY][9]
        worst = max(worst, ratio)
        cells = [number(cuts[database][at] / 1e6, 2) for database in (EMPTY, GROWN) for at in (9, 18)]
        table.add_row(name, *cells, number(ratio, 2))
    console.print(table)
    console.print(f"worst: {worst:.2f} x (target: {TARGET})", highlight=False)
    return round(worst, 2) <= TARGET  # as it is printed


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.growth",
        description="Fill a Postgres of its own (fsync on) with a year of deliveries and attempts and run the"
        " product's statements on it and on an empty one, in turn. Then drop a month, and delete another."
        " 10 million rows of either take about 20 GB below TMPDIR while it runs.",
    )
    parser.add_argument("--rows", type=int, default=10_000_000, help="deliveries, and attempts (%(default)s)")
    parser.add_argument("--months", type=int, default=12, help="that they are spread over (%(default)s)")
    parser.add_argument("--rounds", type=int, default=100, help="times that each is measured (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
