"""Hookline's own metrics (A1, A2): requests and timed operations, noted in memory, written as lines of the log.

Nobody is called for them and nothing is waited for (B4). What an invocation noted leaves it as one line for its
requests and one for its operations; a subscription of CloudWatch Logs takes them to the function `metrics`, which
makes rows of them. Each row has its key from here, so that a line which arrives twice is one row.

A row says nothing of what was sent: no body, no key, no query string; of an error its kind alone.
"""

import json
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import wraps
from types import TracebackType
from typing import Any

from functions.domain.ids import uuid7
from functions.settings import settings
from functions.telemetry import logger

# Far below the 1 MB that CloudWatch Logs takes of an event, and the 256 KB that it took before and others still do
# (https://aws.amazon.com/about-aws/whats-new/2025/04/amazon-cloudwatch-logs-increases-log-event-size-1-mb/).
LINE_BYTES = 64_000
MOST_ROWS = 200  # of a kind in one invocation; what is more is counted as dropped
# Requests with no key that is ours: anybody may make as many as the gateway lets in, and each would be a row.
MOST_STRANGERS = 60  # of a process in a minute; what is more is counted as dropped
UNKNOWN_ROUTE = "(unknown)"
MOST_CHARACTERS = {"method": 10, "path": 500, "id": 100, "user_agent": 500, "url": 500}

Event = dict[str, Any]
Handler = Callable[[Event, Any], dict[str, Any]]
Row = tuple[Any, ...]


@dataclass
class _Notes:
    """What this invocation noted. A process runs one at a time."""

    request_id: str | None = None
    path: str = UNKNOWN_ROUTE
    project_id: str | None = None
    admin: bool = False
    rows: dict[str, list[Row]] = field(default_factory=lambda: {"requests": [], "operations": []})
    dropped: dict[str, int] = field(default_factory=lambda: {"requests": 0, "operations": 0})

    def add(self, kind: str, row: Row) -> None:
        if len(self.rows[kind]) < MOST_ROWS:
            self.rows[kind].append(row)
        else:
            self.dropped[kind] += 1


