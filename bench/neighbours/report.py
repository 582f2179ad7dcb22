"""The figures of the healthy endpoints, with and without bad neighbours, and the ratio that matters."""

import statistics
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from bench import figures
from bench.figures import Row
from bench.neighbours.phase import NOISY, QUIET, Phase, Wanted

TARGET = 1.5  # times the p95 of the quiet run, at most

ROWS: tuple[Row[Phase], ...] = (
    Row("event to receipt p50, ms", lambda phase: phase.receipt.p50),
    Row("event to receipt p95", lambda phase: phase.receipt.p95),
    Row("event to receipt p99", lambda phase: phase.receipt.p99),
    Row("CPU of the functions, s", lambda phase: phase.functions_cpu_seconds),
    Row("requests to those that hang", lambda phase: phase.hanging_requests, 0),
    Row("requests to those that fail", lambda phase: phase.failing_requests, 0),
    Row("deliveries to healthy ones", lambda phase: phase.healthy, counted=True),
    Row("  duplicates", lambda phase: phase.duplicates, counted=True),
    Row("  lost", lambda phase: phase.lost, counted=True),
)


def show(wanted: Wanted, console: Console, phases: Sequence[Phase]) -> bool:
    """Whether every healthy endpoint got everything."""
    runs = {name: [phase for phase in phases if phase.name == name] for name in (NOISY, QUIET)}
    healthy = wanted.webhooks - wanted.hanging - wanted.failing
    each = "to all" if wanted.to_all else "to one webhook each"
    title = f"{wanted.events_per_second:g} events/s {each}; of the {healthy} healthy webhooks of {wanted.webhooks}"
    named = {f"{wanted.hanging} hang, {wanted.failing} fail": runs[NOISY], "all are well": runs[QUIET]}
    console.print(figures.versus(title, named, ROWS), _trace(runs, wanted))
    p95 = figures.ratio(lambda phase: phase.receipt.p95, runs[NOISY], runs[QUIET])
    console.print(f"p95 with bad neighbours: {p95:.2f} x that without them (target: {TARGET:g})", highlight=False)
    return not any(phase.lost for phase in phases)


def _trace(runs: dict[str, list[Phase]], wanted: Wanted) -> Table:
    """Medians over the runs of each window's p95."""
    table = figures.columns("p95 by when events were due, ms", ["with", "without", "ratio"], first="from s")
    noisy, quiet = ([phase.windows_p95 for phase in runs[name]] for name in (NOISY, QUIET))
    for number, (one, other) in enumerate(zip(zip(*noisy, strict=True), zip(*quiet, strict=True), strict=True)):
        ratio = statistics.median(a / b for a, b in zip(one, other, strict=True))
        medians = (figures.number(statistics.median(one), 1), figures.number(statistics.median(other), 1))
        table.add_row(f"{number * wanted.window:g}", *medians, figures.number(ratio, 2))
    return table
