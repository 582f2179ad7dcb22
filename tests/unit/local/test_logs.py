import asyncio
import io
import json
import logging
from pathlib import Path

import pytest

from local import logs


@pytest.fixture(autouse=True)
def _own_handlers() -> object:
    """Whatever a test sets up ends with it."""
    mine, roots = logging.getLogger("local"), logging.getLogger()
    before = (mine.handlers, roots.handlers, roots.level)
    yield
    mine.handlers, roots.handlers = before[0], before[1]
    roots.setLevel(before[2])


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_a_structured_line_is_shown_as_level_message_and_fields() -> None:
    line = {
        "level": "WARNING",
        "location": "x:5",
        "message": "slow",
        "timestamp": "2026",
        "service": "api",
        "cold_start": False,
        "function_name": "api",
        "took_ms": 12,
        "webhook": {"id": "w"},
        "nothing": None,
    }
    assert logs.readable(json.dumps(line)) == (logging.WARNING, 'slow took_ms=12 webhook={"id": "w"}')


def test_an_exception_is_shown_with_its_traceback() -> None:
    line = {"level": "ERROR", "message": "failed", "exception": "Traceback:\n  File x", "exception_name": "E"}
    assert logs.readable(json.dumps(line)) == (logging.ERROR, "failed\n    Traceback:\n      File x")


def test_metrics_are_shown_without_their_envelope() -> None:
    line = {"_aws": {"Timestamp": 1}, "Delivered": [3.0], "service": "deliver"}
    assert logs.readable(json.dumps(line)) == (logging.INFO, "metrics Delivered=[3.0] service=deliver")


@pytest.mark.parametrize(
    ("line", "level", "text"),
    [
        ("plain", None, "plain"),
        (
            "[ERROR] ValueError: x\rTraceback:\r\xa0 File",
            logging.ERROR,
            "[ERROR] ValueError: x\n    Traceback:\n      File",
        ),
        ("2026 UTC [5] FATAL:  no", logging.ERROR, "2026 UTC [5] FATAL:  no"),
        ("{broken", None, "{broken"),
        ("[1, 2]", None, "[1, 2]"),
        ('{"port": 5}', None, '{"port": 5}'),
    ],
)
def test_other_lines_are_shown_as_they_are(line: str, level: int | None, text: str) -> None:
    assert logs.readable(line) == (level, text)


def entries(*, verbose: bool, terminal: io.StringIO, folder: Path) -> str:
    """The file's content after one entry of each kind; `terminal` takes what it would show."""
    file = folder / "logs" / "hookline.log"
    logs.set_up(file, verbose=verbose, terminal=terminal)
    logs.say("ready")
    logs.output_of("api")('{"level": "INFO", "message": "fine"}')
    logs.output_of("api")('{"level": "ERROR", "message": "bad"}')
    return file.read_text()


def test_the_file_has_everything_and_the_terminal_what_matters(tmp_path: Path) -> None:
    terminal = io.StringIO()
    text = entries(verbose=False, terminal=terminal, folder=tmp_path)
    assert [text.count(word) for word in ("ready", "fine", "bad")] == [1, 1, 1]
    shown = terminal.getvalue()
    assert "ready" in shown
    assert "ERROR bad" in shown
    assert "fine" not in shown


def test_verbose_shows_everything(tmp_path: Path) -> None:
    terminal = io.StringIO()
    entries(verbose=True, terminal=terminal, folder=tmp_path)
    assert "fine" in terminal.getvalue()


def test_colours_are_for_terminals_that_want_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    coloured, refused, piped = Terminal(), Terminal(), io.StringIO()
    file = entries(verbose=True, terminal=coloured, folder=tmp_path)
    entries(verbose=True, terminal=piped, folder=tmp_path)
    monkeypatch.setenv("NO_COLOR", "1")
    entries(verbose=True, terminal=refused, folder=tmp_path)
    assert "\x1b[" in coloured.getvalue()
    assert "\x1b[" not in refused.getvalue() + piped.getvalue() + file


def test_lines_of_any_length_are_passed_on_whole() -> None:
    seen: list[str] = []

    async def run() -> None:
        stream = asyncio.StreamReader()
        stream.feed_data(b"short\n" + b"x" * 300_000 + b"\nlast without an end")
        stream.feed_eof()
        await logs.pump(stream, seen.append)

    asyncio.run(run())
    assert [len(line) for line in seen] == [5, 300_000, 19]
