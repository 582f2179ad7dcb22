"""A report as tables on a terminal."""

from collections.abc import Iterable
from typing import Any

from rich import box
from rich.console import Console
from rich.filesize import decimal
from rich.markup import escape
from rich.table import Table

MOST_NAME = 27  # of a table or a job: what is cut off is never that
WIDE = 110  # columns that the sizes of heap, indexes and TOAST have room in
STYLES = {"healthy": "green", "degraded": "yellow", "unhealthy": "red", "warning": "yellow", "critical": "red"}
NONE = "-"


def show(console: Console, state: dict[str, Any]) -> None:
    """The answer of `GET /v1/admin/database`: what is wrong first, then the figures."""
    status, made_at = state["status"], state["made_at"]
    when = f"of {made_at[:19]}Z, {state['age_seconds']} s ago" if made_at else "not made yet"
    console.print(f"[bold {STYLES[status]}]{status}[/] · report {when}", highlight=False)
    for one in state["problems"]:
        style, message = STYLES[one["severity"]], escape(one["message"])
        console.print(f"  [{style}]{one['severity']}[/] {one['code']}: {message}", highlight=False, soft_wrap=True)
    if (report := state["report"]) is None:
        return
    if report["tables"] is not None:
        console.print(_tables(report["tables"], wide=console.width >= WIDE))
    if report["partitions"] is not None:
        console.print(_partitions(report["partitions"]))
    console.print(_rest(report))
    if report["heartbeats"]:
        console.print(_runs(report["heartbeats"]))
    if report["statements"]:
        console.print(_statements(report["statements"]))


def _tables(tables: list[dict[str, Any]], *, wide: bool) -> Table:
    sizes_of = ("heap", "indexes", "toast") if wide else ("size",)
    made = _table("tables", "table", "parts", "rows", "dead", *sizes_of, "a day", "bloat", "largest")
    for one in tables:
        bloat = NONE if one["bloat_percent"] is None else f"{one['bloat_percent']:.0f} %"
        sizes = [_size(one[f"{part}_bytes"]) for part in (("heap", "index", "toast") if wide else ("total",))]
        counts = [str(one["partitions"] or ""), f"{one['rows']:,}", f"{one['dead_rows']:,}"]
        growth = _size(one["total_bytes_per_day"])
        made.add_row(one["name"], *counts, *sizes, growth, bloat, _size(one["largest_bytes"]))
    return made


def _partitions(partitions: list[dict[str, Any]]) -> Table:
    made = _table("partitions", "table", "ahead", "days ahead", "until", "in default", "past retention")
    for one in partitions:
        past, rows = str(len(one["past_retention"]) or ""), one["default_rows"]
        made.add_row(
            *(one["table"], str(one["ahead"]), f"{one['days_ahead']:.1f}", one["covered_until"][:10]),
            *(NONE if rows is None else str(rows), past),
        )
    return made


def _rest(report: dict[str, Any]) -> Table:
    """One figure a line: what could not be read is left out."""
    made = Table("figure", "", title="the rest", title_justify="left", box=box.SIMPLE, show_header=False)
    for name, value in _lines(report):
        made.add_row(name, value)
    return made


def _lines(report: dict[str, Any]) -> Iterable[tuple[str, str]]:
    if database := report["database"]:
        yield "database", f"{_size(database['bytes'])}, {_size(database['bytes_per_day'])} a day"
        yield "transaction id age", f"{database['transaction_id_age']:,}"
        hits = database["cache_hit_percent"]
        yield "found in memory", NONE if hits is None else f"{hits} %"
    if deliveries := report["deliveries"]:
        more = "" if deliveries["counted_all"] else " and more"
        yield "deliveries unfinished", f"{deliveries['unfinished']:,}{more}, {deliveries['held']:,} of them held"
        yield "most overdue", f"{deliveries['overdue_seconds']} s"
        yield "oldest unfinished", f"{deliveries['oldest_seconds']} s"
    if letters := report["dead_letters"]:
        yield "dead letters pending", f"{letters['pending']:,}{'' if letters['counted_all'] else ' and more'}"
    for one in report["archives"] or ():
        yield f"archives {one['state']}", f"{one['archives']}: {one['rows']:,} rows, {_size(one['bytes'])}"
    if sessions := report["sessions"]:
        taken = f"{sessions['connections']} of {sessions['max_connections']}"
        yield "connections", f"{taken}: {sessions['active']} active, {sessions['idle']} idle"
        yield "longest transaction", f"{sessions['longest_transaction_seconds']} s"
        wait = sessions["longest_lock_wait_seconds"]
        yield "waiting for locks", f"{sessions['waiting_for_locks']}, for {wait} s at most"
    if slots := report["slots"]:
        held = _size(slots["retained_bytes"])
        yield "replication slots", f"{slots['slots']}, {slots['inactive']} not read, {held} of WAL held back"


def _runs(heartbeats: list[dict[str, Any]]) -> Table:
    made = _table("what runs by the clock", "what", "seconds ago", "it did")
    for one in heartbeats:
        did = ", ".join(f"{name} {count}" for name, count in one["counts"].items() if count)
        told = f"[red]{escape(one['error'] or '')}[/]" if one["failing"] else escape(did)
        made.add_row(one["name"], NONE if one["age_seconds"] is None else str(one["age_seconds"]), told)
    return made


def _statements(statements: list[dict[str, Any]]) -> Table:
    made = _table("slowest statements", "statement", "mean ms", "most ms", "calls")
    for one in statements:
        times = [f"{one[name]:,.1f}" for name in ("mean_ms", "max_ms")]
        made.add_row(escape(one["query"][:100]), *times, f"{one['calls']:,}")
    return made


def _table(title: str, first: str, *figures: str) -> Table:
    made = Table(title=title, title_justify="left", box=box.SIMPLE, padding=(0, 1, 0, 0), pad_edge=False)
    made.add_column(first, no_wrap=True, min_width=MOST_NAME)
    for heading in figures:
        made.add_column(heading, justify="right", no_wrap=True)
    return made


def _size(number: int | None) -> str:
    """Of bytes; growth may be negative, or not known."""
    if number is None:
        return NONE
    return decimal(number) if number >= 0 else f"-{decimal(-number)}"
