"""The figures of a backlog being drained, beside those of a live load."""

from collections.abc import Sequence

from rich.console import Console

from bench import figures
from bench.backlog.drain import BACKLOG, LIVE, Result
from bench.cpu import DATABASE, of_functions
from bench.figures import Row

ROWS: tuple[Row[Result], ...] = (
    Row("until the last arrival, s", lambda result: result.seconds),
    Row("deliveries/s", lambda result: result.deliveries_per_second, 0),
    Row("CPU µs/delivery: functions", lambda result: of_functions(result.cpu_us), 0),
    Row("  api", lambda result: result.cpu_us.get("api", 0.0), 0),
    Row("  jobs", lambda result: result.cpu_us.get("jobs", 0.0), 0),
    Row("  deliver", lambda result: result.cpu_us.get("deliver", 0.0), 0),
    Row("CPU µs/delivery: Postgres", lambda result: result.cpu_us[DATABASE], 0),
    Row("deliveries", lambda result: result.deliveries, counted=True),
    Row("  duplicates", lambda result: result.duplicates, counted=True),
    Row("  lost", lambda result: result.lost, counted=True),
    Row("  not recorded as delivered", lambda result: result.unrecorded, counted=True),
)


def show(console: Console, results: Sequence[Result]) -> bool:
    """Whether nothing was lost, and all of it recorded."""
    runs = {name: [result for result in results if result.name == name] for name in (BACKLOG, LIVE)}
    title = "deliveries that waited for paused webhooks, and those of batches that did not"
    console.print(figures.versus(title, runs, ROWS))
    return not any(result.lost or result.unrecorded for result in results)
