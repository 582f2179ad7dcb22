"""Sending HTTP requests many at a time: libcurl's multi interface, one loop, no threads.

The address is decided where it is dialled: libcurl asks for a socket with the very address it is about to
connect to, so a DNS answer that changed since any earlier check cannot pass (P10). Before the first byte of a
request it is decided once more, for the connection that is really used. Redirects and proxies are off, the
deadline is for the whole request, and a response is read no further than its cap. docs/egress.md says it whole.
"""

import os
import socket
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, Protocol

import certifi
import pycurl

from functions.adapters import send_failures as failures
from functions.domain import allowlist
from functions.domain.outcome import Failure
from functions.telemetry import logger

IN_FLIGHT = 256  # sockets at once; a Lambda has 1,024 file descriptors
CONNECT_TIMEOUT_MS = 10_000
READ_CAP_BYTES = 64 << 10  # a longer response is cut off; its status counts all the same
KEPT_CONNECTIONS = 256
POLL_SECONDS = 0.05
# libcurl looks at every request under way whenever it is asked to go on. While there are many, answers may come in
# for a millisecond first, so that it finds several.
FEW, GATHER_SECONDS = 32, 0.001

HEADERS_CAP_BYTES = 64 << 10  # of everything that is no body; more is a failure
KEPT_HEADERS_BYTES = 16 << 10  # as evidence; of what is recorded twice as much
DIALS = 3  # addresses of a family that one request tries: a name may have thousands, each of which is a socket
CONNECTION_SECONDS = 300  # then the next request resolves the name anew, however busy the connection is
# libcurl resolves with 20 threads, and glibc would let a name whose servers are silent have one of them for 10 s.
RESOLVER_OPTIONS = "timeout:2 attempts:2"
DISALLOW_USERNAME_IN_URL = 278  # CURLOPT_DISALLOW_USERNAME_IN_URL; pycurl has no name for it

STATUSES = range(100, 1000)  # three digits (RFC 9112, 4)


@dataclass(frozen=True)
class Request:
    """One POST. `reference` is the caller's own; `timeout_ms` is for everything, name look-up included.

    Where `allowed` names networks, the address connected to is in one of them.
    """

    reference: Any
    url: str
    headers: dict[str, str]
    body: bytes
    timeout_ms: int
    allowed: tuple[allowlist.Network, ...] = ()


@dataclass
class Response:
    """What came back: a status or a failure, and the evidence. `body` holds at most READ_CAP_BYTES."""

    request: Request
    sent_at: datetime
    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""
    time_ms: int = 0
    remote_address: str | None = None
    failure: Failure | None = None


class Errand(Protocol):
    """A request of the caller's own, made beside the others: it sets `easy` up and hears of its end."""

    easy: Any

    def end(self, code: int | None) -> None:
        """`code` is libcurl's, where it failed."""


def send(
    requests: Iterable["Request | Errand | None"], *, may_connect: Callable[[str, int], bool]
) -> Iterator[list["Response | Errand"]]:
    """Send all, IN_FLIGHT at a time, and yield what has come back, whenever something has.

    Yields an empty list now and then while nothing came back, so that the caller can do what is due. `requests` is
    read when there is room for one: it may give None while what is left has to wait, for a response or for what
    the caller makes of one. The end is when it gives nothing and nothing is under way.
    """
    waiting = iter(requests)
    multi = _multi()
    running: dict[pycurl.Curl, _Transfer | Errand] = {}
    try:
        while True:
            _start(multi, waiting, running, may_connect)
            if not running:
                return
            multi.perform()
            finished = list(_finished(multi, running))
            yield finished
            if not finished:
                _wait(multi)
                if len(running) > FEW:
                    time.sleep(GATHER_SECONDS)
    finally:
        for easy, request in running.items():
            multi.remove_handle(easy)
            if isinstance(request, _Transfer):  # an errand's handle is its owner's
                easy.close()


