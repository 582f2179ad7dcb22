"""`python -m bench.metrics`: what measuring itself costs a request, and what one measurement takes.

It imports from functions/ for the second part: no request shows a measurement alone.
"""

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, redirect_stdout
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console

from bench import figures, load
from bench.command import EXPECTED
from bench.connections import Connections
from bench.delivery.measure import Result, Scenario, measure
from bench.figures import Row, columns, versus
from bench.load import open_loop
from bench.machine import machine
from bench.scene import Plan, Scene, scene
from bench.service import service
from functions.adapters import measuring

TEMPLATE = Path(__file__).resolve().parents[1] / "cdk.out" / "hookline-dev.template.json"
WARM_UP_SECONDS = 3.0
PATIENCE_SECONDS = 60.0
TARGET = 1.03  # of ingest p95, with metrics to without
ROWS: tuple[Row[Result], ...] = (
    Row("ingest p50, ms", lambda r: r.ingest.p50, 2),
    Row("ingest p95, ms", lambda r: r.ingest.p95, 2),
    Row("ingest p99, ms", lambda r: r.ingest.p99, 2),
    Row("event to receipt p95, ms", lambda r: r.receipt.p95, 1),
    Row("CPU µs a delivery, api", lambda r: r.cpu_us.get("api", 0.0), 0),
    Row("CPU µs a delivery, all", lambda r: sum(r.cpu_us.values()), 0),
    Row("events", lambda r: r.events, counted=True),
    Row("lost deliveries", lambda r: r.lost, counted=True),
)


def main() -> int:
    arguments = _arguments()
    console = figures.terminal()
    about = machine()
    console.print(str(about), soft_wrap=True, highlight=False)
    try:
        with tempfile.TemporaryDirectory() as folder, _both(Path(folder)) as (with_them, without):
            runs = asyncio.run(_measure(arguments, console, with_them, without))
    except EXPECTED as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(versus("A request, with metrics and without, in turns", runs, ROWS))
    console.print(_alone(arguments.measurements))
    if arguments.json is not None:
        figures.save(arguments.json, about, vars(arguments), [*runs["with"], *runs["without"]])
    p95 = figures.ratio(lambda r: r.ingest.p95, runs["with"], runs["without"])
    console.print(f"ingest p95 with metrics is {p95:.3f} of that without; the target is {TARGET}", highlight=False)
    lost = any(run.lost for of in runs.values() for run in of)
    return 0 if p95 <= TARGET and not lost else 1


@contextmanager
def _both(folder: Path) -> Iterator[tuple[Path, Path]]:
    """Two services at the same time, so that the machine's moods are the same for both: each rests in its turn."""
    switched_off = folder / TEMPLATE.name
    switched_off.write_text(json.dumps(_without_metrics(json.loads(TEMPLATE.read_text()))))
    with service(None) as with_them, service(None, template=switched_off) as without:
        yield with_them, without


def _without_metrics(template: dict[str, Any]) -> dict[str, Any]:
    """As a stage with `metrics=False` is synthesized."""
    resources = template["Resources"]
    for name in [name for name, one in resources.items() if one["Type"] == "AWS::Logs::SubscriptionFilter"]:
        del resources[name]
    for one in resources.values():
        variables = one.get("Properties", {}).get("Environment", {}).get("Variables", {})
        if "METRICS" in variables:
            variables["METRICS"] = "off"
    return template


async def _measure(
    arguments: argparse.Namespace, console: Console, with_them: Path, without: Path
) -> dict[str, list[Result]]:
    runs: dict[str, list[Result]] = {"with": [], "without": []}
    plans = [Plan(f"bench-{number}") for number in range(arguments.fanout)]
    remember = 2 * int(arguments.rate * (arguments.seconds + WARM_UP_SECONDS))
    async with (
        scene(with_them, plans, remember=remember) as one,
        scene(without, plans, remember=remember) as other,
    ):
        for number in range(arguments.repeat):
            turns = [("with", one), ("without", other)]
            for name, here in turns if number % 2 else reversed(turns):
                console.print(f"{name} metrics, run {number + 1} of {arguments.repeat} …", highlight=False)
                runs[name].append(await _run(arguments, name, here))
    return runs


async def _run(arguments: argparse.Namespace, name: str, here: Scene) -> Result:
    with closing(Connections(here.api)) as connections:
        at_rate = partial(open_loop, connections, rate=arguments.rate, bodies=[load.single(arguments.size)])
        scenario = Scenario(
            name, partial(at_rate, seconds=arguments.seconds), partial(at_rate, seconds=WARM_UP_SECONDS)
        )
        return await measure(here, scenario, patience_seconds=PATIENCE_SECONDS)


def _alone(count: int) -> Any:
    """µs of CPU that one measurement takes, and the line that a request leaves."""
    table = columns("Measured alone", ["µs"])
    with open("/dev/null", "w") as nothing, redirect_stdout(nothing):  # noqa: PTH123 - a device
        table.add_row("an empty block", f"{_us(_nothing, count):.2f}")
        table.add_row("`with measured(…)`", f"{_us(_measured, count):.2f}")
        table.add_row("an invocation: a request, an operation, two lines", f"{_us(_invocation, count):.2f}")
    return table


def _us(work: Callable[[], object], count: int) -> float:
    taken = []
    for _ in range(9):
        began = time.process_time_ns()
        for _ in range(count):
            work()
        taken.append((time.process_time_ns() - began) / 1000 / count)
        measuring.begin(None)
    return statistics.median(taken)


def _nothing() -> None:
    pass


def _measured() -> None:
    with measuring.measured("bench", "bench.measured") as one:
        one.count(rows=1)


EVENT = {
    "headers": {"user-agent": "bench"},
    "requestContext": {"requestId": "XMe3rdDA4xVO8yU=", "http": {"method": "POST", "sourceIp": "127.0.0.1"}},
}


@measuring.requests
def _answer(_event: dict[str, Any], _context: Any) -> dict[str, Any]:
    _measured()
    return {"statusCode": 202}


def _invocation() -> None:
    measuring.begin("01a1f8df-c445-7d27-83ba-de6472adf856")
    _answer(EVENT, None)
    measuring.flush("bench")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.metrics",
        description="Two services in temporary folders, one of which measures itself: single events at a constant"
        " rate to each in turn, low enough that what is measured is the request, and not waiting for a core,"
        f" after {WARM_UP_SECONDS:g} s that count for nothing. Prints medians of all runs.",
    )
    parser.add_argument("--rate", type=float, default=25, help="events/s (%(default)s)")
    parser.add_argument("--seconds", type=float, default=20, help="how long each (%(default)s)")
    parser.add_argument("--repeat", type=int, default=9, help="runs of each, for medians (%(default)s)")
    parser.add_argument("--fanout", type=int, default=1, help="webhooks an event goes to (%(default)s)")
    parser.add_argument("--bytes", type=int, default=500, dest="size", help="of an event's data (%(default)s)")
    parser.add_argument("--measurements", type=int, default=20_000, help="a round, of one alone (%(default)s)")
    parser.add_argument("--json", type=Path, help="write the figures of every run to this file as well")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
