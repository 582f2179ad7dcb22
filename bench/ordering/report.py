"""The figures of ordered webhooks beside those of unordered ones, and of another webhook beside them."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench import figures
from bench.figures import Row
from bench.ordering.measure import Result, Wanted

LINES: tuple[Row[Result], ...] = (
    Row("deliveries/s", lambda result: result.deliveries_per_second, 0),
    Row("CPU µs/delivery: functions, all", lambda result: result.cpu_us, 0),
    Row("deliveries", lambda result: result.deliveries, counted=True),
    Row("  that came before an older one", lambda result: result.overtaken, counted=True),
    Row("duplicates", lambda result: result.duplicates, counted=True),
    Row("lost", lambda result: result.lost, counted=True),
)
BESIDE: tuple[Row[Result], ...] = (
    Row("events/s", lambda result: result.beside_per_second),
    Row("event to receipt p50, ms", lambda result: result.beside.p50),
    Row("event to receipt p95", lambda result: result.beside.p95),
    Row("event to receipt p99", lambda result: result.beside.p99),
)


def show(wanted: Wanted, console: Console, results: Sequence[Result]) -> bool:
    """Whether nothing was lost and no strictly ordered event came before an older one."""
    runs = {case.name: [result for result in results if result.name == case.name] for case in wanted.cases}
    alone, *pairs = wanted.cases
    for strict, unordered in zip(pairs[::2], pairs[1::2], strict=True):
        each = {strict.name: runs[strict.name], unordered.name: runs[unordered.name]}
        webhooks = "one webhook" if strict.lines == 1 else f"{strict.lines} webhooks"
        console.print(figures.versus(f"{wanted.events:,} events to {webhooks}", each, LINES))
    console.print(_beside(runs, alone.name, f"another webhook with {wanted.rate:g} events/s"))
    ordered = {case.name for case in wanted.cases if case.ordering == "strict"}
    return not any(result.lost or (result.overtaken and result.name in ordered) for result in results)


def _beside(runs: dict[str, list[Result]], alone: str, title: str) -> Table:
    """A column for each of what it was beside; every figure and its ratio to that with nothing beside it."""
    table = figures.columns(title, list(runs), first="beside")
    for row in BESIDE:
        table.add_row(row.heading, *(row.cell(results) for results in runs.values()))
        table.add_row("  ratio", *(row.ratio(results, runs[alone]) for results in runs.values()))
    return table