@dataclass
class _Strangers:
    """The requests of strangers in this minute of this process."""

    minute: int = -1
    noted: int = 0
    dropped: int = 0

    def has_room(self) -> bool:
        """For one more. What was dropped before this minute is told with its first."""
        minute = int(time.monotonic() // 60)
        if minute != self.minute:
            _notes.dropped["requests"] += self.dropped
            self.minute, self.noted, self.dropped = minute, 0, 0
        if self.noted < MOST_STRANGERS:
            self.noted += 1
            return True
        self.dropped += 1
        return False


_notes = _Notes()
_strangers = _Strangers()


class Operation:
    """One operation while it is under way, and its row once it has ended."""

    __slots__ = ("_at", "_began", "_counts", "_document_url", "_job_id", "_name", "_project_id", "_spent", "_type")

    def __init__(self, type: str, name: str, job_id: str | None, project_id: str | None, url: str | None) -> None:
        self._type, self._name = type, name
        self._job_id, self._project_id, self._document_url = job_id, project_id, url
        self._counts: dict[str, int] | None = None
        self._at = self._spent = 0
        self._began: int | None = None

    def count(self, **counts: int) -> None:
        """What the operation dealt with, by name: it stands in the row's `extra_metadata`."""
        self._counts = counts if self._counts is None else self._counts | counts

    def belongs_to(self, project_id: str) -> None:
        """Whose it is, where that is known only on the way."""
        self._project_id = project_id

    def pause(self) -> None:
        """What follows is not counted, until `go_on`."""
        if self._began is not None:
            self._spent += time.perf_counter_ns() - self._began
            self._began = None

    def go_on(self) -> None:
        self._began = time.perf_counter_ns()

    def __enter__(self) -> "Operation":
        self._at, self._began = time.time_ns(), time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        self.pause()
        key, ms = uuid7(self._at // 1_000_000), round(self._spent / 1_000_000, 3)
        error = None if kind is None else kind.__name__
        about = (_notes.request_id, self._job_id, _without_query(self._document_url), self._project_id)
        _notes.add("operations", (key, self._type, self._name, ms, error, *about, self._counts))


class _Off(Operation):
    """What stands for an operation where nothing is measured."""

    __slots__ = ()

    def count(self, **counts: int) -> None:
        pass

    def belongs_to(self, project_id: str) -> None:
        pass

    def pause(self) -> None:
        pass

    def go_on(self) -> None:
        pass

    def __enter__(self) -> "_Off":
        return self

    def __exit__(
        self, _kind: type[BaseException] | None, _error: BaseException | None, _at: TracebackType | None
    ) -> None:
        pass


_OFF = _Off("", "", None, None, None)


def measured(
    type: str,
    name: str,
    *,
    job_id: str | None = None,
    project_id: str | None = None,
    document_url: str | None = None,
) -> Operation:
    """`with measured("claim", "deliver.claim"):` times what is done in it; what is raised goes on its way.

    The row has the id of the request, else of the invocation, that it was done for.
    """
    if not settings().metrics:
        return _OFF
    return Operation(type, name, job_id, project_id, document_url)


def route(path: str) -> None:
    """The route of the request, such as `/v1/events/{event_id}`."""
    _notes.path = path


def project(id: str) -> None:
    """Whose request it is, where no authorizer has said so."""
    _notes.project_id = id


def requests(handler: Handler) -> Handler:
    """A handler of HTTP requests (payload format 2.0), each of which becomes a row. It names their routes."""

    @wraps(handler)
    def answering(event: Event, context: Any) -> dict[str, Any]:
        if not settings().metrics:
            return handler(event, context)
        _begin(event)
        status, at, began = 500, time.time_ns(), time.perf_counter_ns()
        try:
            answered = handler(event, context)
            status = answered["statusCode"]
            return answered
        finally:
            _note_request(event, status, at, time.perf_counter_ns() - began)

    return answering


def _begin(event: Event) -> None:
    context = event.get("requestContext") or {}
    _notes.request_id = _cut(context.get("requestId"), "id")
    found = (context.get("authorizer") or {}).get("lambda") or {}
    _notes.path, _notes.project_id = UNKNOWN_ROUTE, found.get("project_id") or None
    _notes.admin = found.get("admin") == "true"


def _note_request(event: Event, status: int, at: int, ns: int) -> None:
    if not (_notes.project_id or _notes.admin or _strangers.has_room()):
        return
    http = (event.get("requestContext") or {}).get("http") or {}
    row = (
        uuid7(at // 1_000_000),
        _cut(http.get("method"), "method"),
        _cut(_notes.path, "path"),
        status,
        round(ns / 1_000_000, 3),
        _notes.request_id,
        _cut(http.get("sourceIp"), "id"),
        _cut((event.get("headers") or {}).get("user-agent"), "user_agent"),
        _notes.project_id,
    )
    _notes.add("requests", row)


def begin(invocation_id: str | None) -> None:
    """Another invocation: nothing is noted of it yet."""
    global _notes  # noqa: PLW0603 - the process's one
    _notes = _Notes(_cut(invocation_id, "id"))


def flush(function: str) -> None:
    """Write what this invocation noted. What cannot be written is lost, and the invocation goes on."""
    try:
        for kind, rows in _notes.rows.items():
            if rows:
                sys.stdout.write(line(kind, function, rows, _notes.dropped[kind]) + "\n")
        sys.stdout.flush()
    except Exception:  # noqa: BLE001 - whatever it is, the invocation does not fail of it
        logger.exception("metrics not written")
    begin(None)


def line(kind: str, function: str, rows: list[Row], dropped: int = 0) -> str:
    """The line of the log, of LINE_BYTES at most: where there are too many rows, the last are dropped."""
    told: dict[str, Any] = {"metric": kind, "function": function, "rows": rows}
    if dropped:
        told["dropped"] = dropped
    text = json.dumps(told, separators=(",", ":"))
    if len(text) <= LINE_BYTES or len(rows) == 1:
        return text
    kept = rows[: min(len(rows) - 1, max(1, len(rows) * LINE_BYTES // len(text)))]
    return line(kind, function, kept, dropped + len(rows) - len(kept))


def _cut(value: object, what: str) -> str | None:
    return str(value)[: MOST_CHARACTERS[what]] if value else None


def _without_query(url: str | None) -> str | None:
    """What is behind `?` or `#`, and a name and password before the host, are nobody's business."""
    if url is None:
        return None
    scheme, separator, rest = url.partition("#")[0].partition("?")[0].partition("://")
    if separator:
        host, slash, path = rest.partition("/")
        url = f"{scheme}://{host.rpartition('@')[2]}{slash}{path}"
    else:
        url = scheme
    return _cut(url, "url")
