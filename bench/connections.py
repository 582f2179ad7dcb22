"""HTTP connections of the load generator, kept open: libcurl's multi interface in one loop."""

import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pycurl

from local.demo.api import Api, ApiError

MAX_CONNECTIONS = 64  # what is beyond waits inside libcurl, and its latency counts on
ANSWER_SECONDS = 60


class Answer(NamedTuple):
    """`at_ns` is when it was there, on the monotonic clock; `due_ns` what the request was posted with."""

    status: int
    body: bytes
    due_ns: int
    at_ns: int


class Connections:
    """To one API, as one caller. For one thread at a time, except `close`."""

    def __init__(self, api: Api) -> None:
        self._url = api.url
        self._headers = [*(f"{name}: {value}" for name, value in api.headers.items()), "Expect:"]
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_MAX_TOTAL_CONNECTIONS, MAX_CONNECTIONS)
        self._multi.setopt(pycurl.M_MAXCONNECTS, MAX_CONNECTIONS)
        self._idle: list[Any] = []
        self._busy: dict[Any, tuple[int, bytearray]] = {}
        self._closed = False

    def close(self) -> None:
        """Whoever waits for answers gets an ApiError instead: how a load ends that nobody waits for any more."""
        self._closed = True

    @property
    def in_flight(self) -> int:
        return len(self._busy)

    def post(self, path: str, body: bytes, due_ns: int) -> None:
        easy = self._idle.pop() if self._idle else self._new()
        received = bytearray()
        easy.setopt(pycurl.URL, self._url + path)
        easy.setopt(pycurl.POSTFIELDS, body)
        easy.setopt(pycurl.WRITEFUNCTION, received.extend)
        self._busy[easy] = due_ns, received
        self._multi.add_handle(easy)
        self._multi.perform()

    def answers(self, wait_seconds: float) -> Iterator[Answer]:
        """Those that are there; if there is none, it waits for one. Raises ApiError if a request failed."""
        if self._closed:
            raise ApiError("the connections were closed")
        there = list(self._finished())
        if not there:
            self._wait(wait_seconds)
            there = list(self._finished())
        return iter(there)

    def _wait(self, seconds: float) -> None:
        if self._busy:
            self._multi.select(seconds)
        else:
            time.sleep(seconds)  # select returns at once when there is nothing to wait for

    def _finished(self) -> Iterator[Answer]:
        self._multi.perform()
        left = 1
        while left:
            left, done, failed = self._multi.info_read()
            for easy, _code, message in failed:
                raise ApiError(f"{easy.getinfo(pycurl.EFFECTIVE_URL)} got no answer: {message}")
            for easy in done:
                due_ns, received = self._busy.pop(easy)
                yield Answer(easy.getinfo(pycurl.RESPONSE_CODE), bytes(received), due_ns, time.monotonic_ns())
                self._multi.remove_handle(easy)
                self._idle.append(easy)

    def _new(self) -> Any:
        easy = pycurl.Curl()
        easy.setopt(pycurl.POST, 1)
        easy.setopt(pycurl.NOSIGNAL, 1)
        easy.setopt(pycurl.PROXY, "")
        easy.setopt(pycurl.TIMEOUT, ANSWER_SECONDS)
        easy.setopt(pycurl.HTTPHEADER, self._headers)
        return easy
