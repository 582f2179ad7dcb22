"""`python -m bench.statement_timing`: what timing each statement by its name costs that statement.

The one benchmark that imports from functions/: it measures a part of them which no request shows.
"""

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.table import Table
from sqlalchemy import Engine, create_engine, event, text

from bench.figures import columns, terminal
from bench.machine import machine
from functions.adapters import timing
from functions.adapters.driver import make_cheaper
from functions.statements import named
from local.postgres import Server

Watch = Callable[[Engine], None]

STATEMENT = named("bench.statement", text("SELECT CAST(:a AS integer)"))


def main() -> None:
    arguments = _arguments()
    console = terminal()
    console.print(str(machine()), soft_wrap=True, highlight=False)
    make_cheaper()
    title = "SQLite in memory, where a statement is little more than SQLAlchemy's own work"
    console.print(_table(title, _medians("sqlite://", arguments.statements, arguments.rounds)))
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "postgres") as server:
        url = server.url().replace("postgresql://", "postgresql+pg8000://")
        title = "Postgres on this machine, by pg8000, all in one transaction"
        console.print(_table(title, _medians(url, arguments.statements // 10, arguments.rounds)))


@dataclass(frozen=True)
class Taken:
    """µs a statement: of this process's CPU, and until it was done."""

    cpu: float
    wall: float


def _medians(url: str, count: int, rounds: int) -> dict[str, Taken]:
    """By variant: the medians of rounds in which the variants take turns."""
    with _connected(url) as connections:
        for connection in connections.values():
            _run(connection, count)  # what is compiled and cached on the way
        taken: dict[str, list[Taken]] = {variant: [] for variant in VARIANTS}
        for number in range(rounds):
            for variant in sorted(VARIANTS, reverse=number % 2 == 1):
                taken[variant].append(_run(connections[variant], count))
    return {
        variant: Taken(statistics.median(one.cpu for one in of), statistics.median(one.wall for one in of))
        for variant, of in taken.items()
    }


@contextmanager
def _connected(url: str) -> Iterator[dict[str, Any]]:
    """An engine and a connection for each variant."""
    engines = {variant: create_engine(url) for variant in VARIANTS}
    for variant, watch in VARIANTS.items():
        watch(engines[variant])
    connections = {variant: engine.connect() for variant, engine in engines.items()}
    try:
        yield connections
    finally:
        for variant, engine in engines.items():
            connections[variant].close()
            engine.dispose()


def _run(connection: Any, count: int) -> Taken:
    wall, cpu = time.perf_counter_ns(), time.process_time_ns()
    for number in range(count):
        connection.execute(STATEMENT, {"a": number})
    cpu, wall = time.process_time_ns() - cpu, time.perf_counter_ns() - wall
    return Taken(cpu / 1000 / count, wall / 1000 / count)


def _nothing(_engine: Engine) -> None:
    """The statement goes straight to the driver."""


def _timed(engine: Engine) -> None:
    timing.watch(engine.dialect)


def _by_events(engine: Engine) -> None:
    """As it is mostly done: SQLAlchemy's events, and as little as can be in them."""

    def before(_connection: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        context.began = time.perf_counter_ns()

    def after(_connection: Any, _cursor: Any, _sql: str, _parameters: Any, context: Any, _many: bool) -> None:
        name = context.execution_options.get("statement_name")
        timing._window.of(name).add((time.perf_counter_ns() - context.began) // 1000)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)


VARIANTS: dict[str, Watch] = {"not timed": _nothing, "timed": _timed, "by events": _by_events}


def _table(title: str, medians: dict[str, Taken]) -> Table:
    table = columns(title, ["CPU µs", "more", "ratio", "wall µs", "ratio"])
    off = medians["not timed"]
    for variant, one in medians.items():
        more, ratio, slower = one.cpu - off.cpu, one.cpu / off.cpu, one.wall / off.wall
        table.add_row(
            variant, f"{one.cpu:.2f}", f"{more:+.2f}", f"{ratio:.3f}", f"{one.wall:.2f}", f"{slower:.3f}"
        )
    return table


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.statement_timing",
        description="Run one short statement many times, with timing and without, in turns.",
    )
    parser.add_argument(
        "--statements", type=int, default=20_000, help="a round; of Postgres a tenth (%(default)s)"
    )
    parser.add_argument("--rounds", type=int, default=15, help="of each, for medians (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    main()
