"""Sending HTTP requests many at a time: libcurl's multi interface, one loop, no threads.

The address is decided where it is dialled: libcurl asks for a socket with the very address it is about to
connect to, so a DNS answer that changed since any earlier check cannot pass (P10). Redirects and proxies are
off, the deadline is for the whole request, and a response is read no further than its cap.
"""

import socket
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any

import certifi
import pycurl

from functions.domain import allowlist
from functions.domain.outcome import Failure

IN_FLIGHT = 256  # sockets at once; a Lambda has 1,024 file descriptors
CONNECT_TIMEOUT_MS = 10_000
READ_CAP_BYTES = 64 << 10  # a longer response is cut off; its status counts all the same
KEPT_CONNECTIONS = 256
POLL_SECONDS = 0.2

STATUSES = range(100, 1000)  # three digits (RFC 9112, 4)
NOT_HTTP = Failure("invalid_response", "the answer was not HTTP")
UNSPECIFIC = Failure("request_failed", "the request failed")
FAILURES = {
    pycurl.E_COULDNT_RESOLVE_HOST: Failure("dns_error", "the host name could not be resolved"),
    pycurl.E_COULDNT_CONNECT: Failure("connection_failed", "no connection could be made"),
    pycurl.E_OPERATION_TIMEDOUT: Failure("timeout", "no complete response within the webhook's timeout"),
    pycurl.E_SSL_CONNECT_ERROR: Failure("tls_error", "the TLS handshake failed"),
    pycurl.E_PEER_FAILED_VERIFICATION: Failure("tls_error", "the TLS certificate could not be verified"),
    pycurl.E_GOT_NOTHING: Failure("connection_closed", "the connection was closed without a response"),
    pycurl.E_RECV_ERROR: Failure("connection_closed", "the connection broke before the response was complete"),
    pycurl.E_SEND_ERROR: Failure("connection_closed", "the connection broke while the request was sent"),
    pycurl.E_PARTIAL_FILE: Failure("connection_closed", "the response ended before its content-length"),
    pycurl.E_FTP_WEIRD_SERVER_REPLY: NOT_HTTP,
    pycurl.E_UNSUPPORTED_PROTOCOL: NOT_HTTP,
}
REFUSED = Failure("address_refused", "the host resolves to an address that deliveries may not connect to")
NOT_ALLOWED = Failure(
    "address_not_in_allowlist", "the host resolves to an address that is not in the webhook's ip_allowlist"
)


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


def send(
    requests: Iterable[Request | None], *, may_connect: Callable[[str, int], bool]
) -> Iterator[Response | None]:
    """Send all, IN_FLIGHT at a time, and yield each response when it is there.

    Yields None now and then while nothing came back, so that the caller can do what is due. `requests` is read
    when there is room for one: it may stop early when time runs out, and give None while what is left has to wait
    for a response.
    """
    waiting = iter(requests)
    multi = _multi()
    running: dict[pycurl.Curl, _Transfer] = {}
    try:
        while True:
            _start(multi, waiting, running, may_connect)
            if not running:
                return
            multi.perform()
            finished = list(_finished(multi, running))
            yield from finished
            if not finished:
                yield None
                multi.select(POLL_SECONDS)
    finally:
        for easy in running:
            multi.remove_handle(easy)
            easy.close()


class _Transfer:
    """One request under way."""

    def __init__(self, request: Request, may_connect: Callable[[str, int], bool]) -> None:
        self.request = request
        self.sent_at = datetime.now(UTC)
        self.body = bytearray()
        self.headers: dict[str, str] = {}
        self.refused: Failure | None = None
        self._may_connect = may_connect

    def open_socket(self, _purpose: int, address: Any) -> Any:
        family, kind, protocol, peer = address
        if not self._may_connect(peer[0], peer[1]):
            self.refused = REFUSED
        elif self.request.allowed and not allowlist.contains(self.request.allowed, peer[0]):
            self.refused = NOT_ALLOWED
        else:
            return socket.socket(family, kind, protocol)
        return pycurl.SOCKET_BAD

    def on_body(self, data: bytes) -> int | None:
        room = READ_CAP_BYTES - len(self.body)
        self.body += data[:room]
        return None if len(data) <= room else 0  # anything but the length stops the transfer

    def on_header(self, line: bytes) -> None:
        if line.startswith(b"HTTP/"):
            self.headers = {}  # an interim (1xx) response came before
            return
        name, colon, value = line.decode("latin-1").partition(":")
        if colon:
            name, value = name.strip().lower(), value.strip()
            self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value


