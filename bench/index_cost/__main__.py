"""`python -m bench.index_cost`: fan-out, claim and record of 100 deliveries at a time, without each index."""

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Column, Table

from bench.database import connected
from bench.figures import terminal
from bench.index_cost.life import COUNT, INDEXES, Life
from bench.machine import machine
from local.postgres import Server

ROOT = Path(__file__).resolve().parents[2]
ALL = "all of them"
NOISE = 0.5  # µs: figures closer than this say nothing


def main() -> None:
    arguments = _arguments()
    console = terminal()
    console.print(str(machine()), soft_wrap=True, highlight=False)
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "postgres") as server:
        _migrate(server.url())
        with connected(server.url()) as connection:
            figures = _measure(connection, arguments, console)
    console.print(
        f"per delivery, medians of {arguments.repeat} runs of {arguments.batches * COUNT} deliveries on top of"
        f" {arguments.rows}:"
    )
    console.print(_table(figures))


def _measure(connection: Any, arguments: argparse.Namespace, console: Console) -> dict[str, tuple[float, ...]]:
    """By variant: µs of CPU of fan-out, claim and record, and bytes of WAL. Variants take turns."""
    cursor = connection.cursor()
    cursor.execute(INDEXES)
    variants: dict[str, tuple[str, str]] = {ALL: ("", "")}
    for name, definition in cursor.fetchall():
        variants[f"without {name.removeprefix('webhook_deliveries_')}"] = (
            f"DROP INDEX webhook.{name}",
            definition,
        )
    for definition in arguments.add:
        make = f"CREATE INDEX one_more ON webhook.webhook_deliveries {definition}"
        variants[f"and {definition}"] = (make, "DROP INDEX webhook.one_more")
    runs: dict[str, list[tuple[float, ...]]] = {variant: [] for variant in variants}
    for number in range(arguments.repeat):
        names = list(variants)
        random.shuffle(names)
        for name in names:
            console.print(f"run {number + 1} of {arguments.repeat}: {name} …", highlight=False)
            before, after = variants[name]
            runs[name].append(Life(connection, arguments.rows).measured(before, after, arguments.batches))
    return {name: tuple(statistics.median(v) for v in zip(*of, strict=True)) for name, of in runs.items()}


def _table(figures: dict[str, tuple[float, ...]]) -> Table:
    table = Table(
        Column("indexes", no_wrap=True), "fan-out µs", "claim µs", "record µs", "CPU µs", "saved", "WAL B"
    )
    whole = sum(figures[ALL][:3])
    for name, (fan_out, claim, record, wal) in figures.items():
        total = fan_out + claim + record
        saved = f"{whole - total:+.1f}" if abs(whole - total) > NOISE else "-"
        table.add_row(name, f"{fan_out:.1f}", f"{claim:.1f}", f"{record:.1f}", f"{total:.1f}", saved, f"{wal:.0f}")
    return table


def _migrate(url: str) -> None:
    subprocess.run(
        [sys.executable, "-m", "alembic", "upgrade", "head"],
        cwd=ROOT,
        env={**os.environ, "WEBHOOK_DATABASE_URL": url},
        check=True,
        stdout=subprocess.DEVNULL,
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.index_cost",
        description="Take batches of 100 deliveries through fan-out, claim and record on a Postgres of its own"
        " (fsync on), with every index there is, and without each in turn.",
    )
    parser.add_argument("--batches", type=int, default=200, help="of 100 deliveries, a run (%(default)s)")
    parser.add_argument("--rows", type=int, default=200_000, help="deliveries there before (%(default)s)")
    parser.add_argument("--repeat", type=int, default=3, help="runs of each, in turn (%(default)s)")
    parser.add_argument(
        "--add", nargs="*", default=[], metavar="INDEX", help='one more, such as "(event_id, id)"; in turn'
    )
    return parser.parse_args()


if __name__ == "__main__":
    main()
