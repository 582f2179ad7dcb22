"""How long statements take, by name (E1): each is timed where SQLAlchemy hands it to the driver.

Not by SQLAlchemy's events, which cost more than all the rest of it (docs/statements.md). A slow statement is
logged at once, by its name: never with its parameters, or with what it brought. The others are counted, and leave
the process as one line of the log a minute.
"""

import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from typing import Any, TypeVar

from sqlalchemy.sql.expression import ReleaseSavepointClause, RollbackToSavepointClause, SavepointClause

from functions.adapters import measuring
from functions.adapters.durations import Durations
from functions.domain.ids import uuid7
from functions.domain.log_buckets import middle
from functions.settings import settings
from functions.statements import COMMIT, CONNECT, NAME, SAVEPOINT, UNNAMED
from functions.telemetry import logger

# A line is about 3 KB: of a process that is busy all the time 130 MB a month, which is 7 cents.
SAID_AFTER_SECONDS = 60
# Of one statement between two such lines: when all of them are slow, a line for each would cost more than it says.
SLOW_LOGGED = 5
NAMESPACE = "Hookline"
EMF_VALUES = 100  # of one metric in one line: CloudWatch refuses more (embedded metric format, "Target members")

Event = TypeVar("Event")
Context = TypeVar("Context")
Result = TypeVar("Result")


@dataclass
class _Window:
    """What this process did since it last said so. It does one thing at a time, on one connection."""

    durations: dict[str, Durations] = field(default_factory=dict)
    began_ms: int = 0  # when the first of them was, since the epoch
    failed: str = UNNAMED  # the statement that failed last
    said_at: float | None = None

    def of(self, name: str) -> Durations:
        found = self.durations.get(name)
        if found is None:
            if not self.durations:
                self.began_ms = time.time_ns() // 1_000_000
            found = self.durations[name] = Durations()
        return found

    def is_over(self) -> bool:
        if not self.durations:
            return False
        return self.said_at is None or time.monotonic() - self.said_at >= SAID_AFTER_SECONDS


_window = _Window()


def watch(dialect: Any) -> None:
    """Time all that goes through this dialect of SQLAlchemy: statements, commits and connects."""
    slow_us = settings().slow_statement_ms * 1000
    commit, connect = dialect.do_commit, dialect.connect
    dialect.do_execute = _by_name(dialect.do_execute, slow_us)
    dialect.do_executemany = _by_name(dialect.do_executemany, slow_us)
    dialect.do_commit = lambda connection: _timed(COMMIT, slow_us, commit, connection)
    dialect.connect = lambda *where, **how: _timed(CONNECT, slow_us, lambda _: connect(*where, **how), None)
    dialect.do_savepoint = _savepoint(SavepointClause)
    dialect.do_release_savepoint = _savepoint(ReleaseSavepointClause)
    dialect.do_rollback_to_savepoint = _savepoint(RollbackToSavepointClause)


def _by_name(execute: Callable[..., None], slow_us: int) -> Callable[[Any, str, Any, Any], None]:
    def timed(cursor: Any, statement: str, parameters: Any, context: Any) -> None:
        name = context.execution_options.get(NAME, UNNAMED)
        _timed(name, slow_us, execute, cursor, statement, parameters, context)

    return timed


def _savepoint(clause: Callable[[str], Any]) -> Callable[[Any, str], None]:
    return lambda connection, name: connection.execute(clause(name), execution_options={NAME: SAVEPOINT})


def _timed(name: str, slow_us: int, work: Callable[..., Result], on: Any, *arguments: Any) -> Result:
    began = time.perf_counter_ns()
    try:
        return work(on, *arguments)
    except BaseException:
        _window.failed = name
        _window.of(name).errors += 1
        raise
    finally:
        us = (time.perf_counter_ns() - began) // 1000
        durations = _window.of(name)
        durations.add(us)
        if us >= slow_us:
            _note_slow(name, us, durations, on)


