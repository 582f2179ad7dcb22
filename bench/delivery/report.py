"""The figures: a table for people, JSON for everything else."""

import json
import statistics
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from bench.delivery.cpu import DATABASE, EMULATORS, OURS
from bench.delivery.measure import Result
from bench.machine import Machine

Runs = list[Result]
"""The repetitions of one scenario."""


def table(results: list[Runs], *, fanout: int) -> Table:
    """A column a scenario; medians where a scenario was repeated, except what is counted."""
    verify_us = statistics.median(result.verify_us for runs in results for result in runs)
    made = Table(
        title=f"every event goes to {fanout} webhooks",
        title_justify="left",
        caption=f"The receiver checks every signature with standardwebhooks: {verify_us:.0f} µs each.",
        caption_justify="left",
        box=box.SIMPLE,
    )
    made.add_column("", no_wrap=True)
    for runs in results:
        made.add_column(runs[0].name, justify="right", no_wrap=True)
    for heading, cell in (*_LOAD, *_LATENCY):
        made.add_row(heading, *(cell(runs) for runs in results))
    made.add_section()
    for heading, groups in _groups(results):
        made.add_row(heading, *(_cpu(runs, groups) for runs in results))
    made.add_section()
    for heading, cell in _FAULTS:
        made.add_row(heading, *(cell(runs) for runs in results))
    return made


def save(path: Path, machine: Machine, options: dict[str, Any], results: list[Runs]) -> None:
    whole = {
        "machine": asdict(machine),
        "options": options,
        "results": [asdict(result) for runs in results for result in runs],
    }
    path.write_text(json.dumps(whole, indent=2, default=str) + "\n")


def is_flawless(results: list[Runs]) -> bool:
    """Nothing lost, nothing unrecorded, every signature good. Delivery is at least once: duplicates may be."""
    return not any(
        result.lost or result.bad_signatures or result.record.unrecorded or result.record.attempts_missing
        for runs in results
        for result in runs
    )


def _median(figure: Callable[[Result], float], places: int = 1) -> Callable[[Runs], str]:
    return lambda runs: f"{statistics.median(figure(result) for result in runs):,.{places}f}"


def _sum(figure: Callable[[Result], int]) -> Callable[[Runs], str]:
    return lambda runs: f"{sum(figure(result) for result in runs):,}"


_LOAD = (
    ("events", _sum(lambda result: result.events)),
    ("deliveries", _sum(lambda result: result.deliveries)),
    ("deliveries/s", _median(lambda result: result.deliveries_per_second, 0)),
)
_LATENCY = (
    ("ingest p50, ms a request", _median(lambda result: result.ingest.p50)),
    ("ingest p95", _median(lambda result: result.ingest.p95)),
    ("event to receipt p50, ms", _median(lambda result: result.receipt.p50)),
    ("event to receipt p95", _median(lambda result: result.receipt.p95)),
)
_FAULTS = (
    ("duplicates", _sum(lambda result: result.duplicates)),
    ("retried", _sum(lambda result: result.record.retried)),
    ("lost", _sum(lambda result: result.lost)),
    ("not recorded as delivered", _sum(lambda result: result.record.unrecorded)),
    ("attempts missing (of 50 read)", _sum(lambda result: result.record.attempts_missing)),
    ("bad signatures", _sum(lambda result: result.bad_signatures)),
)


_SHOWN = {"sqs": "SQS", "aws": "KMS and secrets", "supervisor": "API Gateway, mappings"}


def _groups(results: list[Runs]) -> list[tuple[str, list[str]]]:
    """Rows of CPU: the functions one by one and together, what stands for AWS, and the benchmark itself."""
    known = list(dict.fromkeys(group for runs in results for result in runs for group in result.cpu_us))
    functions = [group for group in known if group not in (DATABASE, *EMULATORS, *OURS)]
    functions = [name for name in functions if any(result.cpu_us.get(name) for runs in results for result in runs)]
    return [
        ("CPU µs/delivery: functions", functions),
        *((f"  {name}", [name]) for name in functions),
        ("CPU µs/delivery: Postgres", [DATABASE]),
        ("CPU µs/delivery: emulators", list(EMULATORS)),
        *((f"  {_SHOWN.get(name, name)}", [name]) for name in EMULATORS),
        ("CPU µs/delivery: benchmark", list(OURS)),
        *((f"  {name}", [name]) for name in OURS),
    ]


def _cpu(runs: Runs, groups: list[str]) -> str:
    sums = [sum(result.cpu_us.get(group, 0.0) for group in groups) for result in runs]
    return f"{statistics.median(sums):,.0f}"
