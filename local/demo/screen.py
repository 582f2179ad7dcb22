"""What the demo shows while it runs: a table that lives on a terminal, now and then a line elsewhere."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich import box
from rich.console import Console
from rich.live import Live
from rich.table import Table

from local.demo.score import Progress, Score, percentile

SECONDS_A_LINE = 2.0
Show = Callable[[Progress], None]


@contextmanager
def screen(console: Console) -> Iterator[Show]:
    """Yields what shows progress."""
    if not console.is_terminal:
        yield _lines(console)
        return
    with Live(console=console, auto_refresh=False) as live:
        yield lambda progress: live.update(table(progress), refresh=True)


def table(progress: Progress) -> Table:
    made = Table(
        title=f"{progress.sent} of {progress.total} events sent",
        caption="p50 and p95: from an event's request to its first arrival",
        caption_justify="left",
        box=box.SIMPLE,
        padding=(0, 1, 0, 0),  # so that it fits into 80 columns
        pad_edge=False,
    )
    made.add_column("webhook", no_wrap=True)
    for heading in ("events", "delivered", "refused", "retried", "verified", "p50 ms", "p95 ms"):
        made.add_column(heading, justify="right")
    for score in progress.scores:
        made.add_row(score.webhook.plan.endpoint, *_figures(score), *_latency(score.latencies_ms))
    made.add_section()
    sums = [str(progress.sum(figure)) for figure in _FIGURES]
    made.add_row("together", *sums, *_latency(progress.latencies_ms), style="bold")
    return made


def line(progress: Progress) -> str:
    delivered, refused, retried = (str(progress.sum(figure)) for figure in _FIGURES[1:4])
    p50, p95 = _latency(progress.latencies_ms)
    return (
        f"sent {progress.sent}/{progress.total} · delivered {delivered} · refused {refused} · retried {retried}"
        f" · p50 {p50} ms · p95 {p95} ms"
    )


_FIGURES: tuple[Callable[[Score], int], ...] = (
    lambda score: score.expected,
    lambda score: score.delivered,
    lambda score: score.refused,
    lambda score: score.retried,
    lambda score: score.verified,
)


def _figures(score: Score) -> list[str]:
    return [str(figure(score)) for figure in _FIGURES]


def _latency(values_ms: tuple[float, ...]) -> tuple[str, str]:
    p50, p95 = (percentile(values_ms, percent) for percent in (50, 95))
    return _ms(p50), _ms(p95)


def _ms(value: float | None) -> str:
    return "–" if value is None else f"{value:.0f}"  # noqa: RUF001 - a dash, as tables have it


def _lines(console: Console) -> Show:
    last = 0.0

    def show(progress: Progress) -> None:
        nonlocal last
        if progress.is_complete or time.monotonic() - last > SECONDS_A_LINE:
            last = time.monotonic()
            console.print(line(progress), soft_wrap=True, highlight=False)

    return show
