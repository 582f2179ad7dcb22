"""The figures of all runs, as a table."""

import statistics
from collections.abc import Sequence
from itertools import groupby

from rich.console import Console
from rich.table import Table

from bench import figures
from bench.cpu import DATABASE, EMULATORS, OURS, functions
from bench.delivery.measure import Result
from bench.figures import Row

Runs = list[Result]
"""The repetitions of one scenario."""

LOAD: tuple[Row[Result], ...] = (
    Row("events", lambda result: result.events, counted=True),
    Row("deliveries", lambda result: result.deliveries, counted=True),
    Row("deliveries/s", lambda result: result.deliveries_per_second, 0),
    Row("ingest p50, ms a request", lambda result: result.ingest.p50),
    Row("ingest p95", lambda result: result.ingest.p95),
    Row("event to receipt p50, ms", lambda result: result.receipt.p50),
    Row("event to receipt p95", lambda result: result.receipt.p95),
)
FAULTS: tuple[Row[Result], ...] = (
    Row("duplicates", lambda result: result.duplicates, counted=True),
    Row("retried", lambda result: result.record.retried, counted=True),
    Row("lost", lambda result: result.lost, counted=True),
    Row("not recorded as delivered", lambda result: result.record.unrecorded, counted=True),
    Row("attempts missing (of 50 read)", lambda result: result.record.attempts_missing, counted=True),
    Row("bad signatures", lambda result: result.bad_signatures, counted=True),
)
SHOWN = {"sqs": "SQS", "aws": "KMS and secrets", "supervisor": "API Gateway, mappings"}


def show(console: Console, results: Sequence[Result], *, fanout: int) -> bool:
    """Whether nothing was lost or unrecorded and every signature was good.

    Delivery is at least once: duplicates may be.
    """
    console.print(_table([list(runs) for _, runs in groupby(results, lambda result: result.name)], fanout))
    return not any(
        result.lost or result.bad_signatures or result.record.unrecorded or result.record.attempts_missing
        for result in results
    )


def _table(results: list[Runs], fanout: int) -> Table:
    """A column a scenario; medians where a scenario was repeated, except what is counted."""
    verify_us = statistics.median(result.verify_us for runs in results for result in runs)
    made = figures.columns(
        f"every event goes to {fanout} webhooks",
        [runs[0].name for runs in results],
        caption=f"The receiver checks every signature with standardwebhooks: {verify_us:.0f} µs each.",
    )
    for row in LOAD:
        made.add_row(row.heading, *(row.cell(runs) for runs in results))
    made.add_section()
    for heading, groups in _groups(results):
        made.add_row(heading, *(_cpu(runs, groups) for runs in results))
    made.add_section()
    for row in FAULTS:
        made.add_row(row.heading, *(row.cell(runs) for runs in results))
    return made


def _groups(results: list[Runs]) -> list[tuple[str, list[str]]]:
    """Rows of CPU: the functions one by one and together, what stands for AWS, and the benchmark itself."""
    known = dict.fromkeys(group for runs in results for result in runs for group in result.cpu_us)
    used = [name for name in functions(known) if any(one.cpu_us.get(name) for runs in results for one in runs)]
    return [
        ("CPU µs/delivery: functions", used),
        *((f"  {name}", [name]) for name in used),
        ("CPU µs/delivery: Postgres", [DATABASE]),
        ("CPU µs/delivery: emulators", list(EMULATORS)),
        *((f"  {SHOWN.get(name, name)}", [name]) for name in EMULATORS),
        ("CPU µs/delivery: benchmark", list(OURS)),
        *((f"  {name}", [name]) for name in OURS),
    ]


def _cpu(runs: Runs, groups: list[str]) -> str:
    sums = [sum(result.cpu_us.get(group, 0.0) for group in groups) for result in runs]
    return f"{statistics.median(sums):,.0f}"