def _start(
    multi: Any,
    waiting: Iterator[Request | None],
    running: dict[pycurl.Curl, _Transfer],
    may_connect: Callable[[str, int], bool],
) -> None:
    while len(running) < IN_FLIGHT and (request := next(waiting, None)) is not None:
        transfer = _Transfer(request, may_connect)
        easy = _easy(transfer)
        running[easy] = transfer
        multi.add_handle(easy)


def _finished(multi: Any, running: dict[pycurl.Curl, _Transfer]) -> Iterator[Response]:
    left = 1
    while left:
        left, done, failed = multi.info_read()
        for easy in done:
            yield _end(multi, easy, running.pop(easy), None)
        for easy, code, _message in failed:
            yield _end(multi, easy, running.pop(easy), code)


def _end(multi: Any, easy: Any, transfer: _Transfer, code: int | None) -> Response:
    status = easy.getinfo(pycurl.RESPONSE_CODE)
    response = Response(
        request=transfer.request,
        sent_at=transfer.sent_at,
        status=status if status in STATUSES else None,
        headers=transfer.headers,
        body=bytes(transfer.body),
        time_ms=easy.getinfo(pycurl.TOTAL_TIME_T) // 1000,
        remote_address=easy.getinfo(pycurl.PRIMARY_IP) or None,
        failure=_failure(transfer, code) or (None if status in STATUSES else NOT_HTTP),
    )
    multi.remove_handle(easy)
    _spare.append(easy)
    return response


def _failure(transfer: _Transfer, code: int | None) -> Failure | None:
    if code is None or (code == pycurl.E_WRITE_ERROR and len(transfer.body) >= READ_CAP_BYTES):
        return None
    if transfer.refused and code == pycurl.E_COULDNT_CONNECT:
        return transfer.refused
    return FAILURES.get(code, Failure(UNSPECIFIC.code, f"{UNSPECIFIC.message} (libcurl {code})"))


_spare: list[Any] = []  # handles are made once and used again; at most IN_FLIGHT of them


def _easy(transfer: _Transfer) -> Any:
    easy = _spare.pop() if _spare else _new_easy()
    request = transfer.request
    easy.setopt(pycurl.URL, request.url)
    easy.setopt(pycurl.POSTFIELDS, request.body)
    easy.setopt(pycurl.HTTPHEADER, [*(f"{name}: {value}" for name, value in request.headers.items()), "Expect:"])
    easy.setopt(pycurl.TIMEOUT_MS, request.timeout_ms)
    easy.setopt(pycurl.OPENSOCKETFUNCTION, transfer.open_socket)
    easy.setopt(pycurl.WRITEFUNCTION, transfer.on_body)
    easy.setopt(pycurl.HEADERFUNCTION, transfer.on_header)
    # A connection kept alive was checked for whoever opened it: one with networks of its own opens its own, and
    # leaves none behind. Set either way, since handles are used again.
    easy.setopt(pycurl.FRESH_CONNECT, bool(request.allowed))
    easy.setopt(pycurl.FORBID_REUSE, bool(request.allowed))
    return easy


def _new_easy() -> Any:
    easy = pycurl.Curl()
    easy.setopt(pycurl.POST, 1)
    easy.setopt(pycurl.NOSIGNAL, 1)
    easy.setopt(pycurl.CONNECTTIMEOUT_MS, CONNECT_TIMEOUT_MS)
    easy.setopt(pycurl.FOLLOWLOCATION, 0)
    easy.setopt(pycurl.PROXY, "")  # whatever the environment says
    easy.setopt(pycurl.PROTOCOLS, pycurl.PROTO_HTTP | pycurl.PROTO_HTTPS)
    easy.setopt(pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_1_1)
    easy.setopt(pycurl.SSLVERSION, pycurl.SSLVERSION_TLSv1_2)
    easy.setopt(pycurl.CAINFO, certifi.where())
    return easy


@cache
def _multi() -> Any:
    """One for the life of the process: connections stay open from one invocation to the next."""
    multi = pycurl.CurlMulti()
    multi.setopt(pycurl.M_MAXCONNECTS, KEPT_CONNECTIONS)
    return multi