def _note_slow(name: str, us: int, durations: Durations, on: Any) -> None:
    durations.slow += 1
    if durations.slow <= SLOW_LOGGED:
        rows = getattr(on, "rowcount", -1)  # of a cursor; -1 where the driver does not know
        logger.warning("slow statement", statement=name, ms=us / 1000, rows=None if rows < 0 else rows)


def note_retry() -> None:
    """What failed last is tried again."""
    _window.of(_window.failed).retries += 1


def reported(handler: Callable[[Event, Context], Result]) -> Callable[[Event, Context], Result]:
    """A handler whose process says at the end of an invocation how its statements fared, at most once a minute.

    What it noted of requests and operations leaves it each time (adapters/measuring.py).

    The first invocation always does: a function that runs once a day has no other. What a process did since its
    last line, less than a minute, is not said when Lambda takes it away.
    """
    function = handler.__module__.split(".")[1]

    @wraps(handler)
    def invocation(event: Event, context: Context) -> Result:
        measuring.begin(getattr(context, "aws_request_id", None))
        try:
            return handler(event, context)
        finally:
            measuring.flush(function)
            if _window.is_over():
                say(function)

    return invocation


def say(function: str) -> None:
    """Write the line, and begin anew."""
    print(json.dumps(line(function, _window.durations, _window.began_ms), separators=(",", ":")), flush=True)
    _window.durations = {}
    _window.said_at = time.monotonic()


def line(function: str, durations: dict[str, Durations], began_ms: int) -> dict[str, Any]:
    """What the log gets: figures by name; and of all together those that CloudWatch makes metrics of.

    The latter in its embedded metric format, so that no call is made for them. By name they would be 180 metrics
    and more than 50 $ a month.
    """
    together = Durations()
    for one in durations.values():
        together.merge(one)
    counts = {
        "SlowStatements": together.slow,
        "StatementErrors": together.errors,
        "StatementRetries": together.retries,
    }
    metrics = [{"Name": "StatementTime", "Unit": "Milliseconds"}, *({"Name": n, "Unit": "Count"} for n in counts)]
    directive = {"Namespace": NAMESPACE, "Dimensions": [["stage", "function"]], "Metrics": metrics}
    return {
        "metric": "statements",
        "stage": os.environ.get("STAGE", "local"),
        "function": function,
        **counts,
        "StatementTime": _values(together),
        "statements": [_figures(name, of, began_ms) for name, of in sorted(durations.items())],
        "_aws": {"Timestamp": time.time_ns() // 1_000_000, "CloudWatchMetrics": [directive]},
    }


def _figures(name: str, of: Durations, began_ms: int) -> dict[str, Any]:
    """`histogram` is [bucket, count, bucket, count, …]: by it the lines of many processes are added up.

    `id` is the key that the row of these figures gets (functions/metrics), which is made here so that it is one.
    """
    return {
        **({"id": uuid7(began_ms)} if settings().metrics else {}),
        "name": name,
        "count": sum(of.counts),
        "errors": of.errors,
        "retries": of.retries,
        "slow": of.slow,
        "total_ms": of.total_us / 1000,
        **{f"p{percent}_ms": round(of.quantile(percent / 100) / 1000, 3) for percent in (50, 95, 99)},
        "max_ms": of.longest_us / 1000,
        "histogram": [number for pair in of.buckets() for number in pair],
    }


def _values(of: Durations) -> dict[str, Any]:
    """In ms, and how often each, as AWS's own exporter of OpenTelemetry writes histograms in this format.

    While there are too many, neighbours go together, at the longer's value.
    """
    pairs = [(middle(bucket) / 1000, count) for bucket, count in of.buckets()]
    while len(pairs) > EMF_VALUES:
        twos = [pairs[n : n + 2] for n in range(0, len(pairs), 2)]
        pairs = [(two[-1][0], sum(count for _, count in two)) for two in twos]
    return {
        "Values": [round(ms, 3) for ms, _ in pairs],
        "Counts": [count for _, count in pairs],
        "Min": pairs[0][0] if pairs else 0,
        "Max": of.longest_us / 1000,
        "Count": sum(of.counts),
        "Sum": of.total_us / 1000,
    }
