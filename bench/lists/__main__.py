"""`python -m bench.lists`: what a page of deliveries takes in a project that has a million of them."""

import argparse
import http.client
import json
import statistics
import sys
from dataclasses import dataclass, field
from pathlib import Path

from rich import box
from rich.table import Table

from bench.figures import terminal
from bench.lists.scene import Caller, Scene, scene
from bench.machine import machine
from bench.service import service
from local.demo.stack import StackError

# What is asked for; `{name}` is a name of the scene. Cases of BOUND are asked with the application's own key.
CASES = {
    "nothing": "",
    "webhook": "webhook_id={common}",
    "webhook that ended a month ago": "webhook_id={ended}",
    "event": "event_id={event}",
    "type": "event_type=kind0.part0",
    "type of two months ago": "event_type=legacy.import",
    "type there is none of": "event_type=nothing",
    "prefix": "event_type=kind1.*",
    "prefix of two months ago": "event_type=legacy.*",
    "application": "application_id=bench",
    "delivered": "status=delivered",
    "failed": "status=failed",
    "pending": "status=pending",
    "delivering (none)": "status=delivering",
    "503": "response_status=503",
    "404, one in 5,000": "response_status=404",
    "5xx": "response_status=5xx",
    "200": "response_status=200",
    "with an error": "has_error=true",
    "without": "has_error=false",
    "three days": "created_after={start}&created_before={end}",
    "webhook, failed": "webhook_id={common}&status=failed",
    "webhook, pending": "webhook_id={common}&status=pending",
    "webhook, type": "webhook_id={common}&event_type=kind0.part0",
    "webhook, type it never had": "webhook_id={rare}&event_type=kind0.part0",
    "webhook, 5xx": "webhook_id={common}&response_status=5xx",
    "rare webhook, failed": "webhook_id={rare}&status=failed",
    "type, failed": "event_type=kind0.part0&status=failed",
    "type, 404": "event_type=kind0.part0&response_status=404",
    "application, failed": "application_id=bench&status=failed",
}
BOUND = {
    "an application's own key": "",
    "its own key, failed": "status=failed",
    "its own key, type": "event_type=kind0.part0",
}
FURTHER = 4  # pages read after the first, in one round
WARM_UP = 2  # rounds that count for nothing: caches, and the function's own start


@dataclass
class Figures:
    """Milliseconds of each call, and how many rows the pages of one round had."""

    first: list[float] = field(default_factory=list)
    further: list[float] = field(default_factory=list)
    rows: list[int] = field(default_factory=list)


def main() -> int:
    arguments = _arguments()
    console = terminal()
    console.print(str(machine()), soft_wrap=True, highlight=False)
    try:
        with service(arguments.stack) as stack_file:
            console.print("making the rows …", highlight=False)
            with scene(stack_file, own=arguments.rows, others=arguments.others) as here:
                figures = _measure(here, arguments.rounds)
    except (StackError, OSError, http.client.HTTPException) as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    console.print(_table(figures, arguments))
    return 0


def _measure(here: Scene, rounds: int) -> dict[str, Figures]:
    """Round by round through all cases, so that whatever else the machine does is shared by all."""
    for number in range(WARM_UP + rounds):
        if number in {0, WARM_UP}:
            figures = {name: Figures() for name in (*CASES, *BOUND)}
        for cases, api in ((CASES, here.api), (BOUND, here.bound)):
            for name, query in cases.items():
                _read(api, query.format(**here.names), figures[name])
    return figures


def _read(api: Caller, query: str, figures: Figures) -> None:
    """The first page and up to FURTHER more."""
    path, cursor, taken = f"/v1/deliveries?{query}", "", figures.first
    figures.rows = []
    for _ in range(1 + FURTHER):
        status, ms, body = api.timed("GET", f"{path}&cursor={cursor}" if cursor else path)
        if status != 200:
            raise StackError(f"GET {path} answered {status}: {body!r}")
        page = json.loads(body)
        taken.append(ms)
        figures.rows.append(len(page["data"]))
        cursor, taken = page["next_cursor"], figures.further
        if cursor is None:
            return


def _table(figures: dict[str, Figures], arguments: argparse.Namespace) -> Table:
    table = Table(
        title=f"ms of GET /v1/deliveries, 50 a page, of {arguments.rows:,} beside {arguments.others:,} of others",
        title_justify="left",
        box=box.SIMPLE,
    )
    table.add_column("narrowed to", no_wrap=True)
    for heading in ("first p50", "p95", "further p50", "p95"):
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("rows of the pages", no_wrap=True)
    for name, of in figures.items():
        rows = " ".join(str(count) for count in of.rows)
        table.add_row(name, *_percentiles(of.first), *_percentiles(of.further), rows)
    return table


def _percentiles(ms: list[float]) -> tuple[str, str]:
    if len(ms) < 2:
        return "", ""
    cuts = statistics.quantiles(ms, n=20, method="inclusive")
    return f"{cuts[9]:.1f}", f"{cuts[18]:.1f}"


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m bench.lists",
        description="Read pages of deliveries in a project that has a million, narrowed in every way there is."
        " Starts a service of its own in a temporary folder unless --stack names one, which keeps the rows.",
    )
    parser.add_argument("--stack", type=Path, help="stack.json of a running service to measure")
    parser.add_argument("--rows", type=int, default=1_000_000, help="deliveries of the project (%(default)s)")
    parser.add_argument("--others", type=int, default=1_000_000, help="of other projects (%(default)s)")
    parser.add_argument("--rounds", type=int, default=40, help="times that each list is read (%(default)s)")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
