"""Figures for people, as tables of medians and ratios, and for everything else as JSON."""

import json
import math
import statistics
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from rich import box
from rich.console import Console
from rich.table import Table

from bench.machine import Machine

NOTHING = "–"  # noqa: RUF001 - a dash, as tables have it

R = TypeVar("R")


def terminal() -> Console:
    """As wide as the terminal; wide enough for the tables where there is none."""
    return Console(width=None if sys.stdout.isatty() else 120)


@dataclass(frozen=True)
class Latency:
    """In ms; not-a-number when there were too few to say."""

    p50: float
    p95: float
    p99: float

    @classmethod
    def of(cls, values_ns: Sequence[int]) -> "Latency":
        if len(values_ns) < 2:
            return cls(math.nan, math.nan, math.nan)
        cuts = statistics.quantiles(values_ns, n=100, method="inclusive")
        return cls(cuts[49] / 1e6, cuts[94] / 1e6, cuts[98] / 1e6)


@dataclass(frozen=True)
class Row(Generic[R]):
    """A line of a table. What is `counted` is summed over the runs, and has no ratio."""

    heading: str
    figure: Callable[[R], float]
    places: int = 1
    counted: bool = False

    def cell(self, runs: Sequence[R]) -> str:
        values = [self.figure(run) for run in runs]
        return number(sum(values), 0) if self.counted else number(statistics.median(values), self.places)

    def ratio(self, runs: Sequence[R], others: Sequence[R]) -> str:
        return "" if self.counted else number(ratio(self.figure, runs, others), 2)


def ratio(figure: Callable[[R], float], runs: Sequence[R], others: Sequence[R]) -> float:
    """The median of the ratios of each run to that of the others which was made beside it."""
    pairs = [(figure(run), figure(other)) for run, other in zip(runs, others, strict=True)]
    return statistics.median(one / other if other else math.nan for one, other in pairs)


def versus(title: str, runs: Mapping[str, Sequence[R]], rows: Sequence[Row[R]]) -> Table:
    """Two columns of medians, by the name of what was measured, and the ratio of the first to the second."""
    (_, one), (_, other) = runs.items()
    table = columns(title, [*runs, "ratio"])
    for row in rows:
        table.add_row(row.heading, row.cell(one), row.cell(other), row.ratio(one, other))
    return table


def columns(title: str, names: Sequence[str], *, first: str = "", caption: str | None = None) -> Table:
    """An empty table whose first column is text and whose others are figures."""
    table = Table(
        title=title, title_justify="left", caption=caption, caption_justify="left", box=box.SIMPLE, min_width=60
    )
    table.add_column(first, no_wrap=True)
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    return table


def save(path: Path, about: Machine, options: Mapping[str, Any], results: Sequence[Any]) -> None:
    """`results` are dataclasses, one for each run."""
    whole = {"machine": asdict(about), "options": options, "results": [asdict(result) for result in results]}
    path.write_text(json.dumps(whole, indent=2, default=str) + "\n")


def number(value: float, places: int) -> str:
    return NOTHING if math.isnan(value) else f"{value:,.{places}f}"