def _wait(multi: Any) -> None:
    """Until a socket has something, or libcurl wants to go on by itself: `select` alone does not know when."""
    due_ms = multi.timeout()
    multi.select(POLL_SECONDS if due_ms < 0 else min(POLL_SECONDS, due_ms / 1000))


class _Transfer:
    """One request under way."""

    def __init__(self, request: Request, may_connect: Callable[[str, int], bool]) -> None:
        self.request = request
        self.sent_at = datetime.now(UTC)
        self.body = bytearray()
        self.headers: dict[str, str] = {}
        self.refused: Failure | None = None
        self.dialled: Counter[int] = Counter()  # sockets by address family
        self.has_head = False  # whether the status line and headers were all there
        self.too_large = False
        self._header_bytes = 0
        self._may_connect = may_connect

    def open_socket(self, _purpose: int, address: Any) -> Any:
        """Libcurl asks this for each address that it is about to dial."""
        family, kind, protocol, peer = address
        if self._is_refused(peer[0], peer[1]) or self.dialled[family] >= DIALS:
            return pycurl.SOCKET_BAD
        self.dialled[family] += 1
        try:
            return socket.socket(family, kind, protocol)
        except OSError as error:
            logger.error("no socket", error=str(error))
            return pycurl.SOCKET_BAD

    def on_connected(self, address: str, _local: str, port: int, _local_port: int) -> int:
        """Libcurl asks this before it sends the request, be the connection a new one or one that was kept."""
        return int(pycurl.PREREQFUNC_ABORT if self._is_refused(address, port) else pycurl.PREREQFUNC_OK)

    def on_body(self, data: bytes) -> int | None:
        room = READ_CAP_BYTES - len(self.body)
        self.body += data[:room]
        return None if len(data) <= room else 0  # anything but the length stops the transfer

    def on_header(self, line: bytes) -> int | None:
        """Interim (1xx) responses and trailers count for the cap; only the final response's headers are kept."""
        self._header_bytes += len(line)
        if self._header_bytes > HEADERS_CAP_BYTES:
            self.too_large = True
            return 0
        if line.startswith(b"HTTP/"):
            self.headers, self.has_head = {}, False
        elif line in (b"\r\n", b"\n"):
            self.has_head = True
        elif not self.has_head and self._header_bytes <= KEPT_HEADERS_BYTES:
            self._keep(line)
        return None

    def _keep(self, line: bytes) -> None:
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value

    def _is_refused(self, address: str, port: int) -> bool:
        if not self._may_connect(address, port):
            self.refused = failures.REFUSED
        elif self.request.allowed and not allowlist.contains(self.request.allowed, address):
            self.refused = failures.NOT_ALLOWED
        else:
            return False
        return True


def _start(
    multi: Any,
    waiting: Iterator[Request | Errand | None],
    running: dict[pycurl.Curl, _Transfer | Errand],
    may_connect: Callable[[str, int], bool],
) -> None:
    while len(running) < IN_FLIGHT and (request := next(waiting, None)) is not None:
        if isinstance(request, Request):
            transfer = _Transfer(request, may_connect)
            easy = _easy(transfer)
            running[easy] = transfer
        else:
            easy = request.easy
            running[easy] = request
        multi.add_handle(easy)


def _finished(multi: Any, running: dict[pycurl.Curl, _Transfer | Errand]) -> Iterator[Response | Errand]:
    left = 1
    while left:
        left, done, failed = multi.info_read()
        for easy in done:
            yield _ended(multi, easy, running.pop(easy), None)
        for easy, code, _message in failed:
            yield _ended(multi, easy, running.pop(easy), code)


def _ended(multi: Any, easy: Any, request: _Transfer | Errand, code: int | None) -> Response | Errand:
    if isinstance(request, _Transfer):
        return _end(multi, easy, request, code)
    multi.remove_handle(easy)
    request.end(code)
    return request


