"""HTTP by `requests` to a host that a customer named: to allowed addresses alone (P10), and over when time is up.

A name is resolved once, and what was checked is what is connected to: a second answer of its name server cannot
lead elsewhere. There is no session, only its transport: a session would read the whole body of a redirect that it
does not follow, keep the cookies of one customer's host for another's, and ask the environment for proxies and
credentials. `requests` waits for the next byte as long as its timeout says, however many are to come; here every
wait ends with the call.
"""

import socket
import ssl
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import cache
from typing import Any

import certifi
import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import NameResolutionError, NewConnectionError

from functions.domain import egress

CONNECT_SECONDS = 10.0  # for the connection and for its handshake, each
CHUNK_BYTES = 64 << 10
REFUSAL_BYTES = 64 << 10  # of an answer that is no success: it is read for what it says, not for a document

_ends_at: ContextVar[float] = ContextVar("ends_at")  # by the monotonic clock: of the call that is under way


class RefusedAddressError(Exception):
    """The host resolves to addresses that this deployment may not connect to."""


class TimeIsUpError(Exception):
    """There was no whole answer in the time given."""


class BrokenConnectionError(Exception):
    """There was no answer: the host is not known, does not listen, or the connection broke."""


class TooLargeError(Exception):
    """The answer is larger than it may be."""


class Answer:
    """What came back: whole, or the beginning of what is no success."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers  # by their names in lower case
        self.body = body


def post(url: str, *, json: Any, headers: dict[str, str], ends_at: float, most_bytes: int) -> Answer:
    """The answer, before `ends_at` by the monotonic clock; whatever its status.

    Raises RefusedAddressError, TimeIsUpError, BrokenConnectionError or TooLargeError, and nothing else.
    """
    token = _ends_at.set(ends_at)
    # Not compressed, so that what is read is no more than what comes.
    asked = {"accept": "*/*", **headers, "accept-encoding": "identity"}
    try:
        return _read(url, json, asked, most_bytes)
    except (RefusedAddressError, TooLargeError):
        raise
    except Exception as error:  # a hostile header makes Python's own parsers raise ValueError, TypeError and more
        if time.monotonic() >= ends_at:
            raise TimeIsUpError("no whole answer in time") from error
        raise BrokenConnectionError(_said(error)) from error
    finally:
        _ends_at.reset(token)


def _read(url: str, json: Any, headers: dict[str, str], most_bytes: int) -> Answer:
    timeout = (min(CONNECT_SECONDS, _left()), _left())
    request = requests.Request("POST", url, json=json, headers=headers).prepare()
    with _transport().send(request, stream=True, timeout=timeout) as response:
        body = bytearray()
        while piece := response.raw.read1(CHUNK_BYTES, decode_content=False):
            body += piece
            if response.status_code >= 300:
                if len(body) >= REFUSAL_BYTES:
                    break
            elif len(body) > most_bytes:
                raise TooLargeError(f"more than {most_bytes} bytes")
        return Answer(response.status_code, {k.lower(): v for k, v in response.headers.items()}, bytes(body))


@cache
def _transport() -> "_Adapter":
    """One for the life of the process, with its connections and with the certificates that it trusts: as it comes,
    all of those are read again for every connection, 13 ms of CPU each.
    """
    return _Adapter()


def _left() -> float:
    """Seconds until the call has to be over. Raises TimeoutError."""
    left = _ends_at.get() - time.monotonic()
    if left <= 0:
        raise TimeoutError("time is up")
    return left


class _Ending:
    """A socket of which every wait ends with the call: whoever sends a byte a second does not hold it for ever."""

    def recv_into(self, *arguments: Any) -> int:
        self.settimeout(_left())  # type: ignore[attr-defined]
        return int(super().recv_into(*arguments))  # type: ignore[misc]


class _Socket(_Ending, socket.socket):
    pass


class _TlsSocket(_Ending, ssl.SSLSocket):
    pass


def _connected(connection: HTTPConnection) -> socket.socket:
    """A connection to the first of the host's addresses that takes it, of those that are allowed.

    Raises what urllib3's own does; RefusedAddressError when none is allowed.
    """
    try:
        found = socket.getaddrinfo(connection.host, connection.port, type=socket.SOCK_STREAM)
    except OSError as error:
        raise NameResolutionError(connection.host, connection, error) from error  # type: ignore[arg-type]
    allowed = [one for one in found if egress.may_connect(str(one[4][0]), int(one[4][1]))]
    if not allowed:
        raise RefusedAddressError(f"{connection.host} is at no address that may be connected to")
    for family, kind, protocol, _, address in allowed:
        made = _Socket(family, kind, protocol)
        try:
            made.settimeout(min(CONNECT_SECONDS, _left()))
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.connect(address)
        except OSError as error:
            made.close()
            failed = error
        else:
            return made
    raise NewConnectionError(connection, str(failed)) from failed


class _Plain(HTTPConnection):
    _new_conn: Callable[..., socket.socket] = _connected


class _Secure(HTTPSConnection):
    _new_conn: Callable[..., socket.socket] = _connected


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _SecurePool(HTTPSConnectionPool):
    ConnectionCls = _Secure


class _Adapter(HTTPAdapter):
    def init_poolmanager(self, *arguments: Any, **options: Any) -> None:
        context = ssl.create_default_context(cafile=certifi.where())
        context.sslsocket_class = _TlsSocket
        super().init_poolmanager(*arguments, ssl_context=context, **options)
        self.poolmanager.pool_classes_by_scheme = {"http": _PlainPool, "https": _SecurePool}

    def cert_verify(self, conn: Any, *_: Any) -> None:
        """The context knows what to trust; told of a file, urllib3 would read it again for every connection."""
        conn.cert_reqs, conn.ca_certs, conn.ca_cert_dir = "CERT_REQUIRED", None, None


def _said(error: BaseException) -> str:
    """What the innermost error says: the outer ones repeat URLs and addresses of objects."""
    while inner := error.__cause__ or error.__context__:
        error = inner
    return str(error) or type(error).__name__
