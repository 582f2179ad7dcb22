"""Every process's output in one file, and what matters of it on the terminal, one colour a source."""

import asyncio
import json
import logging
import logging.handlers
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TextIO

Output = Callable[[str], None]
"""Takes one line of a process's output, without its end."""

FILE_BYTES = 20_000_000
PAUSE_SECONDS = 0.01  # lines come before the answer of their invocation, which is not to wait for them
LIFECYCLE = "hookline"  # the supervisor's own source: always shown
COLOURS = (36, 33, 35, 32, 34, 96, 93, 95, 92, 94)  # of ANSI, for sources in order of appearance
LEVEL_COLOURS = {logging.WARNING: 33, logging.ERROR: 31, logging.CRITICAL: 31}

# Powertools puts these in every line; on one machine they say nothing that the source does not.
UNSAID = {
    *("level", "message", "timestamp", "location", "service", "cold_start", "sampling_rate", "stack_trace"),
    *("function_name", "function_arn", "function_memory_size", "function_request_id", "xray_trace_id"),
    *("exception", "exception_name"),
}
_root = logging.getLogger("local")


def set_up(file: Path, *, verbose: bool, terminal: TextIO = sys.stderr) -> None:
    """Start logging. The file gets everything; the terminal warnings, errors and lifecycle, or all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    to_file = logging.handlers.RotatingFileHandler(file, maxBytes=FILE_BYTES, backupCount=1, encoding="utf-8")
    to_file.setFormatter(_Lines(coloured=False))
    to_terminal = logging.StreamHandler(terminal)
    to_terminal.setFormatter(_Lines(coloured=_wants_colour(terminal)))
    if not verbose:
        to_terminal.addFilter(lambda record: record.name == LIFECYCLE or record.levelno >= logging.WARNING)
    _root.handlers = [to_file, to_terminal]
    _root.propagate = False
    logging.basicConfig(handlers=_root.handlers, level=logging.WARNING, force=True)  # of libraries


def log(source: str, level: int, message: str) -> None:
    """One entry, which may have several lines."""
    if _root.handlers:
        _root.handle(logging.LogRecord(source, level, "", 0, message, None, None))


def say(message: str, level: int = logging.INFO) -> None:
    """A line of the supervisor itself."""
    log(LIFECYCLE, level, message)


def output_of(source: str, *, level: int = logging.INFO) -> Output:
    """Where the lines of one process go; `level` is for lines that state none."""

    def take(line: str) -> None:
        said, text = readable(line)
        log(source, level if said is None else said, text)

    return take


async def pump(stream: asyncio.StreamReader, output: Output) -> None:
    """Pass lines on until the stream ends; a line may be of any length."""
    rest = b""
    while chunk := await stream.read(65_536):
        await asyncio.sleep(PAUSE_SECONDS)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            output(line.decode(errors="replace"))
    if rest:
        output(rest.decode(errors="replace"))


def readable(line: str) -> tuple[int | None, str]:
    """A structured line of Powertools as a person wants it: level, and the message with its fields."""
    if line.startswith("{"):
        try:
            return _structured(json.loads(line))
        except (ValueError, AttributeError):
            return None, line
    # The runtime client joins the lines of a traceback with carriage returns.
    text = line.rstrip("\r").replace("\r", "\n    ").replace("\xa0", " ")
    return _level_in(text), text


def _structured(entry: dict[str, Any]) -> tuple[int | None, str]:
    if "_aws" in entry:
        figures = {name: value for name, value in entry.items() if name != "_aws"}
        return logging.INFO, f"metrics {_fields(figures)}"
    if "message" not in entry:
        return None, json.dumps(entry)
    level = logging.getLevelNamesMapping().get(str(entry.get("level", "INFO")), logging.INFO)
    fields = _fields({name: value for name, value in entry.items() if name not in UNSAID})
    text = " ".join(part for part in (_text(entry["message"]), fields) if part)
    if "exception" in entry:
        text += "\n" + str(entry["exception"])
    return level, text.replace("\n", "\n    ")


def _fields(fields: dict[str, Any]) -> str:
    return " ".join(f"{name}={_text(value)}" for name, value in fields.items() if value not in (None, ""))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _level_in(text: str) -> int | None:
    """Lines of awslambdaric ([ERROR] …), of Postgres (… FATAL:  …) and of Python's own tracebacks."""
    for mark, level in (
        ("[ERROR]", logging.ERROR),
        ("[WARNING]", logging.WARNING),
        ("ERROR:  ", logging.ERROR),
        ("FATAL:  ", logging.ERROR),
        ("PANIC:  ", logging.ERROR),
        ("WARNING:  ", logging.WARNING),
        ("Task timed out", logging.ERROR),
        ("Traceback (most recent call last)", logging.ERROR),
    ):
        if mark in text:
            return level
    return None


def _wants_colour(terminal: TextIO) -> bool:
    """https://no-color.org"""
    return terminal.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


class _Lines(logging.Formatter):
    def __init__(self, *, coloured: bool) -> None:
        super().__init__()
        self._coloured = coloured
        self._colours: dict[str, int] = {}

    def format(self, record: logging.LogRecord) -> str:
        now = time.strftime("%H:%M:%S", time.localtime(record.created))
        source = self._paint(f"{record.name:<10}", self._colour(record.name))
        level = "" if record.levelno == logging.INFO else f"{record.levelname} "
        level = self._paint(level, LEVEL_COLOURS.get(record.levelno))
        return f"{now}.{int(record.msecs):03d} {source} {level}{record.getMessage()}"

    def _colour(self, source: str) -> int:
        return self._colours.setdefault(source, COLOURS[len(self._colours) % len(COLOURS)])

    def _paint(self, text: str, colour: int | None) -> str:
        return f"\x1b[{colour}m{text}\x1b[0m" if self._coloured and colour and text else text
