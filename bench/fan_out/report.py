"""The figures of one event to many webhooks, beside those of batches."""

from collections.abc import Sequence

from rich.console import Console

from bench import figures
from bench.cpu import DATABASE, of_functions
from bench.fan_out.measure import FAN_OUT, Result
from bench.figures import Row

ROWS: tuple[Row[Result], ...] = (
    Row("until a request was answered, ms", lambda result: result.accept_ms),
    Row("until the first arrival, ms", lambda result: result.first_ms),
    Row("until the last arrival, ms", lambda result: result.last_ms, 0),
    Row("event to receipt p50, ms", lambda result: result.receipt.p50),
    Row("event to receipt p95", lambda result: result.receipt.p95),
    Row("deliveries/s", lambda result: result.deliveries_per_second, 0),
    Row("CPU µs/delivery: functions", lambda result: of_functions(result.cpu_us), 0),
    Row("  api", lambda result: result.cpu_us.get("api", 0.0), 0),
    Row("  deliver", lambda result: result.cpu_us.get("deliver", 0.0), 0),
    Row("CPU µs/delivery: Postgres", lambda result: result.cpu_us[DATABASE], 0),
    Row("deliveries", lambda result: result.deliveries, counted=True),
    Row("  duplicates", lambda result: result.duplicates, counted=True),
    Row("  lost", lambda result: result.lost, counted=True),
    Row("  not recorded as delivered", lambda result: result.unrecorded, counted=True),
)


def show(console: Console, results: Sequence[Result], *, webhooks: int) -> bool:
    """Whether nothing was lost, and all of it recorded."""
    one = [result for result in results if result.name == FAN_OUT]
    batches = [result for result in results if result.name != FAN_OUT]
    named = {f"one event to {webhooks:,}": one, "batches": batches}
    console.print(figures.versus("as many deliveries, of one event and of batches", named, ROWS))
    return not any(result.lost or result.unrecorded for result in results)