def _end(multi: Any, easy: Any, transfer: _Transfer, code: int | None) -> Response:
    answered = easy.getinfo(pycurl.RESPONSE_CODE)
    status = answered if transfer.has_head and answered in STATUSES else None
    response = Response(
        request=transfer.request,
        sent_at=transfer.sent_at,
        status=status,
        headers=transfer.headers,
        body=bytes(transfer.body),
        time_ms=easy.getinfo(pycurl.TOTAL_TIME_T) // 1000,
        remote_address=easy.getinfo(pycurl.PRIMARY_IP) or None,
        failure=_failure(easy, transfer, code),
    )
    multi.remove_handle(easy)
    _spare.append(easy)
    return response


def _failure(easy: Any, transfer: _Transfer, code: int | None) -> Failure | None:
    if transfer.too_large:
        return failures.TOO_LARGE
    if code is None or (code == pycurl.E_WRITE_ERROR and len(transfer.body) >= READ_CAP_BYTES):
        return None if transfer.has_head else failures.NOT_COMPLETE
    if transfer.refused and (code == pycurl.E_ABORTED_BY_CALLBACK or not transfer.dialled):
        return transfer.refused
    return failures.failure(easy, code)


_spare: list[Any] = []  # handles are made once and used again; at most IN_FLIGHT of them


def _easy(transfer: _Transfer) -> Any:
    easy = _spare.pop() if _spare else _new_easy()
    request = transfer.request
    headers = [f"{name}: {value}" for name, value in request.headers.items()]
    if _is_sendable(request.url, headers):
        easy.setopt(pycurl.URL, request.url)
        easy.setopt(pycurl.HTTPHEADER, [*headers, "Expect:"])
    else:  # it ends at once, like any other transfer
        transfer.refused = failures.UNSENDABLE
        easy.setopt(pycurl.URL, "")
    easy.setopt(pycurl.POSTFIELDS, request.body)
    easy.setopt(pycurl.TIMEOUT_MS, request.timeout_ms)
    easy.setopt(pycurl.OPENSOCKETFUNCTION, transfer.open_socket)
    easy.setopt(pycurl.PREREQFUNCTION, transfer.on_connected)
    easy.setopt(pycurl.WRITEFUNCTION, transfer.on_body)
    easy.setopt(pycurl.HEADERFUNCTION, transfer.on_header)
    # A connection kept alive was checked for whoever opened it: one with networks of its own opens its own, and
    # leaves none behind. Set either way, since handles are used again.
    easy.setopt(pycurl.FRESH_CONNECT, bool(request.allowed))
    easy.setopt(pycurl.FORBID_REUSE, bool(request.allowed))
    return easy


def _is_sendable(url: str, headers: list[str]) -> bool:
    """Nothing that could end a line, and so begin a header or a request of its own. Tabs may be in headers."""
    said = "".join(headers).replace("\t", "") + url
    return said.isascii() and said.isprintable() and " " not in url


def _new_easy() -> Any:
    easy = pycurl.Curl()
    easy.setopt(pycurl.POST, 1)
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
    easy.setopt(pycurl.FOLLOWLOCATION, 0)
    easy.setopt(pycurl.PROXY, "")  # whatever the environment says
    easy.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    easy.setopt(DISALLOW_USERNAME_IN_URL, 1)
    easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    easy.setopt(pycurl.HTTP09_ALLOWED, 0)
    easy.setopt(pycurl.HTTP_CONTENT_DECODING, 0)  # what is not unpacked cannot be a bomb
    easy.setopt(pycurl.MAXLIFETIME_CONN, CONNECTION_SECONDS)
    easy.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    easy.setopt(pycurl.CAINFO, certifi.where())
    return easy


@cache
def _multi() -> Any:
    """One for the life of the process: it keeps connections, TLS sessions, and the CA bundle parsed.

    Reading the bundle for every new connection would cost 6.5 ms of CPU instead of 1.2 (measured, TLS 1.3).
    """
    os.environ.setdefault("RES_OPTIONS", RESOLVER_OPTIONS)
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
    return multi
